//! Symbolic links, pipes, sockets and devices.

use std::sync::Arc;

use larder_sdk::{Item, Kind};
use rustix::{
    fs::{FileType, Mode},
    io::{Errno, Result},
};

use super::{places::Place, temporary::Temporary};

/// Makes the entry in a folder under a temporary name. [`Errno::INVAL`] if the item is none of these.
pub(super) fn make(folder: &Arc<Place>, item: &Item) -> Result<Temporary> {
    let posix = item.posix.as_ref().ok_or(Errno::INVAL)?;
    if item.kind == Kind::SYMLINK {
        if posix.target.is_empty() {
            return Err(Errno::INVAL);
        }
        return Temporary::new(folder, |folder, name| {
            rustix::fs::symlinkat(posix.target.as_slice(), folder, name)
        })
        .map(|((), temporary)| temporary);
    }
    let kind = FileType::from_raw_mode(posix.mode);
    if !matches!(kind, FileType::Fifo | FileType::Socket | FileType::BlockDevice | FileType::CharacterDevice)
    {
        return Err(Errno::INVAL);
    }
    let mode = Mode::from_raw_mode(0o600);
    Temporary::new(folder, |folder, name| rustix::fs::mknodat(folder, name, kind, mode, posix.rdev))
        .map(|((), temporary)| temporary)
}
