//! Owner, mode and time: what is set, and how without following a link.
//!
//! The order counts: a change of owner clears the set-id bits, so the mode comes after it, and the time last.

use std::os::fd::AsFd;

use larder_sdk::{Container, Item, Time, Value};
use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid},
    io::Result,
};

const PERMISSION_BITS: u32 = 0o7777;
const SET_ID_BITS: u32 = 0o6000;

/// What an entry gets. What is absent stays as the system made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Permission bits.
    pub(super) mode: Option<u32>,
    /// User and group.
    pub(super) owner: Option<(u32, u32)>,
    /// When it was last changed.
    pub(super) modified: Option<Time>,
}

impl Attributes {
    /// Those of an item.
    pub(super) fn of_item(item: &Item, owners: bool) -> Self {
        let Some(posix) = &item.posix else { return Self { modified: item.modified, ..Self::default() } };
        Self::new(posix.mode, (posix.uid, posix.gid), item.modified, owners)
    }

    /// Those of a stream that is no file of its own in the source: only the time is known.
    pub(super) fn of_side_stream(item: &Item) -> Self {
        Self { modified: item.modified, ..Self::default() }
    }

    /// Those of a container's root directory, from the container's metadata.
    pub(super) fn of_container(container: &Container, owners: bool) -> Self {
        let value = |name: &str| container.meta.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let number = |name: &str| match value(name) {
            Some(Value::Int(number)) => u32::try_from(*number).ok(),
            _ => None,
        };
        let modified = match value("modified") {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        };
        match (number("posix.mode"), number("posix.uid"), number("posix.gid")) {
            (Some(mode), Some(uid), Some(gid)) => Self::new(mode, (uid, gid), modified, owners),
            _ => Self { modified, ..Self::default() },
        }
    }

    fn new(mode: u32, owner: (u32, u32), modified: Option<Time>, owners: bool) -> Self {
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        // Set-id bits are about the owner they were set by; on a file of someone else's they would hand out that one's rights.
        let keep = if owners || owner == me { PERMISSION_BITS } else { PERMISSION_BITS & !SET_ID_BITS };
        Self { mode: Some(mode & keep), owner: owners.then_some(owner), modified }
    }

    /// Sets them on an open file or folder.
    pub(super) fn set(&self, entry: impl AsFd) -> Result<()> {
        if let Some((uid, gid)) = self.owner {
            rustix::fs::fchown(&entry, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        if let Some(mode) = self.mode {
            rustix::fs::fchmod(&entry, Mode::from_raw_mode(mode))?;
        }
        match self.timestamps() {
            Some(times) => rustix::fs::futimens(&entry, &times),
            None => Ok(()),
        }
    }

    /// Sets them on an entry that is not open, which may be a symbolic link: its mode is nobody's business then.
    pub(super) fn set_at(&self, folder: impl AsFd, name: &[u8], symlink: bool) -> Result<()> {
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(&folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if let Some(mode) = self.mode.filter(|_| !symlink) {
            set_mode_at(&folder, name, mode)?;
        }
        match self.timestamps() {
            Some(times) => rustix::fs::utimensat(&folder, name, &times, AtFlags::SYMLINK_NOFOLLOW),
            None => Ok(()),
        }
    }

    fn timestamps(&self) -> Option<Timestamps> {
        let modified = self.modified?;
        Some(Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: modified.seconds,
                tv_nsec: modified.nanos.min(999_999_999).into(),
            },
        })
    }
}

/// Gives a folder's owner all rights to it for as long as the restore lasts.
pub(super) fn let_owner_in(folder: impl AsFd) -> Result<()> {
    let mode = rustix::fs::fstat(&folder)?.st_mode;
    if mode & 0o700 == 0o700 {
        return Ok(());
    }
    set_mode_at(folder, b".", (mode | 0o700) & PERMISSION_BITS)
}

/// Sets the mode of an entry that cannot be opened for it. Linux has no call for that which follows no link, but takes the
/// path that `/proc` gives to an entry held open only as a place.
#[cfg(target_os = "linux")]
fn set_mode_at(folder: impl AsFd, name: &[u8], mode: u32) -> Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::io::Errno;

    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&entry)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink() {
        return Err(Errno::LOOP);
    }
    if stat.st_mode & PERMISSION_BITS == mode {
        return Ok(());
    }
    rustix::fs::chmod(format!("/proc/self/fd/{}", entry.as_raw_fd()), Mode::from_raw_mode(mode))
}
#[cfg(not(target_os = "linux"))]
fn set_mode_at(folder: impl AsFd, name: &[u8], mode: u32) -> Result<()> {
    rustix::fs::chmodat(folder, name, Mode::from_raw_mode(mode as _), AtFlags::SYMLINK_NOFOLLOW)
}
