//! Which blobs are in use: a walk over trees from their roots. What does not read is an error, for what cannot be walked cannot be judged.

use std::{collections::HashSet, sync::Arc};

use crate::{
    browse,
    catalog::{self, Content, ItemRecord, ListingRecord, StreamRecord},
    error::{EngineError, EngineErrorKind, Result},
    hash::{BlobId, ShortId},
    process::Interrupt,
    repository::{BlobReader, Nodes},
    snapshot::ContainerRecord,
    tree::{Node, NodeStore, Root},
};

/// A depth that no list has.
const NODE: u8 = u8::MAX;
/// Deepest list of lists of chunks followed.
const LIST_DEPTH_MAX: u8 = 6;

/// Takes a tree's key and value.
type Visit<'visit, Walker> = dyn FnMut(&mut Walker, &[u8], &[u8]) -> Result<()> + 'visit;

/// The blobs that some roots need. Roots can be added; nodes that several share are walked once.
pub(super) struct Usage<'run> {
    blobs: Arc<BlobReader>,
    nodes: Nodes,
    interrupt: &'run Interrupt,
    used: HashSet<ShortId>,
    /// Tree nodes walked, apart from what is used: a chunk may have the bytes of a node, which must be walked all the same.
    walked: HashSet<ShortId>,
    /// Lists of chunks walked, each as of a depth.
    lists: HashSet<(ShortId, u8)>,
    /// What does not read is passed over.
    lenient: bool,
    /// Nodes and lists walked leniently: another root may need what was passed over below them.
    glanced: HashSet<(ShortId, u8)>,
}

impl<'run> Usage<'run> {
    /// Nothing in use yet. The reader's index must be loaded.
    pub(super) fn new(blobs: Arc<BlobReader>, interrupt: &'run Interrupt) -> Self {
        Self {
            nodes: Nodes::read_only(Arc::clone(&blobs)),
            blobs,
            interrupt,
            used: HashSet::new(),
            walked: HashSet::new(),
            lists: HashSet::new(),
            lenient: false,
            glanced: HashSet::new(),
        }
    }

    /// Adds what a snapshot, checkpoint or session needs, by the root of its tree of containers.
    pub(super) fn add_containers(&mut self, root: Root) -> Result<()> {
        let mut roots = Vec::new();
        self.walk(root, &mut |usage, _, value| {
            let record = usage.read(usage.nodes.unwrap::<ContainerRecord>(value))?;
            roots.extend(record.and_then(|record| record.root));
            Ok(())
        })?;
        while let Some(root) = roots.pop() {
            self.walk(root, &mut |usage, key, value| {
                roots.extend(usage.entry(key, value)?);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Adds what a session says it builds on, or what a removal record says was removed, as far as it is there. Either may arrive late, when nobody
    /// needs what it names and that is gone; as long as somebody does, all of it is there.
    pub(super) fn add_as_it_is(&mut self, root: Root) -> Result<()> {
        self.lenient = true;
        let added = self.add_containers(root);
        self.lenient = false;
        self.glanced.clear();
        added
    }

    fn mark(&mut self, id: &BlobId) {
        if !self.lenient || matches!(self.blobs.repository().index().find(id.short()), Ok(Some(_))) {
            self.used.insert(id.short());
        }
    }

    /// What was read; `None` for what does not read and is passed over.
    fn read<T>(&self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if self.lenient && error.kind() == EngineErrorKind::Damaged => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// True if a blob is in use.
    pub(super) fn has(&self, id: &ShortId) -> bool {
        self.used.contains(id)
    }

    /// Every blob in use, in no order.
    pub(super) fn used(&self) -> impl Iterator<Item = &ShortId> {
        self.used.iter()
    }

    fn walk(&mut self, root: Root, visit: &mut Visit<'_, Self>) -> Result<()> {
        let mut waiting = vec![(root.id, root.level)];
        while let Some((id, level)) = waiting.pop() {
            self.interrupt.check()?;
            self.mark(&id);
            let is_new = if self.lenient {
                !self.walked.contains(&id.short()) && self.glanced.insert((id.short(), NODE))
            } else {
                self.walked.insert(id.short())
            };
            if !is_new {
                continue;
            }
            let Some(node) = self.read(self.nodes.load(&id).map_err(EngineError::from))? else { continue };
            if node.level() != level {
                return Err(EngineError::damaged(format!(
                    "tree node {id} has another level than its parent says"
                )));
            }
            match &*node {
                Node::Inner(_, children) => {
                    waiting.extend(children.iter().map(|(_, child)| (child.id, level - 1)));
                }
                Node::Leaf(entries) => {
                    for (key, value) in entries {
                        if let Some(id) = Nodes::blob_of(value) {
                            self.mark(&id);
                        }
                        visit(self, key, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what an entry of a container's tree needs; returns a tree it leads to.
    fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Root>> {
        match key.first() {
            Some(&catalog::CHILD) => {
                let record = self.read(self.nodes.unwrap::<ItemRecord>(value))?;
                let streams = record.map_or_else(Vec::new, |record| record.streams);
                streams.iter().try_for_each(|stream| self.stream(stream))?;
                Ok(None)
            }
            // A listing under way remembers the tree it began with.
            Some(&catalog::LISTING) => {
                let listing = self.read(self.nodes.unwrap::<ListingRecord>(value))?;
                Ok(listing.and_then(|listing| listing.base))
            }
            _ => Ok(None),
        }
    }

    fn stream(&mut self, stream: &StreamRecord) -> Result<()> {
        match &stream.content {
            Content::Empty => {}
            Content::One => {
                let id = self.blobs.repository().keys().blob_id(&stream.digest);
                self.mark(&id);
            }
            Content::List { depth, .. } if *depth > LIST_DEPTH_MAX => {
                return Err(EngineError::damaged(format!("a list of chunks is {depth} levels deep")));
            }
            Content::List { depth, ids } => self.list(ids, *depth)?,
        }
        Ok(())
    }

    fn list(&mut self, ids: &[BlobId], depth: u8) -> Result<()> {
        for id in ids {
            self.mark(id);
            let at = (id.short(), depth);
            let is_new = depth > 0
                && if self.lenient {
                    !self.lists.contains(&at) && self.glanced.insert(at)
                } else {
                    self.lists.insert(at)
                };
            if is_new {
                let below = self.blobs.read_tree(id).and_then(|blob| browse::ids_of(&blob));
                if let Some(below) = self.read(below)? {
                    self.list(&below, depth - 1)?;
                }
            }
        }
        Ok(())
    }
}
