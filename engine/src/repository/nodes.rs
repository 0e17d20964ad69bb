//! Tree nodes and large records as blobs of the repository.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use larder_sdk::{
    Error, ErrorKind,
    codec::{self, Record},
};

use super::{BlobReader, FrameSlot, Saver};
use crate::{
    crypto::KeyRole,
    error::Result,
    hash::{BlobId, Digest},
    index::BlobKind,
    tree::{Node, NodeStore, VALUE_BYTES_MAX},
};

/// Most decoded nodes kept.
const NODES_MAX: usize = 1024;

/// What a node takes in memory, about, in bytes.
const NODE_BYTES_ABOUT: usize = 32 << 10;

/// A value stands in the tree itself, or in a blob of its own.
const INLINE: u8 = 0;
const IN_BLOB: u8 = 1;

/// What becomes of a saved blob.
enum Writer {
    None,
    Memory,
    Saver(Arc<Saver>, FrameSlot),
}

/// Loads nodes, and saves them if it was made with a saver.
pub struct Nodes {
    reader: Arc<BlobReader>,
    writer: Writer,
    cache: Mutex<NodeCache>,
}

impl Nodes {
    /// For reading only.
    pub fn read_only(reader: Arc<BlobReader>) -> Self {
        Self { reader, writer: Writer::None, cache: Mutex::default() }
    }

    /// For editing in memory alone: what is saved is gone with it. For dry runs.
    pub fn in_memory(reader: Arc<BlobReader>) -> Self {
        Self { writer: Writer::Memory, ..Self::read_only(reader) }
    }

    /// For reading and editing.
    pub fn writable(reader: Arc<BlobReader>, saver: Arc<Saver>) -> Self {
        let slot = saver.slot(BlobKind::Tree);
        Self { reader, writer: Writer::Saver(saver, slot), cache: Mutex::default() }
    }

    /// Call it before a flush of the saver; what it returns goes to [`Nodes::flushed`] after it.
    pub fn flushing(&self) -> u64 {
        let mut cache = self.cache();
        cache.epoch += 1;
        cache.epoch - 1
    }

    /// What was saved up to that epoch is durable and can be read back: it need not be remembered.
    pub fn flushed(&self, epoch: u64) {
        let mut cache = self.cache();
        cache.fresh.retain(|_, (saved, _)| *saved > epoch);
        cache.fresh_records.retain(|_, (saved, _)| *saved > epoch);
        cache.fresh_bytes = cache.fresh_records.values().map(|(_, bytes)| bytes.len()).sum::<usize>()
            + cache.fresh.len() * NODE_BYTES_ABOUT;
    }

    /// About how much memory holds what is saved and not yet durable, in bytes.
    pub fn fresh_bytes(&self) -> usize {
        self.cache().fresh_bytes
    }

    /// A record as a tree's value: inside it if it is small, else as a blob.
    pub fn wrap<R: Record>(&self, record: &R) -> Result<Vec<u8>> {
        let bytes = codec::encode(record)?;
        if bytes.len() < VALUE_BYTES_MAX {
            let mut value = vec![INLINE];
            value.extend_from_slice(&bytes);
            return Ok(value);
        }
        let id = self.save_blob(&bytes)?;
        let mut value = vec![IN_BLOB];
        value.extend_from_slice(&id.0);
        let mut cache = self.cache();
        cache.fresh_bytes += bytes.len();
        let epoch = cache.epoch;
        cache.fresh_records.insert(id, (epoch, bytes));
        Ok(value)
    }

    /// Reads a record from a tree's value.
    pub fn unwrap<R: Record>(&self, value: &[u8]) -> Result<R> {
        Ok(match (value.split_first(), Self::blob_of(value)) {
            (Some((&INLINE, bytes)), _) => codec::decode(bytes)?,
            (_, Some(id)) => {
                let fresh = self.cache().fresh_records.get(&id).map(|(_, bytes)| bytes.clone());
                match fresh {
                    Some(bytes) => codec::decode(&bytes)?,
                    None => codec::decode(&self.reader.read_tree(&id)?)?,
                }
            }
            _ => {
                return Err(
                    Error::new(ErrorKind::CorruptItem, "a tree's value is neither record nor blob").into()
                );
            }
        })
    }

