//! A file's bytes, read on threads that may block.
//!
//! A file of up to one piece is read whole when it is opened: one trip to a thread. A longer one is read one piece ahead
//! of what the engine works on. Holes of a piece or more cost no reading: the system says where they are, and one shared buffer of zeros
//! stands for them.

use std::sync::OnceLock;

use larder_sdk::{Body, Bytes, Error, ErrorKind, ReadyBody, Result, async_trait, limits::PIECE_BYTES_MAX};
use rustix::{
    buffer::spare_capacity,
    fd::OwnedFd,
    fs::{Advice, FileType, OFlags, SeekFrom},
    io::Errno,
};
use tokio::task::JoinHandle;

use crate::{
    failure::{failed, quoted},
    item::Facts,
    root::Root,
};

/// Opens an item's content. Blocks.
pub(crate) fn open(root: &Root, id: &[u8]) -> Result<Opened> {
    let mut file = File::open(root, id).map_err(|errno| failed(errno, "opening", &root.path_of(id)))?;
    let path = root.path_of(id);
    if file.facts.kind != FileType::RegularFile {
        return Err(Error::new(ErrorKind::NotFound, format!("{} is no longer a file", quoted(&path))));
    }
    let first = file.piece().map_err(|errno| failed(errno, "reading", &path))?;
    if file.ended {
        return Ok(Opened::Whole(first.unwrap_or_default()));
    }
    file.expect_long_read();
    Ok(Opened::Long(LongBody { path, first, ahead: None, file: Some(file) }))
}

/// What opening a file gave.
pub(crate) enum Opened {
    /// All of it.
    Whole(Bytes),
    /// Its first piece, and the rest to be read.
    Long(LongBody),
}

impl Opened {
    /// As the SDK wants it.
    pub(crate) fn into_body(self) -> Box<dyn Body> {
        match self {
            Self::Whole(bytes) => Box::new(ReadyBody::new(bytes)),
            Self::Long(body) => Box::new(body),
        }
    }
}

/// A file with more than one piece.
pub(crate) struct LongBody {
    path: std::path::PathBuf,
    first: Option<Bytes>,
    ahead: Option<JoinHandle<(File, rustix::io::Result<Option<Bytes>>)>>,
    /// `None` while a piece is being read ahead, and at the end.
    file: Option<File>,
}

impl LongBody {
    /// Has the next piece read while the engine works on this one.
    fn read_ahead(&mut self) {
        if let Some(mut file) = self.file.take() {
            self.ahead = Some(tokio::task::spawn_blocking(move || {
                let piece = file.piece();
                (file, piece)
            }));
        }
    }
}

#[async_trait]
impl Body for LongBody {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            self.read_ahead();
            return Ok(Some(first));
        }
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let joined = ahead.await;
        self.ahead = None;
        let (file, piece) =
            joined.map_err(|stopped| Error::bug("a reading thread stopped").with_source(stopped))?;
        let piece = piece.map_err(|errno| failed(errno, "reading", &self.path))?;
        if !file.ended {
            self.file = Some(file);
            self.read_ahead();
        }
        Ok(piece)
    }
}

/// An open file and how far it is read.
struct File {
    handle: OwnedFd,
    facts: Facts,
    at: u64,
    /// Up to where there is data and short holes, as far as known. Without holes: no end.
    data_end: u64,
    ended: bool,
}

impl File {
    fn open(root: &Root, id: &[u8]) -> rustix::io::Result<Self> {
        // Without NONBLOCK, opening what has become a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let handle = open_quietly(root, id, flags)?;
        let facts = Facts::of(&rustix::fs::fstat(&handle)?);
        // A file of one piece is read whole, holes or not.
        let holes = facts.sparse && facts.size > PIECE_BYTES_MAX as u64 && tells_holes(&handle);
        Ok(Self { handle, facts, at: 0, data_end: if holes { 0 } else { u64::MAX }, ended: false })
    }

    /// Tells the system that the rest will be read in order, so that it reads further ahead. A hint: failing does no harm.
    fn expect_long_read(&self) {
        let _ = rustix::fs::fadvise(&self.handle, 0, None, Advice::Sequential);
    }

    /// The next piece. Sets `ended` as soon as it is known that nothing follows.
    fn piece(&mut self) -> rustix::io::Result<Option<Bytes>> {
        if self.data_end.saturating_sub(self.at) < PIECE_BYTES_MAX as u64 {
            self.find_data()?;
        }
        if self.at < self.data_end {
            return self.read_data();
        }
        let data = match self.next_data(self.at)? {
            Some(data) => data,
            None => rustix::fs::seek(&self.handle, SeekFrom::End(0))?,
        };
        let length = data.saturating_sub(self.at).min(PIECE_BYTES_MAX as u64);
        self.at += length;
        self.ended = length == 0;
        Ok((length > 0).then(|| zeros().slice(..length as usize)))
    }

    /// Moves `data_end` on over data and the holes between that are shorter than a piece: to ask for each of those by itself would cost more
    /// than to read its zeros.
    fn find_data(&mut self) -> rustix::io::Result<()> {
        let from = self.data_end.max(self.at);
        self.data_end = from;
        while self.data_end - self.at < PIECE_BYTES_MAX as u64
            && let Some(data) = self.next_data(self.data_end)?
            && data.saturating_sub(self.data_end) < PIECE_BYTES_MAX as u64
        {
            self.data_end = match rustix::fs::seek(&self.handle, SeekFrom::Hole(data)) {
                Ok(hole) if hole > data => hole,
                // The file changes, or its system's answers make no sense: reading tells.
                Ok(_) | Err(Errno::NXIO) => u64::MAX,
                Err(errno) => return Err(errno),
            };
        }
        Ok(())
    }

    /// Where data begins at or after a place; `None` if only a hole follows, or nothing.
    fn next_data(&self, at: u64) -> rustix::io::Result<Option<u64>> {
        match rustix::fs::seek(&self.handle, SeekFrom::Data(at)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn read_data(&mut self) -> rustix::io::Result<Option<Bytes>> {
        // One byte more than is expected: a short read then says that the file has ended.
        let expected = self.facts.size.saturating_sub(self.at).saturating_add(1);
        let wanted = (self.data_end - self.at).min(expected.max(4096)).min(PIECE_BYTES_MAX as u64) as usize;
        let mut piece = Vec::with_capacity(wanted);
        while piece.len() < wanted {
            let room = wanted - piece.len();
            match rustix::io::pread(&self.handle, spare_capacity(&mut piece), self.at) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(length) => {
                    self.at += length as u64;
                    if length < room && self.at == self.facts.size {
                        self.ended = true;
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

/// True if the file system knows about holes.
fn tells_holes(handle: &OwnedFd) -> bool {
    !matches!(rustix::fs::seek(handle, SeekFrom::Data(0)), Err(Errno::INVAL | Errno::OPNOTSUPP))
}

/// Opens without changing the time of last access, where that is allowed: to the owner and to root.
#[cfg(target_os = "linux")]
fn open_quietly(root: &Root, id: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    match root.open_item(id, flags | OFlags::NOATIME) {
        Err(Errno::PERM) => root.open_item(id, flags),
        opened => opened,
    }
}
#[cfg(not(target_os = "linux"))]
fn open_quietly(root: &Root, id: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    root.open_item(id, flags)
}

/// One piece of zeros, shared by all holes.
fn zeros() -> &'static Bytes {
    static ZEROS: OnceLock<Bytes> = OnceLock::new();
    ZEROS.get_or_init(|| vec![0; PIECE_BYTES_MAX].into())
}
