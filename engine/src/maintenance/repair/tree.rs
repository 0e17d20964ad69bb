//! Looking through trees: what everything needs, and whether it is there.

mod mend;

use std::{collections::HashMap, sync::Arc};

use larder_sdk::Time;

pub(super) use self::mend::MendedTree;
use crate::{
    browse,
    catalog::{self, Content, ItemRecord, ListingRecord, OwedRecord, StreamRecord},
    error::{EngineError, EngineErrorKind, Result},
    hash::BlobId,
    process::Interrupt,
    repository::{BlobReader, Nodes, Saver},
    snapshot::ContainerRecord,
    tree::{Node, NodeStore as _, Root},
};

/// Deepest list of lists of chunks followed.
const LIST_DEPTH_MAX: u8 = 6;

/// Looks through trees and mends them.
pub(super) struct Trees<'run> {
    pub(super) interrupt: &'run Interrupt,
    pub(super) now: Time,
    blobs: Arc<BlobReader>,
    nodes: Arc<Nodes>,
    /// `None` on a dry run.
    saver: Option<Arc<Saver>>,
    /// Nodes seen, and whether everything below them is there.
    seen: HashMap<BlobId, bool>,
    mended: HashMap<BlobId, MendedTree>,
}

impl<'run> Trees<'run> {
    pub(super) fn new(
        blobs: Arc<BlobReader>,
        saver: Option<Arc<Saver>>,
        interrupt: &'run Interrupt,
        now: Time,
    ) -> Self {
        let nodes = match &saver {
            Some(saver) => Nodes::writable(Arc::clone(&blobs), Arc::clone(saver)),
            None => Nodes::in_memory(Arc::clone(&blobs)),
        };
        let (seen, mended) = Default::default();
        Self { interrupt, now, blobs, nodes: Arc::new(nodes), saver, seen, mended }
    }

    /// The nodes, for trees of containers.
    pub(super) fn nodes(&self) -> &Arc<Nodes> {
        &self.nodes
    }

    /// Makes what was saved durable.
    pub(super) fn flush(&self) -> Result<()> {
        let Some(saver) = &self.saver else { return Ok(()) };
        let epoch = self.nodes.flushing();
        saver.flush()?;
        self.nodes.flushed(epoch);
        Ok(())
    }

    /// True if everything that a tree needs is there.
    pub(super) fn is_whole(&mut self, root: Option<Root>, of_containers: bool) -> Result<bool> {
        match root {
            Some(root) => self.node_is_whole(root.id, root.level, of_containers),
            None => Ok(true),
        }
    }

    fn node_is_whole(&mut self, id: BlobId, level: u8, of_containers: bool) -> Result<bool> {
        if let Some(whole) = self.seen.get(&id) {
            return Ok(*whole);
        }
        self.interrupt.check()?;
        let whole = match self.load(id, level)?.as_deref() {
            None => false,
            Some(Node::Inner(_, children)) => {
                let mut whole = true;
                for (_, child) in children {
                    whole &= self.node_is_whole(child.id, level - 1, of_containers)?;
                }
                whole
            }
            Some(Node::Leaf(entries)) => {
                let mut whole = true;
                for (key, value) in entries {
                    whole &= if of_containers {
                        match found(|| self.nodes.unwrap::<ContainerRecord>(value))? {
                            Some(record) => self.is_whole(record.root, false)?,
                            None => false,
                        }
                    } else {
                        self.entry_is_whole(key, value)?
                    };
                }
                whole
            }
        };
        self.seen.insert(id, whole);
        Ok(whole)
    }

    fn load(&self, id: BlobId, level: u8) -> Result<Option<Arc<Node>>> {
        let node = found(|| self.nodes.load(&id).map_err(EngineError::from))?;
        Ok(node.filter(|node| node.level() == level))
    }

    fn entry_is_whole(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        match key.first() {
            Some(&catalog::CHILD) => match found(|| self.nodes.unwrap::<ItemRecord>(value))? {
                Some(record) => Ok(self.lost_streams(&record)?.is_empty()),
                None => Ok(false),
            },
            Some(&catalog::LISTING) => match found(|| self.nodes.unwrap::<ListingRecord>(value))? {
                Some(record) => self.is_whole(record.base, false),
                None => Ok(false),
            },
            Some(&catalog::OWED) => Ok(found(|| self.nodes.unwrap::<OwedRecord>(value))?.is_some()),
            _ => match Nodes::blob_of(value) {
                Some(id) => Ok(found(|| self.blobs.read(&id))?.is_some()),
                None => Ok(true),
            },
        }
    }

    /// The places of streams that are not wholly there.
    fn lost_streams(&self, record: &ItemRecord) -> Result<Vec<usize>> {
        let mut lost = Vec::new();
        for (place, stream) in record.streams.iter().enumerate() {
            if !self.stream_is_whole(stream)? {
                lost.push(place);
            }
        }
        Ok(lost)
    }

    fn stream_is_whole(&self, stream: &StreamRecord) -> Result<bool> {
        let repository = self.blobs.repository();
        let is_there = |id: &BlobId| Ok(repository.index().find(id.short())?.is_some());
        match &stream.content {
            Content::Empty => Ok(true),
            Content::One => is_there(&repository.keys().blob_id(&stream.digest)),
            Content::List { depth, .. } if *depth > LIST_DEPTH_MAX => Ok(false),
            Content::List { depth, ids } => {
                let mut ids = ids.clone();
                for _ in 0..*depth {
                    let mut below = Vec::new();
                    for id in &ids {
                        let read = || self.blobs.read(id).and_then(|bytes| browse::ids_of(&bytes));
                        let Some(list) = found(read)? else { return Ok(false) };
                        below.extend(list);
                    }
                    ids = below;
                }
                for id in &ids {
                    if !is_there(id)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// Whether nodes of a tree of containers are lost; `broken` are those that a scan of it met.
    pub(super) fn lost_containers(&mut self, root: Option<Root>, broken: usize) -> Result<bool> {
        let lost = match root {
            Some(root) => self.has_lost_nodes(root.id, root.level)?,
            None => false,
        };
        if broken > 0 && !lost { Err(unsteady()) } else { Ok(lost) }
    }

    /// True if a node of this tree is lost: then it is not known what else is.
    fn has_lost_nodes(&mut self, id: BlobId, level: u8) -> Result<bool> {
        if self.seen.get(&id) == Some(&true) {
            return Ok(false);
        }
        match self.load(id, level)?.as_deref() {
            None => Ok(true),
            Some(Node::Leaf(_)) => Ok(false),
            Some(Node::Inner(_, children)) => {
                for (_, child) in children {
                    if self.has_lost_nodes(child.id, level - 1)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

/// `None` for what is damaged or missing; other errors stay errors. What does not read is read once more: a bad line is no damage.
pub(super) fn found<T>(read: impl Fn() -> Result<T>) -> Result<Option<T>> {
    let is_damaged =
        |read: &Result<T>| matches!(read, Err(error) if error.kind() == EngineErrorKind::Damaged);
    let mut done = read();
    if is_damaged(&done) {
        done = read();
    }
    if is_damaged(&done) { Ok(None) } else { done.map(Some) }
}

/// What read before must read again: if not, nobody can say what is lost.
pub(super) fn unsteady() -> EngineError {
    EngineError::damaged("the store gives other bytes each time that it is asked")
        .with_hint("nothing was removed; see to the store, then repair again")
}
