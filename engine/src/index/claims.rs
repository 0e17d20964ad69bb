//! Blobs on their way in this run: whoever claims one first sends it.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::IdHash;
use crate::hash::ShortId;

/// Parts with a lock each.
const SHARDS: usize = 64;

/// The ids claimed and not yet stored.
#[derive(Debug)]
pub struct Claims(Vec<Mutex<HashSet<ShortId, IdHash>>>);

impl Default for Claims {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Claims {
    /// The part that an id belongs to, locked. Who holds it decides alone about that id.
    pub fn shard(&self, id: &ShortId) -> MutexGuard<'_, HashSet<ShortId, IdHash>> {
        // The table within a part goes by the first bytes, the part by the last.
        self.0[usize::from(id.0[15]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are stored now.
    pub fn settle(&self, ids: impl Iterator<Item = ShortId>) {
        for id in ids {
            self.shard(&id).remove(&id);
        }
    }
}
