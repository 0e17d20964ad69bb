//! How much there is, and how much room it takes: of each set, of each of its snapshots, and of the whole repository.
//!
//! A set's snapshots are walked side by side, so that what they share is read once. What is stored is counted by frames: a frame of which
//! anything is needed has to be kept.

use std::{cell::RefCell, sync::Arc};

use larder_sdk::Time;

use super::distinct::{Distinct, mixed};
use crate::{
    browse::ids_of,
    catalog::{self, Content, ItemRecord, StreamRecord},
    error::{EngineError, EngineErrorKind, Result},
    events::{Counts, Event, Events},
    hash::{BlobId, ObjectName},
    index::{BlobKind, Location},
    process::Interrupt,
    repository::{BlobReader, Nodes, layout},
    snapshot::{ContainerRecord, SnapshotRecord},
    tree::{self, Alike, Root, Row, Trees},
};

/// Deepest list of lists of chunks.
const LIST_DEPTH_MAX: u8 = 6;
/// Items between two tellings of how far it is.
const TOLD_EVERY: u64 = 1000;

/// What a snapshot holds, and what it brought.
#[derive(Clone, Debug)]
pub struct SnapshotStats {
    /// Its id.
    pub id: ObjectName,
    /// Its number.
    pub run: u64,
    /// When it was taken.
    pub finished: Time,
    /// Items in it.
    pub items: u64,
    /// Bytes of their streams.
    pub bytes: u64,
    /// Bytes of contents that no earlier snapshot of the set has, each once.
    pub new_bytes: u64,
    /// Bytes in the store that no earlier snapshot of the set needs, trees included.
    pub new_stored_bytes: u64,
}

/// What a set's snapshots hold together.
#[derive(Clone, Debug, Default)]
pub struct SetStats {
    /// The set's name.
    pub set: String,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<SnapshotStats>,
    /// Bytes of contents, each once.
    pub unique_bytes: u64,
    /// Bytes of contents in the store, compressed and sealed.
    pub stored_bytes: u64,
    /// Bytes of trees in the store.
    pub tree_bytes: u64,
    /// True if the three before, and what single snapshots brought, are counted; else they are estimated from a fair sample.
    pub exact: bool,
}

impl SetStats {
    /// Bytes of streams in all snapshots together: what restoring each of them would write.
    pub fn bytes(&self) -> u64 {
        self.snapshots.iter().map(|snapshot| snapshot.bytes).sum()
    }
}

/// What a repository holds.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Its sets.
    pub sets: Vec<SetStats>,
    /// Bytes of contents in all of them, each once.
    pub unique_bytes: u64,
    /// Bytes of packs that something needs, of contents.
    pub stored_bytes: u64,
    /// Bytes of packs that something needs, of trees.
    pub tree_bytes: u64,
    /// As in [`SetStats::exact`].
    pub exact: bool,
    /// Objects in the store.
    pub objects: u64,
    /// Bytes of packs in the store, of contents.
    pub data_pack_bytes: u64,
    /// Bytes of packs in the store, of trees.
    pub tree_pack_bytes: u64,
    /// Bytes of index segments.
    pub index_bytes: u64,
    /// Bytes of everything else.
    pub other_bytes: u64,
    /// Blobs that snapshots need and no index segment has. [`super::check`] says more.
    pub missing_blobs: u64,
}

impl Stats {
    /// Bytes in the store.
    pub fn total_bytes(&self) -> u64 {
        self.data_pack_bytes + self.tree_pack_bytes + self.index_bytes + self.other_bytes
    }
}

