//! What a snapshot needs and the target lacks, frame by frame of the source.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use crate::{
    browse,
    catalog::{self, Content, ItemRecord, ListingRecord, StreamRecord},
    error::{EngineError, EngineErrorKind, Result},
    hash::{BlobId, ObjectName},
    index::BlobKind,
    pack::{FrameBlob, FramePlace},
    process::Interrupt,
    repository::{BlobReader, Nodes, Repository},
    snapshot::ContainerRecord,
    tree::{self, Node, NodeStore as _, Root},
};

/// Opened frames kept of each repository while trees are walked.
const CACHE_BYTES: usize = 16 << 20;
/// Wanted blobs that are gathered before they are sent: of those that lie in one frame, most are then sent together.
const WINDOW_BLOBS: usize = 16 << 10;
/// Deepest list of lists of chunks followed.
const LIST_DEPTH_MAX: u8 = 6;

/// Where a frame lies at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) kind: BlobKind,
    pub(super) pack: ObjectName,
    pub(super) frame: FramePlace,
}

/// Wanted blobs by frame, and in it by offset.
pub(super) type Wanted = BTreeMap<Place, BTreeMap<u32, FrameBlob>>;

/// Takes what is wanted whenever enough is gathered.
type Sink<'run> = dyn FnMut(Wanted) -> Result<()> + 'run;

/// Walks a snapshot's trees. Every blob that is wanted is claimed at the target, so that it is wanted once.
pub(super) struct Walk<'run> {
    to: &'run Arc<Repository>,
    blobs: Arc<BlobReader>,
    nodes: Nodes,
    /// A tree of containers that the target has, and its nodes there.
    base: Option<Root>,
    base_nodes: Nodes,
    interrupt: &'run Interrupt,
    seen: HashSet<BlobId>,
    wanted: Wanted,
    count: usize,
}

impl<'run> Walk<'run> {
    /// A walk that passes over what is in the tree `base`, which the target has whole.
    pub(super) fn new(
        from: &Arc<Repository>,
        to: &'run Arc<Repository>,
        base: Option<Root>,
        interrupt: &'run Interrupt,
    ) -> Self {
        let blobs = Arc::new(BlobReader::new(Arc::clone(from), CACHE_BYTES));
        let there = Arc::new(BlobReader::new(Arc::clone(to), CACHE_BYTES));
        Self {
            to,
            nodes: Nodes::read_only(Arc::clone(&blobs)),
            blobs,
            base,
            base_nodes: Nodes::read_only(there),
            interrupt,
            seen: HashSet::new(),
            wanted: Wanted::new(),
            count: 0,
        }
    }

    /// What was gathered and not sent yet.
    pub(super) fn rest(&mut self) -> Wanted {
        self.count = 0;
        std::mem::take(&mut self.wanted)
    }

    /// Walks a tree of containers and all their trees.
    pub(super) fn containers(&mut self, root: Option<Root>, send: &mut Sink<'_>) -> Result<()> {
        let mut found = Vec::new();
        let base = self.base;
        self.walk(root, base, send, &mut |walk, key, value, _| {
            let record: ContainerRecord = walk.nodes.unwrap(value)?;
            found.push((key.to_vec(), record.root));
            Ok(())
        })?;
        for (key, root) in found {
            let base = self.base_of(&key)?;
            let mut listings = Vec::new();
            self.walk(root, base, send, &mut |walk, key, value, send| {
                listings.extend(walk.entry(key, value, send)?);
                Ok(())
            })?;
            // A listing under way remembers the tree it began with, which has no listing of its own that matters.
            for root in listings {
                self.walk(Some(root), base, send, &mut |walk, key, value, send| {
                    walk.entry(key, value, send).map(drop)
                })?;
            }
        }
        Ok(())
    }

    /// The tree that a container has at the target.
    fn base_of(&self, key: &[u8]) -> Result<Option<Root>> {
        let Some(base) = self.base else { return Ok(None) };
        let record = tree::get(&self.base_nodes, base, key).map_err(EngineError::from).and_then(|entry| {
            entry.map(|(_, value)| self.base_nodes.unwrap::<ContainerRecord>(&value)).transpose()
        });
        match record {
            Ok(record) => Ok(record.and_then(|record| record.root)),
            // Damage at the target is for `check` there to tell: it is no base.
            Err(error) if error.kind() == EngineErrorKind::Damaged => Ok(None),
            Err(error) => Err(error),
        }
    }

