//! A root directory held open, and everything below it reached without following a symbolic link.
//!
//! Whoever may write below a root could swap a folder for a link to elsewhere between listing and reading; a backup that
//! runs as root must not read what they may not. On Linux one `openat2` call does it, elsewhere the path is walked part by part.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags},
    io::Result,
};

use crate::path_id;

/// A folder opened only to name things in it.
#[cfg(target_os = "linux")]
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const PLACE: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A root directory.
pub(crate) struct Root {
    path: PathBuf,
    folder: OwnedFd,
    #[cfg(target_os = "linux")]
    one_call: bool,
}

impl Root {
    /// Opens a root. Its own last part is not followed if it is a symbolic link, unless `follow`.
    pub(crate) fn open(path: &Path, follow: bool) -> Result<Self> {
        let flags = if follow { PLACE.difference(OFlags::NOFOLLOW) } else { PLACE };
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self {
            path: path.to_owned(),
            #[cfg(target_os = "linux")]
            one_call: beneath_in_one_call(&folder, b".", PLACE).is_ok(),
            folder,
        })
    }

    /// Opens what an item's id names; an empty id is the root.
    pub(crate) fn open_item(&self, id: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if id.is_empty() {
            return rustix::fs::openat(&self.folder, c".", flags, Mode::empty());
        }
        let relative = path_id::relative_path(id);
        #[cfg(target_os = "linux")]
        if self.one_call {
            return beneath_in_one_call(&self.folder, &relative, flags);
        }
        part_by_part(&self.folder, &relative, flags)
    }

    /// Opens the folder with this id only to name things in it.
    pub(crate) fn open_place(&self, id: &[u8]) -> Result<OwnedFd> {
        self.open_item(id, PLACE)
    }

    /// The whole path of an item, for people and for exclusion globs.
    pub(crate) fn path_of(&self, id: &[u8]) -> PathBuf {
        if id.is_empty() {
            return self.path.clone();
        }
        self.path.join(OsStr::from_bytes(&path_id::relative_path(id)))
    }
}

#[cfg(target_os = "linux")]
fn beneath_in_one_call(folder: &OwnedFd, relative: &[u8], flags: OFlags) -> Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    openat2(folder, relative, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

fn part_by_part(folder: &OwnedFd, relative: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let mut parts: Vec<&[u8]> = relative.split(|&byte| byte == b'/').collect();
    let last = parts.pop().unwrap_or(b".");
    let mut place: Option<OwnedFd> = None;
    for part in parts {
        let next = rustix::fs::openat(place.as_ref().unwrap_or(folder), part, PLACE, Mode::empty())?;
        place = Some(next);
    }
    rustix::fs::openat(place.as_ref().unwrap_or(folder), last, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_refuse_links_on_the_way_and_at_the_end() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("root/in")).unwrap();
        std::fs::write(home.path().join("root/in/file"), b"x").unwrap();
        std::fs::write(home.path().join("secret"), b"x").unwrap();
        std::os::unix::fs::symlink("..", home.path().join("root/up")).unwrap();
        std::os::unix::fs::symlink("../secret", home.path().join("root/direct")).unwrap();
        let mut root = Root::open(&home.path().join("root"), false).unwrap();
        for one_call in [true, false] {
            #[cfg(target_os = "linux")]
            {
                root.one_call &= one_call;
            }
            assert!(root.open_item(b"in\0file", OFlags::RDONLY).is_ok());
            assert!(root.open_item(b"up\0secret", OFlags::RDONLY).is_err(), "a link on the way");
            assert!(root.open_item(b"direct", OFlags::RDONLY).is_err(), "a link at the end");
        }
    }
}
