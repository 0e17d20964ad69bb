//! What stands in the target under a name already.

use larder_sdk::Time;
use rustix::{
    fs::{AtFlags, FileType, Stat},
    io::{Errno, Result},
};

use super::places::Place;

/// An entry that is there.
pub(super) struct Existing(Stat);

impl Existing {
    /// Looks without following; `None` if nothing is there.
    pub(super) fn look(folder: &Place, name: &[u8]) -> Result<Option<Self>> {
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Self(stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// True if it is a file that looks as if it had been restored from here: its size and time are known and equal.
    pub(super) fn is_same_file(&self, size: Option<u64>, modified: Option<Time>) -> bool {
        let there = Time {
            seconds: self.0.st_mtime,
            // Under a thousand million, whatever the type.
            nanos: u32::try_from(self.0.st_mtime_nsec).unwrap_or(u32::MAX),
        };
        FileType::from_raw_mode(self.0.st_mode).is_file()
            && size.is_some_and(|size| u64::try_from(self.0.st_size) == Ok(size))
            && modified == Some(there)
    }

    /// True if both are names of one file.
    pub(super) fn is_one_with(&self, other: &Self) -> bool {
        (self.0.st_dev, self.0.st_ino) == (other.0.st_dev, other.0.st_ino)
    }
}
