//! Entries under a temporary name, until they are whole and take their own. Where the system can, files have none until then: a killed
//! restore leaves nothing behind but, rarely, a whole file that was about to replace another.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Mode, OFlags, RenameFlags},
    io::{Errno, Result},
};

use super::places::Place;

/// How often another name is tried if someone has taken one: with 64 random bits, once is enough.
const TRIES: usize = 4;

/// A name in a folder that is removed on drop.
pub(super) struct Temporary {
    folder: Arc<Place>,
    name: String,
    /// A file without a name yet.
    nameless: Option<OwnedFd>,
    /// True if there is nothing to remove.
    placed: bool,
}

impl Temporary {
    /// Makes an entry under a free name with `make`.
    pub(super) fn new<T>(folder: &Arc<Place>, make: impl Fn(&Place, &str) -> Result<T>) -> Result<(T, Self)> {
        let mut taken = Errno::EXIST;
        for _ in 0..TRIES {
            let name = free_name();
            match make(folder, &name) {
                Ok(entry) => {
                    let folder = Arc::clone(folder);
                    return Ok((entry, Self { folder, name, nameless: None, placed: false }));
                }
                Err(Errno::EXIST) => taken = Errno::EXIST,
                Err(errno) => return Err(errno),
            }
        }
        Err(taken)
    }

    /// Makes a file. The mode is what the user's mask leaves of `mode`.
    pub(super) fn file(folder: &Arc<Place>, flags: OFlags, mode: u32) -> Result<(OwnedFd, Self)> {
        if let Some(file) = make_nameless(folder, flags, mode) {
            let nameless = Some(rustix::io::fcntl_dupfd_cloexec(&file, 0)?);
            let temporary = Self { folder: Arc::clone(folder), name: free_name(), nameless, placed: true };
            return Ok((file, temporary));
        }
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::new(folder, |folder, name| rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode)))
    }

    /// The name.
    pub(super) fn name(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// Gives the entry its own name. What had it is replaced if `replace`, unless it is a folder that holds something;
    /// else the error is [`Errno::EXIST`].
    pub(super) fn place(mut self, name: &[u8], replace: bool) -> Result<()> {
        if let Some(file) = self.nameless.take() {
            match give_name(&file, &self.folder, name) {
                // It is replaced in one step, for which this one needs a name.
                Err(Errno::EXIST) if replace => give_name(&file, &self.folder, self.name())?,
                given => return given,
            }
            self.placed = false;
        }
        let placed = if replace { self.place_over(name) } else { self.place_beside(name) };
        self.placed = placed.is_ok();
        placed
    }

    fn place_over(&self, name: &[u8]) -> Result<()> {
        match self.rename(name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR)?;
                self.rename(name)
            }
            placed => placed,
        }
    }

    fn place_beside(&self, name: &[u8]) -> Result<()> {
        match rustix::fs::renameat_with(&self.folder, self.name(), &self.folder, name, RenameFlags::NOREPLACE)
        {
            // A file system that cannot do this in one step.
            Err(Errno::INVAL | Errno::NOSYS) => self.place_if_free(name),
            placed => placed,
        }
    }

    fn place_if_free(&self, name: &[u8]) -> Result<()> {
        match rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => self.rename(name),
            Ok(_) => Err(Errno::EXIST),
            Err(errno) => Err(errno),
        }
    }

    fn rename(&self, name: &[u8]) -> Result<()> {
        rustix::fs::renameat(&self.folder, self.name(), &self.folder, name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            let _ = rustix::fs::unlinkat(&self.folder, self.name(), AtFlags::empty());
        }
    }
}

/// Makes a file that has no name; `None` where that cannot be done.
#[cfg(target_os = "linux")]
fn make_nameless(folder: &Place, flags: OFlags, mode: u32) -> Option<OwnedFd> {
    /// By this path a file without a name gets one.
    static NAMES: LazyLock<bool> = LazyLock::new(|| std::path::Path::new("/proc/self/fd").is_dir());
    let flags = flags | OFlags::TMPFILE | OFlags::CLOEXEC;
    NAMES.then(|| rustix::fs::openat(folder, c".", flags, Mode::from_raw_mode(mode)).ok()).flatten()
}
#[cfg(not(target_os = "linux"))]
fn make_nameless(_: &Place, _: OFlags, _: u32) -> Option<OwnedFd> {
    None
}

/// Gives a file without a name one that is free.
fn give_name(file: &OwnedFd, folder: &Place, name: &[u8]) -> Result<()> {
    use std::os::fd::AsRawFd as _;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW)
}

fn free_name() -> String {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!(".larder-{:016x}", START.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)))
}
