//! Which blobs are in use: a walk over trees from their roots. What does not read is an error, for what cannot be walked cannot be judged.

use std::sync::Arc;

use super::blob_set::{BATCH_BLOBS, BlobSet};
use crate::{
    browse,
    catalog::{self, Content, ItemRecord, ListingRecord, StreamRecord},
    error::{EngineError, EngineErrorKind, Result},
    hash::{BlobId, ShortId},
    index::{BlobKind, Location},
    process::Interrupt,
    repository::{BlobReader, IndexView, Nodes},
    snapshot::ContainerRecord,
    tree::{Node, NodeStore, Root},
};

/// Deepest list of lists of chunks followed.
const LIST_DEPTH_MAX: u8 = 6;

/// Takes a tree's key and value.
type Visit<'visit, Walker> = dyn FnMut(&mut Walker, &[u8], &[u8]) -> Result<()> + 'visit;

/// The blobs that some roots need. Roots can be added; nodes that several share are walked once.
pub(super) struct Usage<'run> {
    blobs: Arc<BlobReader>,
    nodes: Nodes,
    interrupt: &'run Interrupt,
    /// The index that sets go by.
    view: IndexView,
    used: BlobSet,
    /// In use, and not yet put among those.
    gathered: Vec<ShortId>,
    walked: Walked,
    /// What does not read is passed over.
    lenient: bool,
    /// Walked leniently: another root may need what was passed over below it.
    glanced: Walked,
}

/// What was walked, apart from what is used: a chunk may have the bytes of a node, which must be walked all the same.
#[derive(Default)]
struct Walked {
    nodes: BlobSet,
    /// Lists of chunks, each as of a depth.
    lists: [BlobSet; LIST_DEPTH_MAX as usize],
}

impl Walked {
    /// Nodes, or lists of a depth over 0.
    fn of(&mut self, depth: Option<u8>) -> &mut BlobSet {
        match depth.and_then(|depth| self.lists.get_mut(usize::from(depth) - 1)) {
            Some(lists) => lists,
            None => &mut self.nodes,
        }
    }
}

impl<'run> Usage<'run> {
    /// Nothing in use yet. `view` is of the reader's index, whole.
    pub(super) fn new(blobs: Arc<BlobReader>, view: IndexView, interrupt: &'run Interrupt) -> Self {
        Self {
            nodes: Nodes::read_only(Arc::clone(&blobs)),
            blobs,
            interrupt,
            view,
            used: BlobSet::default(),
            gathered: Vec::new(),
            walked: Walked::default(),
            lenient: false,
            glanced: Walked::default(),
        }
    }

    /// Goes by another state of the index from here on.
    pub(super) fn set_view(&mut self, view: IndexView) -> Result<()> {
        self.used = self.used.renumbered(&self.view, &view)?;
        for walked in std::iter::once(&mut self.walked.nodes).chain(&mut self.walked.lists) {
            *walked = walked.renumbered(&self.view, &view)?;
        }
        self.view = view;
        Ok(())
    }

    /// Adds what a snapshot or checkpoint needs, by the root of its tree of containers.
    pub(super) fn add_containers(&mut self, root: Root) -> Result<()> {
        let added = self.walk_containers(root);
        added.and_then(|()| self.put_gathered())
    }

    fn walk_containers(&mut self, root: Root) -> Result<()> {
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
        self.glanced = Walked::default();
        added
    }

    fn mark(&mut self, id: &BlobId) -> Result<()> {
        self.gathered.push(id.short());
        if self.gathered.len() < BATCH_BLOBS { Ok(()) } else { self.put_gathered() }
    }

    fn put_gathered(&mut self) -> Result<()> {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.sort_unstable();
        gathered.dedup();
        let index = self.blobs.repository().index();
        let lenient = self.lenient;
        self.used.insert_sorted(&self.view, &gathered, &mut |used, id| {
            // It may have come since; what is nowhere is in use by who needs it without fail.
            let counts = !lenient || matches!(index.find(id), Ok(Some(_)));
            if counts { used.insert_unknown(id).map(drop) } else { Ok(()) }
        })?;
        gathered.clear();
        self.gathered = gathered;
        Ok(())
    }

    /// What was read; `None` for what does not read and is passed over.
    fn read<T>(&self, read: Result<T>) -> Result<Option<T>> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if self.lenient && error.kind() == EngineErrorKind::Damaged => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Shows every row of the index, of each kind in order of id, and whether its blob is in use.
    pub(super) fn each(&self, mut show: impl FnMut(bool, ShortId, Location) -> Result<()>) -> Result<()> {
        for kind in BlobKind::ALL {
            let mut last = (None, false);
            self.view.each(kind, |number, id, location| {
                // The first row of a blob has its number.
                if last.0 != Some(id) {
                    last = (Some(id), self.used.has_number(kind, number));
                }
                show(last.1, id, location)
            })?;
        }
        Ok(())
    }

    /// The blobs in use that were in no segment when the index was looked at, in no order.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &ShortId> {
        self.used.unknown()
    }

    /// Notes that a node, or a list of a depth over 0, is walked. False if it was before.
    fn begin(&mut self, id: &BlobId, depth: Option<u8>) -> Result<bool> {
        let (view, id) = (&self.view, id.short());
        if self.lenient {
            Ok(!self.walked.of(depth).has(view, &id)? && self.glanced.of(depth).insert(view, &id)?)
        } else {
            self.walked.of(depth).insert(view, &id)
        }
    }

    fn walk(&mut self, root: Root, visit: &mut Visit<'_, Self>) -> Result<()> {
        let mut waiting = vec![(root.id, root.level)];
        while let Some((id, level)) = waiting.pop() {
            self.interrupt.check()?;
            self.mark(&id)?;
            if !self.begin(&id, None)? {
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
                            self.mark(&id)?;
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
            Content::Empty => Ok(()),
            Content::One => {
                let id = self.blobs.repository().keys().blob_id(&stream.digest);
                self.mark(&id)
            }
            Content::List { depth, .. } if *depth > LIST_DEPTH_MAX => {
                Err(EngineError::damaged(format!("a list of chunks is {depth} levels deep")))
            }
            Content::List { depth, ids } => self.list(ids, *depth),
        }
    }

    fn list(&mut self, ids: &[BlobId], depth: u8) -> Result<()> {
        for id in ids {
            self.mark(id)?;
            if depth > 0 && self.begin(id, Some(depth))? {
                let below = self.blobs.read_tree(id).and_then(|blob| browse::ids_of(&blob));
                if let Some(below) = self.read(below)? {
                    self.list(&below, depth - 1)?;
                }
            }
        }
        Ok(())
    }
}