    #[expect(clippy::type_complexity, reason = "the visitor's arguments are named where it is called")]
    fn walk(
        &mut self,
        root: Option<Root>,
        base: Option<Root>,
        send: &mut Sink<'_>,
        visit: &mut dyn FnMut(&mut Self, &[u8], &[u8], &mut Sink<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut waiting: Vec<(BlobId, u8, Option<Vec<u8>>)> =
            root.iter().map(|root| (root.id, root.level, None)).collect();
        while let Some((id, level, last_key)) = waiting.pop() {
            self.interrupt.check()?;
            if self.is_in(base, id, level, last_key.as_deref())? || !self.seen.insert(id) {
                continue;
            }
            self.want(&id, send)?;
            let node = self.nodes.load(&id)?;
            if node.level() != level {
                let text = format!("tree node {id} has another level than its parent says");
                return Err(EngineError::damaged(text));
            }
            match &*node {
                Node::Inner(_, children) => waiting.extend(
                    children.iter().rev().map(|(key, child)| (child.id, level - 1, Some(key.clone()))),
                ),
                Node::Leaf(entries) => {
                    for (key, value) in entries {
                        if let Some(id) = Nodes::blob_of(value) {
                            self.want(&id, send)?;
                        }
                        visit(self, key, value, send)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// True if a tree that the target has holds this node: at the place where its last key belongs.
    fn is_in(&self, base: Option<Root>, id: BlobId, level: u8, last_key: Option<&[u8]>) -> Result<bool> {
        let Some(base) = base else { return Ok(false) };
        let (mut at, mut at_level) = (base.id, base.level);
        while at_level > level {
            let Some(last_key) = last_key else { return Ok(false) };
            let node = match self.base_nodes.load(&at) {
                Ok(node) => node,
                Err(error) if error.kind() == larder_sdk::ErrorKind::CorruptItem => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let Node::Inner(_, children) = &*node else { return Ok(false) };
            let place = children.partition_point(|(last, _)| last.as_slice() < last_key);
            let Some((_, child)) = children.get(place) else { return Ok(false) };
            at = child.id;
            at_level -= 1;
        }
        Ok(at_level == level && at == id)
    }

    /// Wants what an entry of a container's tree needs; returns a tree it leads to.
    fn entry(&mut self, key: &[u8], value: &[u8], send: &mut Sink<'_>) -> Result<Option<Root>> {
        match key.first() {
            Some(&catalog::CHILD) => {
                let record: ItemRecord = self.nodes.unwrap(value)?;
                record.streams.iter().try_for_each(|stream| self.stream(stream, send))?;
                Ok(None)
            }
            Some(&catalog::LISTING) => Ok(self.nodes.unwrap::<ListingRecord>(value)?.base),
            _ => Ok(None),
        }
    }

    fn stream(&mut self, stream: &StreamRecord, send: &mut Sink<'_>) -> Result<()> {
        match &stream.content {
            Content::Empty => Ok(()),
            Content::One => {
                let id = self.to.keys().blob_id(&stream.digest);
                self.want(&id, send)
            }
            Content::List { depth, .. } if *depth > LIST_DEPTH_MAX => {
                Err(EngineError::damaged(format!("a list of chunks is {depth} levels deep")))
            }
            Content::List { depth, ids } => self.list(ids, *depth, send),
        }
    }

    fn list(&mut self, ids: &[BlobId], depth: u8, send: &mut Sink<'_>) -> Result<()> {
        for id in ids {
            self.want(id, send)?;
            if depth > 0 {
                let below = browse::ids_of(&self.blobs.read(id)?)?;
                self.list(&below, depth - 1, send)?;
            }
        }
        Ok(())
    }

    fn want(&mut self, id: &BlobId, send: &mut Sink<'_>) -> Result<()> {
        if !self.to.claim(id.short())? {
            return Ok(());
        }
        let location = self.blobs.repository().index().find(id.short())?.ok_or_else(|| {
            EngineError::damaged(format!("blob {id} is in no index segment of the source"))
                .with_hint("run `larder check` on the source; --repair mends what can be mended")
        })?;
        let place = Place { kind: location.kind, pack: location.pack, frame: location.frame };
        let blob = FrameBlob { id: id.short(), bytes: location.bytes };
        self.wanted.entry(place).or_default().insert(location.offset, blob);
        self.count += 1;
        if self.count < WINDOW_BLOBS {
            return Ok(());
        }
        let wanted = self.rest();
        send(wanted)
    }
}
