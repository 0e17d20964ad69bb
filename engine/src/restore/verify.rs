//! Reading back what was restored, and holding it against the digests that the snapshot has.

use std::{ffi::OsStr, fs::File, io::Read, os::unix::ffi::OsStrExt as _, path::Path, sync::Arc};

use larder_sdk::{Item, Kind};
use rustix::{
    fd::OwnedFd,
    fs::{Advice, CWD, Mode, OFlags},
    io::Errno,
};

use super::{
    RestoreOptions,
    directory::member_path,
    plan::Filter,
    run::{excluded_above, relative},
};
use crate::{
    browse::{Entry, SnapshotView},
    catalog::StreamRecord,
    error::{EngineError, Result},
    events::{Counts, Event, Events},
    process::Interrupt,
};

/// Bytes read at once.
const PIECE_BYTES: usize = 1 << 20;
/// Most differences listed one by one.
const LISTED_MAX: usize = 10_000;

/// What reading back found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files, links among them, that are as the snapshot has them.
    pub right: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Files that are not, and why.
    pub wrong: Vec<(String, String)>,
    /// How many more there are than are listed.
    pub more_wrong: u64,
}

impl VerifyReport {
    /// True if everything is as the snapshot has it.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Reads back everything that a restore with these options writes, through no symbolic link, and as far as the system lets it from the disk
/// rather than from memory. What was left as it was counts like what was written.
pub fn verify(
    view: &SnapshotView,
    path: &[String],
    options: &RestoreOptions,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<VerifyReport> {
    let filter = Filter::new(options)?;
    let start = view.find(path)?;
    // The directory itself may be named by a link, as for the restore.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, &options.to, flags, Mode::empty()).map_err(|errno| {
        EngineError::failed(format!("opening `{}` to read it back", options.to.display())).with_source(errno)
    })?;
    let skip = if start.is_folder() { start.path.len() } else { start.path.len().saturating_sub(1) };
    let mut run = Verification {
        filter: &filter,
        events,
        interrupt,
        to: &options.to,
        skip,
        root: Arc::new(root),
        folder: None,
        piece: vec![0; PIECE_BYTES],
        report: VerifyReport::default(),
    };
    if !start.is_folder() {
        run.entry(&start)?;
        return Ok(run.report);
    }
    view.walk(&start, &mut |found| {
        run.interrupt.check()?;
        match found {
            Ok(entry) => run.entry(&entry),
            // What does not read was told when it was restored.
            Err(_) => Ok(()),
        }
    })?;
    Ok(run.report)
}

struct Verification<'run> {
    filter: &'run Filter,
    events: &'run dyn Events,
    interrupt: &'run Interrupt,
    to: &'run Path,
    skip: usize,
    root: Arc<OwnedFd>,
    /// The folder of the file before, and its path: the next one is often in it too.
    folder: Option<(Vec<u8>, Arc<OwnedFd>)>,
    piece: Vec<u8>,
    report: VerifyReport,
}

/// Why a file is not as it should be.
type Wrong = String;

impl Verification<'_> {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let Some((parent, id, record)) = &entry.item else { return Ok(()) };
        let names = &entry.path[self.skip..];
        let shown = relative(names);
        let excluded = self.filter.excludes(&shown) || excluded_above(self.filter, &shown);
        if excluded || !self.filter.includes(&shown) {
            return Ok(());
        }
        let mut item = record.to_item(parent.clone(), id.clone());
        if let Some(name) = names.last() {
            item.name = name.clone();
        }
        if item.kind == Kind::SYMLINK {
            let path = member_path(names, None);
            let found = self.link(&path, &item);
            self.note(&path, found);
            return Ok(());
        }
        for stream in &record.streams {
            let path = member_path(names, Some((&item, &*stream.name)));
            let found = self.file(&path, stream)?;
            self.note(&path, found);
        }
        Ok(())
    }

    fn note(&mut self, path: &[u8], found: std::result::Result<(), Wrong>) {
        match found {
            Ok(()) => self.report.right += 1,
            Err(why) => {
                let path = self.to.join(OsStr::from_bytes(path)).display().to_string();
                if self.report.wrong.len() < LISTED_MAX {
                    self.report.wrong.push((path, why));
                } else {
                    self.report.more_wrong += 1;
                }
            }
        }
        self.events.event(Event::Progress(Counts {
            items: self.report.right,
            bytes: self.report.bytes,
            failed: self.report.wrong.len() as u64 + self.report.more_wrong,
            ..Counts::default()
        }));
    }

    fn link(&mut self, path: &[u8], item: &Item) -> std::result::Result<(), Wrong> {
        let wanted = item.posix.as_ref().map_or(&[][..], |posix| &posix.target);
        let (folder, name) = self.folder_of(path).map_err(unread)?;
        let found = rustix::fs::readlinkat(&*folder, name, Vec::new()).map_err(unread)?;
        if found.as_bytes() == wanted { Ok(()) } else { Err("it leads elsewhere".to_owned()) }
    }

    fn file(&mut self, path: &[u8], stream: &StreamRecord) -> Result<std::result::Result<(), Wrong>> {
        let opened = self.folder_of(path).and_then(|(folder, name)| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(&*folder, name, flags, Mode::empty())
        });
        let file = match opened {
            Ok(file) => file,
            Err(errno) => return Ok(Err(unread(errno))),
        };
        // Read from the disk where the system allows it: what is still in memory proves little.
        let _ =
            rustix::fs::fdatasync(&file).and_then(|()| rustix::fs::fadvise(&file, 0, None, Advice::DontNeed));
        let mut file = File::from(file);
        let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
        loop {
            self.interrupt.check()?;
            match file.read(&mut self.piece) {
                Ok(0) => break,
                Ok(length) => {
                    hasher.update(&self.piece[..length]);
                    bytes += length as u64;
                    self.report.bytes += length as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(format!("it cannot be read: {error}"))),
            }
        }
        Ok(if bytes != stream.bytes {
            Err(format!("it has {bytes} bytes instead of {}", stream.bytes))
        } else if hasher.finalize().as_bytes() == &stream.digest.0 {
            Ok(())
        } else {
            Err("it has other bytes".to_owned())
        })
    }

    /// The folder that a file is in, held open, and its name there.
    fn folder_of<'path>(
        &mut self,
        path: &'path [u8],
    ) -> std::result::Result<(Arc<OwnedFd>, &'path [u8]), Errno> {
        let Some(at) = path.iter().rposition(|byte| *byte == b'/') else {
            return Ok((Arc::clone(&self.root), path));
        };
        let (above, name) = (&path[..at], &path[at + 1..]);
        if let Some((known, folder)) = &self.folder
            && known == above
        {
            return Ok((Arc::clone(folder), name));
        }
        let mut folder = Arc::clone(&self.root);
        for part in above.split(|byte| *byte == b'/') {
            folder = Arc::new(open_folder(&*folder, part)?);
        }
        self.folder = Some((above.to_vec(), Arc::clone(&folder)));
        Ok((folder, name))
    }
}

fn open_folder(
    at: impl std::os::fd::AsFd,
    name: impl rustix::path::Arg,
) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn unread(errno: Errno) -> Wrong {
    match errno {
        Errno::NOENT => "it is not there".to_owned(),
        Errno::LOOP | Errno::INVAL | Errno::NOTDIR => "something else is in its place".to_owned(),
        _ => format!("it cannot be read: {errno}"),
    }
}
