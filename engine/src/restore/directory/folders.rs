//! Folders that still have to get their owner, mode and time.
//!
//! They get them at the end, deepest first: writing into a folder changes its time, and a mode may forbid entering it. In
//! memory stands one number per depth; the folders are records of the scratch file, each with the place of the one
//! before it of the same depth.

use std::sync::{Mutex, PoisonError};

use larder_sdk::{Time, codec};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{attributes::Attributes, error::Result, layout::TargetPath, places::Places, scratch::Scratch};

/// The folders, by depth.
#[derive(Default)]
pub(super) struct Folders {
    /// For each depth, where its last record begins.
    last: Mutex<Vec<Option<u64>>>,
}

/// A folder in the scratch file. It never outlives the process, so it has no version.
#[derive(Serialize, Deserialize)]
struct Record {
    before: Option<u64>,
    path: Vec<u8>,
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
    modified: Option<Time>,
}

impl Folders {
    /// Notes a folder. If it is noted twice, what was noted first counts.
    pub(super) fn add(
        &self,
        scratch: &Scratch,
        path: &TargetPath,
        attributes: Attributes,
    ) -> rustix::io::Result<()> {
        let depth = path.depth();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() <= depth {
            last.resize(depth + 1, None);
        }
        let Attributes { mode, owner, modified } = attributes;
        let record = Record { before: last[depth], path: path.as_bytes().to_vec(), mode, owner, modified };
        let bytes = codec::encode_plain(&record).map_err(|_| Errno::INVAL)?;
        last[depth] = Some(scratch.add(&bytes)?);
        Ok(())
    }

    /// Sets what was noted, and tells each folder's outcome.
    pub(super) fn set_all(&self, scratch: &Scratch, places: &Places, mut tell: impl FnMut(Result<()>)) {
        let last = std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner));
        for mut next in last.into_iter().rev() {
            while let Some(start) = next {
                let read = scratch
                    .get(start)
                    .and_then(|bytes| codec::decode_plain::<Record>(&bytes).map_err(|_| Errno::IO));
                let record = match read {
                    Ok(record) => record,
                    Err(errno) => {
                        tell(Err(places.failed("remembering the folders of", &TargetPath::default(), errno)));
                        break;
                    }
                };
                next = record.before;
                tell(set(places, record));
            }
        }
    }
}

fn set(places: &Places, record: Record) -> Result<()> {
    let path = TargetPath::from_bytes(record.path);
    let attributes = Attributes { mode: record.mode, owner: record.owner, modified: record.modified };
    places
        .open(&path, rustix::fs::OFlags::RDONLY)
        .and_then(|folder| attributes.set(folder))
        .map_err(|errno| places.failed("setting owner, mode and time of", &path, errno).of_attributes())
}
