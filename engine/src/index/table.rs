//! The index in memory.

use std::{
    collections::{HashMap, HashSet},
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

/// Where a blob is stored, its pack by number.
#[derive(Clone, Copy)]
struct Stored {
    kind: BlobKind,
    pack: u32,
    frame: FramePlace,
    offset: u32,
    bytes: u32,
}

#[derive(Default)]
struct Inner {
    blobs: HashMap<ShortId, Stored>,
    /// On their way in this run: a second one need not be sent.
    pending: HashSet<ShortId>,
    packs: Vec<ObjectName>,
    pack_numbers: HashMap<ObjectName, u32>,
    /// Packs that a prune means to delete: what only they hold can be read, and counts as not stored.
    condemned: HashSet<ObjectName>,
}

impl Inner {
    fn is_condemned(&self, stored: &Stored) -> bool {
        !self.condemned.is_empty()
            && self.packs.get(stored.pack as usize).is_some_and(|pack| self.condemned.contains(pack))
    }

    fn is_stored(&self, id: &ShortId) -> bool {
        self.blobs.get(id).is_some_and(|stored| !self.is_condemned(stored))
    }

    fn location(&self, stored: &Stored) -> Option<Location> {
        let Stored { kind, pack, frame, offset, bytes } = *stored;
        Some(Location { kind, pack: *self.packs.get(pack as usize)?, frame, offset, bytes })
    }
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
            let stored = Stored { kind, pack, frame: entry.frame, offset: entry.offset, bytes: entry.bytes };
            inner.pending.remove(&entry.id);
            // A place that stays is better than one that goes.
            if !inner.is_stored(&entry.id) || !inner.is_condemned(&stored) {
                inner.blobs.insert(entry.id, stored);
            }
        }
    }

    /// Forgets everything, so that it can be loaded anew.
    pub fn clear(&self) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Inner::default();
    }

    /// Takes what only these packs hold as not stored, though it can be read. To be called before segments are loaded.
    pub fn condemn(&self, packs: HashSet<ObjectName>) {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner).condemned = packs;
    }

    /// Claims a blob for this run: true if it is neither stored nor on its way, so that the caller must send it.
    pub fn claim(&self, id: ShortId) -> bool {
        let known = |inner: &Inner| inner.is_stored(&id) || inner.pending.contains(&id);
        if known(&self.read()) {
            return false;
        }
        let mut inner = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        !known(&inner) && inner.pending.insert(id)
    }

    /// Where a stored blob lies.
    pub fn find(&self, id: ShortId) -> Option<Location> {
        let inner = self.read();
        inner.location(inner.blobs.get(&id)?)
    }

    /// Shows every stored blob, in no order. The index is locked meanwhile.
    pub fn each(&self, mut show: impl FnMut(ShortId, Location)) {
        let inner = self.read();
        for (id, stored) in &inner.blobs {
            if let Some(location) = inner.location(stored) {
                show(*id, location);
            }
        }
    }

    /// How many blobs are stored.
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
