//! One file on its way into the target.

use std::sync::Arc;

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Mode, OFlags, Stat},
    io::Errno,
};

use super::{
    Outcome, Overwrite,
    attributes::Attributes,
    error::{RestoreError, RestoreErrorKind, Result},
    layout::TargetPath,
    links::Claim,
    places::Place,
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

/// What a file is to become.
pub(super) struct Plan {
    pub(super) path: TargetPath,
    pub(super) folder: Arc<Place>,
    pub(super) name: Vec<u8>,
    pub(super) attributes: Attributes,
    pub(super) sparse: bool,
    pub(super) claim: Option<Claim>,
}

/// A file that is to be written. Nothing of it is there yet.
pub struct FilePlan {
    target: Arc<Shared>,
    plan: Plan,
}

impl FilePlan {
    pub(super) fn new(target: Arc<Shared>, plan: Plan) -> Self {
        Self { target, plan }
    }

    /// Makes the file.
    pub fn begin(mut self) -> Result<FileWriter> {
        let plan = &self.plan;
        let mode = if plan.attributes.mode.is_some() { PRIVATE_MODE } else { DEFAULT_MODE };
        let opened = if plan.folder.is_new && self.target.overwrite() != Overwrite::Never {
            make_in_place(&plan.folder, &plan.name, mode)
        } else {
            Err(Errno::EXIST)
        };
        let (file, temporary) = match opened {
            Ok(file) => (file, None),
            // Somebody put something there: it stays whole until it is replaced.
            Err(Errno::EXIST) => {
                let opened = Temporary::file(&plan.folder, OFlags::WRONLY, mode);
                let (file, temporary) = opened
                    .map_err(|errno| self.target.places.failed("making a file beside", &plan.path, errno))?;
                (file, Some(temporary))
            }
            Err(errno) => return Err(self.target.places.failed("making", &plan.path, errno)),
        };
        let claim = self.plan.claim.take();
        Ok(FileWriter { plan: self, file, temporary, at: 0, claim, over: false })
    }
}

impl Drop for FilePlan {
    fn drop(&mut self) {
        if let Some(claim) = self.plan.claim.take() {
            self.target.disappoint(claim);
        }
    }
}

/// Makes a file under its own name, where nothing may be.
fn make_in_place(folder: &Place, name: &[u8], mode: u32) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode))
}

/// A file being written. It is whole and has its name with [`FileWriter::finish`]; dropped before, it is removed.
pub struct FileWriter {
    plan: FilePlan,
    file: OwnedFd,
    /// `None` if it was made under its own name.
    temporary: Option<Temporary>,
    at: u64,
    claim: Option<Claim>,
    /// True once it is to stay.
    over: bool,
}

impl FileWriter {
    fn failed(&self, doing: &'static str, errno: Errno) -> RestoreError {
        self.plan.target.places.failed(doing, &self.plan.plan.path, errno)
    }

    /// Appends bytes. Of a sparse file, blocks of zeros become holes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if !self.plan.plan.sparse {
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
        write_all_at(&self.file, bytes, self.at).map_err(|errno| self.failed("writing", errno))?;
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
        if self.plan.plan.sparse {
            rustix::fs::ftruncate(&self.file, self.at)
                .map_err(|errno| self.failed("setting the length of", errno))?;
        }
        let set = self.plan.plan.attributes.set(&self.file);
        let set = set.map_err(|errno| self.failed("setting owner, mode and time of", errno).of_attributes());
        if let Err(error) = &set
            && error.kind() != RestoreErrorKind::Attributes
        {
            return set.map(|()| Outcome::Written);
        }
        self.over = true;
        let FilePlan { target, plan } = &self.plan;
        let outcome = match self.temporary.take() {
            Some(temporary) => target.place(temporary, &plan.path, &plan.name)?,
            None => Outcome::Written,
        };
        if let Some(claim) = self.claim.take() {
            match outcome {
                Outcome::Kept => target.disappoint(claim),
                _ => target.link_waiting(claim, &plan.path),
            }
        }
        set.map(|()| outcome)
    }

    /// Removes what was made under its own name and is not whole, unless somebody has put something else there.
    fn remove(&self) {
        let Plan { folder, name, .. } = &self.plan.plan;
        let id = |stat: &Stat| (stat.st_dev, stat.st_ino);
        if let (Ok(ours), Ok(there)) = (
            rustix::fs::fstat(&self.file),
            rustix::fs::statat(folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW),
        ) && id(&ours) == id(&there)
        {
            let _ = rustix::fs::unlinkat(folder, name.as_slice(), AtFlags::empty());
        }
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if !self.over && self.temporary.is_none() {
            self.remove();
        }
        if let Some(claim) = self.claim.take() {
            self.plan.target.disappoint(claim);
        }
    }
}

/// True if all bytes are zero.
fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    bytes == &ZEROS[..bytes.len()]
}