    /// The blob that a value stands for, if its record is in one.
    pub fn blob_of(value: &[u8]) -> Option<BlobId> {
        value.strip_prefix(&[IN_BLOB]).and_then(|id| id.try_into().ok()).map(BlobId)
    }

    /// Keeps bytes as a tree blob.
    pub fn save_blob(&self, bytes: &[u8]) -> Result<BlobId> {
        let id = self.reader.repository().keys().blob_id(&Digest::of(bytes));
        match &self.writer {
            Writer::None => Err(Error::bug("a tree opened for reading cannot be edited").into()),
            Writer::Memory => Ok(id),
            Writer::Saver(saver, slot) => saver.add(slot, id.short(), bytes).map(|()| id),
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, NodeCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeStore for Nodes {
    fn prefetch(&self, ids: &[BlobId]) {
        let missing: Vec<BlobId> = {
            let cache = self.cache();
            ids.iter().filter(|id| cache.get(id).is_none()).copied().collect()
        };
        self.reader.prefetch_trees(&missing);
    }

    fn load(&self, id: &BlobId) -> larder_sdk::Result<Arc<Node>> {
        if let Some(node) = self.cache().get(id) {
            return Ok(node);
        }
        let bytes = self.reader.read_tree(id).map_err(into_sdk)?;
        let node = Arc::new(Node::decode(&bytes)?);
        self.cache().keep(*id, Arc::clone(&node));
        Ok(node)
    }

    fn save(&self, node: &Node) -> larder_sdk::Result<BlobId> {
        let id = self.save_blob(&node.encode()).map_err(into_sdk)?;
        let mut cache = self.cache();
        let epoch = cache.epoch;
        cache.fresh_bytes += NODE_BYTES_ABOUT;
        cache.fresh.insert(id, (epoch, Arc::new(node.clone())));
        Ok(id)
    }

    fn draw(&self, level: u8, key: &[u8]) -> u32 {
        let secret = &self.reader.repository().keys().role(KeyRole::Chunker).bytes;
        let hash = blake3::Hasher::new_keyed(secret).update(b"tree").update(&[level]).update(key).finalize();
        let mut first = [0; 4];
        first.copy_from_slice(&hash.as_bytes()[..4]);
        u32::from_le_bytes(first)
    }
}

/// Trees are pure and speak the SDK's error; the engine's is carried inside, and its kind comes out again ([`From`]).
fn into_sdk(error: crate::error::EngineError) -> Error {
    use crate::error::EngineErrorKind;
    let kind = match error.kind() {
        EngineErrorKind::Damaged => ErrorKind::CorruptItem,
        EngineErrorKind::Interrupted => ErrorKind::Cancelled,
        EngineErrorKind::Store => ErrorKind::Unavailable,
        _ => ErrorKind::Bug,
    };
    let (text, hint) = (error.full_message(), error.hint().map(str::to_owned));
    let carrier = Error::new(kind, text).with_source(error);
    match hint {
        Some(hint) => carrier.with_hint(hint),
        None => carrier,
    }
}

#[derive(Default)]
struct NodeCache {
    nodes: HashMap<BlobId, Arc<Node>>,
    order: VecDeque<BlobId>,
    /// Saved and not yet durable: these cannot be read back. Each with the epoch it was saved in.
    fresh: HashMap<BlobId, (u64, Arc<Node>)>,
    fresh_records: HashMap<BlobId, (u64, Vec<u8>)>,
    fresh_bytes: usize,
    epoch: u64,
}

impl NodeCache {
    fn get(&self, id: &BlobId) -> Option<Arc<Node>> {
        self.fresh.get(id).map(|(_, node)| node).or_else(|| self.nodes.get(id)).cloned()
    }

    fn keep(&mut self, id: BlobId, node: Arc<Node>) {
        if self.nodes.insert(id, node).is_none() {
            self.order.push_back(id);
        }
        while self.nodes.len() > NODES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.nodes.remove(&oldest);
        }
    }
}
