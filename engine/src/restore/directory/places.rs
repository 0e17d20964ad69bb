//! The target's folders, reached from its root without following a symbolic link, and made where they are missing.
//!
//! Whatever else happens in the target, every call names one entry of a folder held open, so nothing can lead outside.

use std::{
    collections::{HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Mode, OFlags},
    io::Errno,
};

use super::{
    attributes,
    error::{RestoreError, Result},
    layout::TargetPath,
};

/// A folder opened only to name things in it.
#[cfg(target_os = "linux")]
pub(super) const PLACE: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
pub(super) const PLACE: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How many folders are held open for the entries that follow.
const RECENT_MAX: usize = 32;
/// Most folders that are remembered as made by this restore, at about 24 bytes each. In further ones files are written the long way.
const NEW_MAX: usize = 256 << 10;

/// A folder held open.
pub(super) struct Place {
    folder: OwnedFd,
    /// True if this restore made it: what is in it, it has put there.
    pub(super) is_new: bool,
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// The target's folders.
pub(super) struct Places {
    path: PathBuf,
    root: Arc<Place>,
    /// Device and inode of the folders made by this restore.
    new: Mutex<HashSet<(u64, u64)>>,
    /// True if what stands where a folder should be may be replaced by it.
    replace: bool,
    /// The folders used last, the very last first.
    recent: Mutex<VecDeque<(TargetPath, Arc<Place>)>>,
}

impl Places {
    /// Makes the root if it is missing, and opens it. The root itself may be reached through links: the user named it.
    pub(super) fn create(path: &Path, replace: bool) -> Result<Self> {
        let failed = |doing, errno| RestoreError::new(doing, path.to_owned(), errno);
        let is_new = make_root(path).map_err(|error| {
            failed("making the folder", Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })?;
        let folder = rustix::fs::openat(CWD, path, PLACE.difference(OFlags::NOFOLLOW), Mode::empty())
            .map_err(|errno| failed("opening", errno))?;
        Ok(Self {
            path: path.to_owned(),
            root: Arc::new(Place { folder, is_new }),
            new: Mutex::default(),
            replace,
            recent: Mutex::default(),
        })
    }

    /// An error about a path of the target.
    pub(super) fn failed(&self, doing: &'static str, path: &TargetPath, errno: Errno) -> RestoreError {
        RestoreError::new(doing, path.below(&self.path), errno)
    }

    /// The path for people.
    pub(super) fn whole(&self, path: &TargetPath) -> PathBuf {
        path.below(&self.path)
    }

    /// The root itself.
    pub(super) fn root(&self) -> &Arc<Place> {
        &self.root
    }

    /// The folder at a path. It and the folders above it are made if they are missing, with the user's default mode.
    pub(super) fn folder(&self, path: &TargetPath) -> Result<Arc<Place>> {
        if path.as_bytes().is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some(known) = self.recall(path) {
            return Ok(known);
        }
        let folder = match self.open(path, PLACE) {
            Ok(folder) => {
                let is_new = id_of(&folder).is_ok_and(|id| self.new_folders().contains(&id));
                Arc::new(Place { folder, is_new })
            }
            Err(_) => self.make(path, Mode::from_raw_mode(0o777))?.0,
        };
        self.remember(path, &folder);
        Ok(folder)
    }

    /// Makes a folder that its owner may use, or opens it if it is there. True if it was made.
    pub(super) fn make(&self, path: &TargetPath, mode: Mode) -> Result<(Arc<Place>, bool)> {
        let mut here = Arc::clone(&self.root);
        let (mut new, mut parts) = (false, path.parts().peekable());
        while let Some(part) = parts.next() {
            // The mode is the last one's; those above are not restored by this call.
            let mode = if parts.peek().is_some() { Mode::from_raw_mode(0o777) } else { mode };
            let (next, new_one) = self
                .step(&here, part, mode)
                .map_err(|errno| self.failed("making the folder", path, errno))?;
            if new_one && let Ok(id) = id_of(&next) {
                let mut folders = self.new_folders();
                if folders.len() < NEW_MAX {
                    folders.insert(id);
                }
            }
            (here, new) = (Arc::new(Place { folder: next, is_new: new_one }), new_one);
        }
        if !new {
            // Best effort: where it fails, writing into the folder will say so.
            let _ = attributes::let_owner_in(&here);
        }
        Ok((here, new))
    }

    fn step(&self, here: &Place, part: &[u8], mode: Mode) -> rustix::io::Result<(OwnedFd, bool)> {
        let open = || rustix::fs::openat(here, part, PLACE, Mode::empty());
        match open() {
            Ok(folder) => return Ok((folder, false)),
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) if self.replace => {
                rustix::fs::unlinkat(here, part, AtFlags::empty())?;
            }
            Err(errno) => return Err(errno),
        }
        match rustix::fs::mkdirat(here, part, mode) {
            Ok(()) => Ok((open()?, true)),
            // Another thread was faster.
            Err(Errno::EXIST) => Ok((open()?, false)),
            Err(errno) => Err(errno),
        }
    }

    /// Opens an existing folder.
    pub(super) fn open(&self, path: &TargetPath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{ResolveFlags, openat2};
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let relative = if path.as_bytes().is_empty() { b"." } else { path.as_bytes() };
            match openat2(&self.root, relative, flags, Mode::empty(), resolve) {
                // An old kernel, a sandbox without this call, or a path too long for any call.
                Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG) => {}
                opened => return opened,
            }
        }
        let mut here: Option<OwnedFd> = None;
        let mut parts = path.parts().peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_some() { PLACE } else { flags };
            let above = here.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            let next = rustix::fs::openat(above, part, flags, Mode::empty())?;
            here = Some(next);
        }
        here.map_or_else(|| rustix::fs::openat(&self.root, c".", flags, Mode::empty()), Ok)
    }

    fn new_folders(&self) -> MutexGuard<'_, HashSet<(u64, u64)>> {
        self.new.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recall(&self, path: &TargetPath) -> Option<Arc<Place>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(known, _)| known == path)?;
        recent.swap(0, at);
        recent.front().map(|(_, folder)| Arc::clone(folder))
    }

    fn remember(&self, path: &TargetPath, folder: &Arc<Place>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front((path.clone(), Arc::clone(folder)));
        recent.truncate(RECENT_MAX);
    }
}

/// Makes the root with all above it. True if it was not there.
fn make_root(path: &Path) -> std::io::Result<bool> {
    match std::fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(_) => std::fs::create_dir_all(path).map(|()| false),
    }
}

/// A folder's device and inode.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the types differ from system to system")]
fn id_of(folder: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    rustix::fs::fstat(folder).map(|stat| (stat.st_dev as u64, stat.st_ino as u64))
}