/// Counts. The reader's index must be loaded. `sets` are sets' names and snapshots, oldest first.
pub fn stats(
    blobs: &Arc<BlobReader>,
    sets: &[(&str, Vec<(ObjectName, &SnapshotRecord)>)],
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<Stats> {
    let nodes = Nodes::read_only(Arc::clone(blobs));
    let counting = Counting { blobs, nodes: &nodes, events, interrupt, sums: RefCell::default() };
    let mut stats = Stats::default();
    for (set, snapshots) in sets {
        stats.sets.push(counting.set(set, snapshots).map_err(|error| {
            error.context(format_args!("set `{set}`")).with_hint("run `larder check` to see what is damaged")
        })?);
    }
    let sums = counting.sums.into_inner();
    stats.unique_bytes = sums.whole.contents.bytes();
    stats.stored_bytes = sums.whole.frames.bytes();
    stats.tree_bytes = sums.whole.tree_frames.bytes();
    stats.exact = sums.whole.is_exact();
    stats.missing_blobs = sums.missing;
    list_objects(blobs, &mut stats)?;
    Ok(stats)
}

fn list_objects(blobs: &BlobReader, stats: &mut Stats) -> Result<()> {
    let objects = blobs.repository().store().list_all("").map_err(EngineError::store)?;
    for (key, info) in objects {
        stats.objects += 1;
        let folder =
            |folder: &str| key.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        if folder(layout::pack_folder(BlobKind::Data)) {
            stats.data_pack_bytes += info.size;
        } else if folder(layout::pack_folder(BlobKind::Tree)) {
            stats.tree_pack_bytes += info.size;
        } else if BlobKind::ALL.into_iter().any(|kind| folder(layout::index_folder(kind))) {
            stats.index_bytes += info.size;
        } else {
            stats.other_bytes += info.size;
        }
    }
    Ok(())
}

/// Blobs and frames, each once.
#[derive(Default)]
struct Tally {
    contents: Distinct,
    frames: Distinct,
    tree_frames: Distinct,
}

impl Tally {
    fn add(&mut self, id: &BlobId, location: &Location, snapshot: u32) {
        let id = first_half(&id.0);
        let frame = mixed(first_half(&location.pack.0), u64::from(location.frame.number));
        match location.kind {
            BlobKind::Data => {
                self.contents.add(id, location.bytes, snapshot);
                self.frames.add(frame, location.frame.sealed_bytes, snapshot);
            }
            BlobKind::Tree => self.tree_frames.add(frame, location.frame.sealed_bytes, snapshot),
        }
    }

    fn is_exact(&self) -> bool {
        [&self.contents, &self.frames, &self.tree_frames].iter().all(|distinct| distinct.is_exact())
    }
}

fn first_half(id: &[u8]) -> u64 {
    id.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[derive(Default)]
struct Sums {
    whole: Tally,
    set: Tally,
    /// Items and bytes of each snapshot of the set.
    snapshots: Vec<(u64, u64)>,
    /// Rows looked at.
    items: u64,
    missing: u64,
    /// What kept the index from being asked.
    failed: Option<EngineError>,
}

struct Counting<'run> {
    blobs: &'run BlobReader,
    nodes: &'run Nodes,
    events: &'run dyn Events,
    interrupt: &'run Interrupt,
    sums: RefCell<Sums>,
}

impl Counting<'_> {
    fn set(&self, set: &str, snapshots: &[(ObjectName, &SnapshotRecord)]) -> Result<SetStats> {
        {
            let mut sums = self.sums.borrow_mut();
            sums.set = Tally::default();
            sums.snapshots = vec![(0, 0); snapshots.len()];
        }
        let roots: Vec<_> = snapshots.iter().map(|(_, snapshot)| snapshot.root).collect();
        self.walk(&roots, &mut |row| {
            let mut states: Vec<Option<Root>> = vec![None; roots.len()];
            for (value, trees) in &row.values {
                let record: ContainerRecord = self.nodes.unwrap(value)?;
                for tree in trees.iter() {
                    states[*tree as usize] = record.root;
                }
            }
            self.walk(&states, &mut |row| self.item(row))
        })?;
        let sums = self.sums.borrow();
        let brought = |distinct: &Distinct| distinct.first_bytes(snapshots.len());
        let new = brought(&sums.set.contents);
        let (frames, trees) = (brought(&sums.set.frames), brought(&sums.set.tree_frames));
        let of_snapshot = |(place, (id, snapshot)): (usize, &(ObjectName, &SnapshotRecord))| SnapshotStats {
            id: *id,
            run: snapshot.run,
            finished: snapshot.finished,
            items: sums.snapshots[place].0,
            bytes: sums.snapshots[place].1,
            new_bytes: new[place],
            new_stored_bytes: frames[place] + trees[place],
        };
        Ok(SetStats {
            set: set.to_owned(),
            snapshots: snapshots.iter().enumerate().map(of_snapshot).collect(),
            unique_bytes: sums.set.contents.bytes(),
            stored_bytes: sums.set.frames.bytes(),
            tree_bytes: sums.set.tree_frames.bytes(),
            exact: sums.set.is_exact(),
        })
    }

    /// Visits the rows of trees; their nodes, and records that are blobs of their own, count as they are seen.
    fn walk(&self, roots: &[Option<Root>], visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let mut see = |id: &BlobId, trees: &Trees| self.blob(id, trees);
        let mut walk = tree::together(self.nodes, roots, b"", Alike::Shown).seeing(&mut see);
        while let Some(row) = walk.next_row()? {
            self.interrupt.check()?;
            for (value, trees) in &row.values {
                if let Some(id) = Nodes::blob_of(value) {
                    self.blob(&id, trees);
                }
            }
            visit(&row)?;
        }
        let broken: Option<EngineError> = walk.broken().pop().map(|(error, _)| error.into());
        match broken.or_else(|| self.sums.borrow_mut().failed.take()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn blob(&self, id: &BlobId, trees: &Trees) {
        let found = self.blobs.repository().index().find(id.short());
        let mut sums = self.sums.borrow_mut();
        let first = trees.first().copied().unwrap_or(0);
        let found = found.unwrap_or_else(|error| {
            if error.kind() != EngineErrorKind::Damaged {
                sums.failed.get_or_insert(error);
            }
            None
        });
        match found {
            Some(location) => {
                sums.set.add(id, &location, first);
                sums.whole.add(id, &location, 0);
            }
            None => sums.missing += 1,
        }
    }

    fn item(&self, row: &Row) -> Result<()> {
        if row.key.first() != Some(&catalog::CHILD) {
            return Ok(());
        }
        for (value, trees) in &row.values {
            let record: ItemRecord = self.nodes.unwrap(value)?;
            {
                let mut sums = self.sums.borrow_mut();
                for tree in trees.iter() {
                    let (items, bytes) = &mut sums.snapshots[*tree as usize];
                    *items += 1;
                    *bytes += record.bytes();
                }
            }
            record.streams.iter().try_for_each(|stream| self.stream(stream, trees))?;
        }
        let mut sums = self.sums.borrow_mut();
        sums.items += 1;
        if sums.items.is_multiple_of(TOLD_EVERY) {
            self.events.event(Event::Progress(Counts { items: sums.items, ..Counts::default() }));
        }
        Ok(())
    }

    fn stream(&self, stream: &StreamRecord, trees: &Trees) -> Result<()> {
        match &stream.content {
            Content::Empty => Ok(()),
            Content::One => {
                self.blob(&self.blobs.repository().keys().blob_id(&stream.digest), trees);
                Ok(())
            }
            Content::List { depth, ids } => self.list(*depth, ids, trees),
        }
    }

    fn list(&self, depth: u8, ids: &[BlobId], trees: &Trees) -> Result<()> {
        if depth > LIST_DEPTH_MAX {
            return Err(EngineError::damaged(format!("a list of chunks is {depth} levels deep")));
        }
        for id in ids {
            self.blob(id, trees);
            if depth > 0 {
                self.list(depth - 1, &ids_of(&self.blobs.read_tree(id)?)?, trees)?;
            }
        }
        Ok(())
    }
}
