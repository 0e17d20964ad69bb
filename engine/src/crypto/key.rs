//! The bundle of keys that a slot wraps.

use larder_sdk::Result;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::hash::{BlobId, Digest, fill_random};

/// What a key is for. Each object kind is sealed under one of the last four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRole {
    /// Names blobs.
    Ids,
    /// Decides where chunks and tree nodes end.
    Chunker,
    /// Seals data packs.
    Data,
    /// Seals tree packs.
    Trees,
    /// Seals index segments.
    Index,
    /// Seals the config, snapshots, sessions, checkpoints.
    Control,
}

/// One key of 32 random bytes with its number, which object headers name.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Key {
    /// 1 for the first of its role; a new key counts on.
    pub number: u16,
    pub(crate) bytes: [u8; 32],
}

/// One key per role.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Keys {
    ids: Key,
    chunker: Key,
    data: Key,
    trees: Key,
    index: Key,
    control: Key,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

impl Keys {
    /// Fresh random keys.
    pub fn generate() -> Result<Self> {
        let fresh = || -> Result<Key> {
            let mut key = Key { number: 1, bytes: [0; 32] };
            fill_random(&mut key.bytes)?;
            Ok(key)
        };
        Ok(Self {
            ids: fresh()?,
            chunker: fresh()?,
            data: fresh()?,
            trees: fresh()?,
            index: fresh()?,
            control: fresh()?,
        })
    }

    /// Fresh random keys, but those of another bundle that name blobs and decide about borders.
    pub fn generate_like(other: &Self) -> Result<Self> {
        let mut keys = Self::generate()?;
        keys.ids = other.ids.clone();
        keys.chunker = other.chunker.clone();
        Ok(keys)
    }

    /// True if equal blobs have equal ids and equal borders under both bundles.
    pub fn is_like(&self, other: &Self) -> bool {
        let same = |a: &Key, b: &Key| a.number == b.number && a.bytes == b.bytes;
        same(&self.ids, &other.ids) && same(&self.chunker, &other.chunker)
    }

    /// The key of a role.
    pub fn role(&self, role: KeyRole) -> &Key {
        match role {
            KeyRole::Ids => &self.ids,
            KeyRole::Chunker => &self.chunker,
            KeyRole::Data => &self.data,
            KeyRole::Trees => &self.trees,
            KeyRole::Index => &self.index,
            KeyRole::Control => &self.control,
        }
    }

    /// A blob's id from the digest of its plain bytes.
    pub fn blob_id(&self, digest: &Digest) -> BlobId {
        BlobId(*blake3::keyed_hash(&self.ids.bytes, &digest.0).as_bytes())
    }
}
