//! One file on its way into the target.

use std::sync::Arc;

use rustix::{fd::OwnedFd, fs::OFlags};

use super::{
    Outcome,
    attributes::Attributes,
    error::{RestoreErrorKind, Result},
    layout::TargetPath,
    links::Claim,
    scratch::write_all_at,
    shared::Shared,
    temporary::Temporary,
};

/// Runs of zeros are made holes in units of this many bytes, what file systems allocate.
const BLOCK_BYTES: usize = 4096;
/// Access until the file has its own mode.
const PRIVATE_MODE: u32 = 0o600;
/// For files without a mode of their own: what the user's mask leaves of it.
const DEFAULT_MODE: u32 = 0o666;

/// A file being written under a temporary name. It takes its own with [`FileWriter::finish`]; dropped before, it is removed.
pub struct FileWriter {
    target: Arc<Shared>,
    path: TargetPath,
    name: Vec<u8>,
    file: OwnedFd,
    temporary: Option<Temporary>,
    attributes: Attributes,
    sparse: bool,
    at: u64,
    claim: Option<Claim>,
}

/// What a file is to become.
pub(super) struct Plan {
    pub(super) path: TargetPath,
    pub(super) folder: Arc<OwnedFd>,
    pub(super) name: Vec<u8>,
    pub(super) attributes: Attributes,
    pub(super) sparse: bool,
    pub(super) claim: Option<Claim>,
}

impl FileWriter {
    pub(super) fn new(target: Arc<Shared>, plan: Plan) -> Result<Self> {
        let Plan { path, folder, name, attributes, sparse, claim } = plan;
        let mode = if attributes.mode.is_some() { PRIVATE_MODE } else { DEFAULT_MODE };
        let (file, temporary) = Temporary::file(&folder, OFlags::WRONLY, mode)
            .map_err(|errno| target.places.failed("making a file beside", &path, errno))?;
        Ok(Self { target, path, name, file, temporary: Some(temporary), attributes, sparse, at: 0, claim })
    }

    /// Appends bytes. Of a sparse file, blocks of zeros become holes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if !self.sparse {
            return self.put(bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (run, zeros) = self.run(rest);
            if zeros {
                self.at += run as u64;
            } else {
                self.put(&rest[..run])?;
            }
            rest = &rest[run..];
        }
        Ok(())
    }

    /// How many of the bytes make one run of blocks that are all zero, or all not.
    fn run(&self, bytes: &[u8]) -> (usize, bool) {
        let to_border = BLOCK_BYTES - (self.at % BLOCK_BYTES as u64) as usize;
        let (first, rest) = bytes.split_at(to_border.min(bytes.len()));
        let zeros = is_zero(first);
        let more = rest
            .chunks(BLOCK_BYTES)
            .take_while(|block| is_zero(block) == zeros)
            .map(<[u8]>::len)
            .sum::<usize>();
        (first.len() + more, zeros)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        write_all_at(&self.file, bytes, self.at)
            .map_err(|errno| self.target.places.failed("writing", &self.path, errno))?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// How many bytes were written so far, holes included.
    pub fn length(&self) -> u64 {
        self.at
    }

    /// Ends the file: sets its length, owner, mode and time, gives it its name, and links its other names to it.
    ///
    /// After an error of kind [`RestoreErrorKind::Attributes`] the file is in its place all the same. The outcome is
    /// [`Outcome::Kept`] if something else has taken the name meanwhile and nothing may be overwritten.
    pub fn finish(mut self) -> Result<Outcome> {
        let failed = |doing, errno| self.target.places.failed(doing, &self.path, errno);
        if self.sparse {
            rustix::fs::ftruncate(&self.file, self.at)
                .map_err(|errno| failed("setting the length of", errno))?;
        }
        let set = self
            .attributes
            .set(&self.file)
            .map_err(|errno| failed("setting owner, mode and time of", errno).of_attributes());
        if let Err(error) = &set
            && error.kind() != RestoreErrorKind::Attributes
        {
            return set.map(|()| Outcome::Written);
        }
        let Some(temporary) = self.temporary.take() else { return Ok(Outcome::Written) };
        let outcome = self.target.place(temporary, &self.path, &self.name)?;
        if let Some(claim) = self.claim.take() {
            match outcome {
                Outcome::Kept => self.target.disappoint(claim),
                _ => self.target.link_waiting(claim, &self.path),
            }
        }
        set.map(|()| outcome)
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.target.disappoint(claim);
        }
    }
}

/// True if all bytes are zero.
fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    bytes == &ZEROS[..bytes.len()]
}
