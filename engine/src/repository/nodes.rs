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

/// A value stands in the tree itself, or in a blob of its own.
const INLINE: u8 = 0;
const IN_BLOB: u8 = 1;

/// Loads nodes, and saves them if it was made with a saver.
pub struct Nodes {
    reader: Arc<BlobReader>,
    writer: Option<(Arc<Saver>, FrameSlot)>,
    cache: Mutex<NodeCache>,
}

impl Nodes {
    /// For reading only.
    pub fn read_only(reader: Arc<BlobReader>) -> Self {
        Self { reader, writer: None, cache: Mutex::default() }
    }

    /// For reading and editing.
    pub fn writable(reader: Arc<BlobReader>, saver: Arc<Saver>) -> Self {
        let slot = saver.slot(BlobKind::Tree);
        Self { reader, writer: Some((saver, slot)), cache: Mutex::default() }
    }

    /// Forgets that nodes were saved but not yet durable: call it after a flush.
    pub fn flushed(&self) {
        self.cache().fresh.clear();
    }

    /// A record as a tree's value: inside it if it is small, else as a blob.
    pub fn wrap<R: Record>(&self, record: &R) -> Result<Vec<u8>> {
        let bytes = codec::encode(record)?;
        if bytes.len() < VALUE_BYTES_MAX {
            let mut value = vec![INLINE];
            value.extend_from_slice(&bytes);
            return Ok(value);
        }
        let mut value = vec![IN_BLOB];
        value.extend_from_slice(&self.save_blob(&bytes)?.0);
        Ok(value)
    }

    /// Reads a record from a tree's value.
    pub fn unwrap<R: Record>(&self, value: &[u8]) -> Result<R> {
        Ok(match (value.split_first(), Self::blob_of(value)) {
            (Some((&INLINE, bytes)), _) => codec::decode(bytes)?,
            (_, Some(id)) => codec::decode(&self.reader.read(&id)?)?,
            _ => return Err(Error::new(ErrorKind::CorruptItem, "a tree's value is neither record nor blob").into()),
        })
    }

    /// The blob that a value stands for, if its record is in one.
    pub fn blob_of(value: &[u8]) -> Option<BlobId> {
        value.strip_prefix(&[IN_BLOB]).and_then(|id| id.try_into().ok()).map(BlobId)
    }

    /// Keeps bytes as a tree blob.
    pub fn save_blob(&self, bytes: &[u8]) -> Result<BlobId> {
        let Some((saver, slot)) = &self.writer else {
            return Err(Error::bug("a tree opened for reading cannot be edited").into());
        };
        let id = self.reader.repository().keys().blob_id(&Digest::of(bytes));
        saver.add(slot, id.short(), bytes)?;
        Ok(id)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, NodeCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NodeStore for Nodes {
    fn load(&self, id: &BlobId) -> larder_sdk::Result<Arc<Node>> {
        if let Some(node) = self.cache().get(id) {
            return Ok(node);
        }
        let bytes = self.reader.read(id).map_err(into_sdk)?;
        let node = Arc::new(Node::decode(&bytes)?);
        self.cache().keep(*id, Arc::clone(&node));
        Ok(node)
    }

    fn save(&self, node: &Node) -> larder_sdk::Result<BlobId> {
        let id = self.save_blob(&node.encode()).map_err(into_sdk)?;
        self.cache().fresh.insert(id, Arc::new(node.clone()));
        Ok(id)
    }

    fn draw(&self, level: u8, key: &[u8]) -> u32 {
        let secret = &self.reader.repository().keys().role(KeyRole::Trees).bytes;
        let hash = blake3::Hasher::new_keyed(secret).update(&[level]).update(key).finalize();
        let mut first = [0; 4];
        first.copy_from_slice(&hash.as_bytes()[..4]);
        u32::from_le_bytes(first)
    }
}

/// Trees are pure and speak the SDK's error; the engine's is carried inside.
fn into_sdk(error: crate::error::EngineError) -> Error {
    use crate::error::EngineErrorKind;
    let kind = match error.kind() {
        EngineErrorKind::Damaged => ErrorKind::CorruptItem,
        EngineErrorKind::Interrupted => ErrorKind::Cancelled,
        EngineErrorKind::Store => ErrorKind::Unavailable,
        _ => ErrorKind::Bug,
    };
    Error::new(kind, error.full_message())
}

#[derive(Default)]
struct NodeCache {
    nodes: HashMap<BlobId, Arc<Node>>,
    order: VecDeque<BlobId>,
    /// Saved and not yet durable: these cannot be read back.
    fresh: HashMap<BlobId, Arc<Node>>,
}

impl NodeCache {
    fn get(&self, id: &BlobId) -> Option<Arc<Node>> {
        self.fresh.get(id).or_else(|| self.nodes.get(id)).cloned()
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
