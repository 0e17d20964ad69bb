//! The index in memory.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::RwLock,
};

use super::{BlobKind, IndexEntry};
use crate::{
    hash::{ObjectName, ShortId},
    pack::FramePlace,
};

/// Where a blob lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Data or tree.
    pub kind: BlobKind,
    /// The pack.
    pub pack: ObjectName,
    /// The frame in the pack.
    pub frame: FramePlace,
    /// Offset in the frame's plain blobs.
    pub offset: u32,
    /// Length in bytes.
    pub bytes: u32,
}

/// What is known of a blob.
#[derive(Clone, Copy)]
enum Known {
    /// Stored, in the pack of this number.
    Stored { kind: BlobKind, pack: u32, frame: FramePlace, offset: u32, bytes: u32 },
    /// On its way in this run: a second one need not be sent.
    Pending,
}

#[derive(Default)]
struct Inner {
    blobs: HashMap<ShortId, Known>,
    packs: Vec<ObjectName>,
    pack_numbers: HashMap<ObjectName, u32>,
}

/// Every blob known. Safe to use from many threads.
#[derive(Default)]
pub struct Index(RwLock<Inner>);

impl Index {
    /// Adds blobs that are stored.
    pub fn insert(&self, kind: BlobKind, entries: &[IndexEntry]) {
        let mut inner = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for entry in entries {
            let pack = match inner.pack_numbers.get(&entry.pack) {
                Some(pack) => *pack,
                None => {
                    let number = inner.packs.len() as u32;
                    inner.packs.push(entry.pack);
                    inner.pack_numbers.insert(entry.pack, number);
                    number
                }
            };
            let known =
                Known::Stored { kind, pack, frame: entry.frame, offset: entry.offset, bytes: entry.bytes };
            inner.blobs.insert(entry.id, known);
        }
    }

    /// Claims a blob for this run: true if it is neither stored nor on its way, so that the caller must send it.
    pub fn claim(&self, id: ShortId) -> bool {
        if self.read().blobs.contains_key(&id) {
            return false;
        }
        let mut inner = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        match inner.blobs.entry(id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(Known::Pending);
                true
            }
        }
    }

    /// Where a stored blob lies.
    pub fn find(&self, id: ShortId) -> Option<Location> {
        let inner = self.read();
        match *inner.blobs.get(&id)? {
            Known::Stored { kind, pack, frame, offset, bytes } => {
                Some(Location { kind, pack: *inner.packs.get(pack as usize)?, frame, offset, bytes })
            }
            Known::Pending => None,
        }
    }

    /// Shows every stored blob, in no order. The index is locked meanwhile.
    pub fn each(&self, mut show: impl FnMut(ShortId, Location)) {
        let inner = self.read();
        for (id, known) in &inner.blobs {
            if let Known::Stored { kind, pack, frame, offset, bytes } = *known
                && let Some(pack) = inner.packs.get(pack as usize)
            {
                show(*id, Location { kind, pack: *pack, frame, offset, bytes });
            }
        }
    }

    /// How many blobs are known.
    pub fn len(&self) -> usize {
        self.read().blobs.len()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
