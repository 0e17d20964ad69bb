//! Blobs kept in memory by themselves, for those who will want them in another order than that in which they lie.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;

use super::BlobReader;
use crate::hash::BlobId;

/// The blobs, and by how many each is held.
#[derive(Default)]
pub(super) struct HeldBlobs(RwLock<HashMap<BlobId, (Bytes, u32)>>);

impl HeldBlobs {
    pub(super) fn get(&self, id: &BlobId) -> Option<Bytes> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).map(|(blob, _)| blob.clone())
    }

    /// Keeps a copy: a slice would keep its whole frame.
    pub(super) fn add(&self, id: BlobId, blob: &Bytes) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.entry(id).or_insert_with(|| (Bytes::copy_from_slice(blob), 0)).1 += 1;
    }

    fn drop(&self, ids: &[BlobId]) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            if let Some((_, holders)) = held.get_mut(id) {
                *holders -= 1;
                if *holders == 0 {
                    held.remove(id);
                }
            }
        }
    }
}

/// Keeps blobs in memory as long as it lives.
pub struct Held {
    blobs: Arc<BlobReader>,
    ids: Vec<BlobId>,
}

impl Held {
    pub(super) fn new(blobs: Arc<BlobReader>, ids: Vec<BlobId>) -> Self {
        Self { blobs, ids }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.blobs.held().drop(&self.ids);
    }
}
