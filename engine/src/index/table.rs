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

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is neither stored nor on its way: the caller must send it.
    New,
    /// It is on its way in this run.
    Pending,
    /// It is stored, here by what segments say.
    Stored(Location),
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
    /// Packs that are not there, whatever segments say.
    lost: HashSet<ObjectName>,
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
        let mut inner = self.write();
        for entry in entries {
            if !inner.lost.is_empty() && inner.lost.contains(&entry.pack) {
                continue;
            }
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

    /// Forgets what was loaded, so that it can be loaded anew. What is condemned, lost or on its way stays so.
    pub fn clear(&self) {
        let mut inner = self.write();
        inner.blobs.clear();
        inner.packs.clear();
        inner.pack_numbers.clear();
    }

    /// Takes what only these packs hold as not stored, though it can be read. To be called before segments are loaded.
    pub fn condemn(&self, packs: HashSet<ObjectName>) {
        self.write().condemned = packs;
    }

    /// A pack is not there: what segments say of it counts for nothing. Where else its blobs lie is known once segments are loaded anew.
    pub fn lose(&self, pack: ObjectName) {
        let mut inner = self.write();
        inner.lost.insert(pack);
        if let Some(number) = inner.pack_numbers.get(&pack).copied() {
            inner.blobs.retain(|_, stored| stored.pack != number);
        }
    }

    /// Claims a blob for this run.
    pub fn claim(&self, id: ShortId) -> Claim {
        let known = |inner: &Inner| match inner.blobs.get(&id).filter(|_| inner.is_stored(&id)) {
            Some(stored) => inner.location(stored).map(Claim::Stored),
            None => inner.pending.contains(&id).then_some(Claim::Pending),
        };
        if let Some(claim) = known(&self.read()) {
            return claim;
        }
        let mut inner = self.write();
        known(&inner).unwrap_or_else(|| {
            inner.pending.insert(id);
            Claim::New
        })
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

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
