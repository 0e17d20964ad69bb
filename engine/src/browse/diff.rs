//! What differs between two snapshots. Nodes that both have are passed over unread, so that it costs what the changes cost, whatever the
//! size of the snapshots.

use std::{collections::HashSet, sync::Arc};

use larder_sdk::{Container, ItemId, Name};

use super::{
    Broken, SnapshotView,
    find::path_text,
    moves::Moves,
    place::{Located, Places, State, states},
};
use crate::{
    catalog::{self, ItemRecord},
    error::{EngineError, EngineErrorKind, Result},
    process::Interrupt,
    repository::{BlobReader, Nodes},
    snapshot::SnapshotRecord,
    tree::{self, Alike, Root, Row, Trees},
};

/// In larger folders, names are told apart by ids rather than by a look at all of them.
const COMPARED_NAMES_MAX: usize = 4096;
/// The first and the second of the two snapshots, among the trees.
const OLD: u32 = 0;
const NEW: u32 = 1;

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the second snapshot has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it in the same place, and it differs.
    Changed,
    /// Both have it, in different folders or under different names. It may differ too.
    Moved,
}

/// One difference.
#[derive(Debug)]
pub struct Difference {
    /// What became of it.
    pub change: Change,
    /// Where it is; where it was, if it was removed.
    pub path: Vec<Name>,
    /// Where it was, if it moved.
    pub from: Option<Vec<Name>>,
    /// The container it is in.
    pub container: Arc<Container>,
    /// Its id; `None` for a container.
    pub id: Option<ItemId>,
    /// What the first snapshot says of it; `None` for a container.
    pub old: Option<ItemRecord>,
    /// What the second says of it.
    pub new: Option<ItemRecord>,
    /// The bytes of its streams differ.
    pub content: bool,
    /// What else differs.
    pub metadata: Vec<&'static str>,
}

impl Difference {
    /// The path as text.
    pub fn path_text(&self) -> String {
        path_text(&self.path)
    }
    /// The former path as text.
    pub fn from_text(&self) -> Option<String> {
        self.from.as_deref().map(path_text)
    }
}

/// Differences added up; items and containers alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffTotals {
    /// Added.
    pub added: u64,
    /// Removed.
    pub removed: u64,
    /// Changed in their bytes, in their place.
    pub changed: u64,
    /// Changed in other things only, in their place.
    pub metadata: u64,
    /// Moved.
    pub moved: u64,
    /// Bytes of what was added, and of changed items as they are now.
    pub bytes_added: u64,
    /// Bytes of what was removed, and of changed items as they were.
    pub bytes_removed: u64,
    /// There were so many moves that some may be among added and removed.
    pub moves_incomplete: bool,
}

impl DiffTotals {
    fn count(&mut self, difference: &Difference) {
        let bytes = |record: &Option<ItemRecord>| record.as_ref().map_or(0, ItemRecord::bytes);
        match difference.change {
            Change::Added => self.added += 1,
            Change::Removed => self.removed += 1,
            Change::Moved => self.moved += 1,
            Change::Changed if difference.content => self.changed += 1,
            Change::Changed => self.metadata += 1,
        }
        if difference.content {
            self.bytes_added += bytes(&difference.new);
            self.bytes_removed += bytes(&difference.old);
        }
    }
}

/// Receives differences, and what does not read.
pub type ShowDifference<'run> = &'run mut dyn FnMut(std::result::Result<&Difference, &Broken>) -> Result<()>;

/// Compares two snapshots, or what is at a path of them and below it.
pub fn diff(
    blobs: &Arc<BlobReader>,
    snapshots: [&SnapshotRecord; 2],
    path: &[String],
    interrupt: &Interrupt,
    show: ShowDifference<'_>,
) -> Result<DiffTotals> {
    let nodes = Nodes::read_only(Arc::clone(blobs));
    let roots = snapshots.map(|snapshot| snapshot.root);
    let scope = if path.is_empty() { Scope::default() } else { Scope::find(blobs, snapshots, path)? };
    let mut comparison =
        Comparison { nodes: &nodes, scope: &scope, interrupt, show, totals: DiffTotals::default() };
    let mut walk = tree::together(&nodes, &roots, b"", Alike::PassedOver);
    while let Some(row) = walk.next_row()? {
        interrupt.check()?;
        match states(&nodes, &row, roots.len()) {
            Ok(states) => comparison.container(states)?,
            Err(error) => comparison.broken(&[], error)?,
        }
    }
    for (error, _) in walk.broken() {
        comparison.broken(&[], error.into())?;
    }
    Ok(comparison.totals)
}

/// What is compared, if not everything.
#[derive(Default)]
struct Scope {
    /// Only containers whose path begins with this.
    above: Vec<String>,
    /// Or only one container, in it what is in these folders, and they themselves.
    inside: Option<(larder_sdk::ContainerId, HashSet<ItemId>)>,
}

impl Scope {
    fn find(blobs: &Arc<BlobReader>, snapshots: [&SnapshotRecord; 2], path: &[String]) -> Result<Self> {
        let mut scope = Self::default();
        let (mut found, mut missing) = (false, None);
        for snapshot in snapshots {
            let entry = match SnapshotView::open(Arc::clone(blobs), snapshot)?.find(path) {
                Ok(entry) => entry,
                Err(error) if error.kind() == EngineErrorKind::Failed => {
                    missing = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            found = true;
            let Some((container, (_, id, _))) = entry.container.zip(entry.item) else {
                return Ok(Self { above: path.to_vec(), inside: None });
            };
            let id_of = &container.container.id;
            let (known, ids) = scope.inside.get_or_insert_with(|| (id_of.clone(), HashSet::new()));
            if known != id_of {
                return Err(EngineError::failed(
                    "the path is in one container in the first snapshot and in another in the second",
                )
                .with_hint("compare them from further up"));
            }
            ids.insert(id);
        }
        match missing {
            Some(error) if !found => Err(error.context("neither snapshot has this path")),
            _ => Ok(scope),
        }
    }

    /// The folders whose items count in a container; `None` if none of it does.
    fn within(&self, container: &Container) -> Option<HashSet<ItemId>> {
        if let Some((id, folders)) = &self.inside {
            return (*id == container.id).then(|| folders.clone());
        }
        let shown = |name: &Name| super::display_name(name.as_bytes());
        let is_below = container.path.len() >= self.above.len()
            && container.path.iter().zip(&self.above).all(|(name, part)| shown(name) == *part);
        is_below.then(|| HashSet::from([ItemId::default()]))
    }
}

struct Comparison<'run> {
    nodes: &'run Nodes,
    scope: &'run Scope,
    interrupt: &'run Interrupt,
    show: ShowDifference<'run>,
    totals: DiffTotals,
}

impl Comparison<'_> {
    fn show(&mut self, difference: &Difference) -> Result<()> {
        self.totals.count(difference);
        (self.show)(Ok(difference))
    }

    fn broken(&mut self, path: &[Name], error: EngineError) -> Result<()> {
        if error.kind() != EngineErrorKind::Damaged {
            return Err(error);
        }
        (self.show)(Err(&Broken { path: path_text(path), error }))
    }

    fn container(&mut self, states: Vec<Option<State>>) -> Result<()> {
        let Some(container) = states.iter().flatten().next_back().map(|state| Arc::clone(&state.container))
        else {
            return Ok(());
        };
        let Some(within) = self.scope.within(&container) else { return Ok(()) };
        if self.scope.inside.is_none() {
            self.container_itself(&states)?;
        }
        let mut places = Places::new(self.nodes, states, within, COMPARED_NAMES_MAX);
        let roots: [Option<Root>; 2] =
            [OLD, NEW].map(|tree| places.roots().get(tree as usize).copied().flatten());
        if roots[0] == roots[1] {
            return Ok(());
        }
        let moves = Moves::find(self.nodes, roots, container.path_ids, self.interrupt)?;
        self.totals.moves_incomplete |= moves.incomplete;
        let mut walk = tree::together(self.nodes, &roots, &[catalog::CHILD], Alike::PassedOver);
        while let Some(row) = walk.next_row()? {
            self.interrupt.check()?;
            match difference(self.nodes, &mut places, &moves, &container, &row) {
                Ok(Some(difference)) => self.show(&difference)?,
                Ok(None) => {}
                Err(error) => self.broken(&container.path, error)?,
            }
        }
        for (error, _) in walk.broken() {
            self.broken(&container.path, error.into())?;
        }
        Ok(())
    }

    fn container_itself(&mut self, states: &[Option<State>]) -> Result<()> {
        let of = |tree: u32| states.get(tree as usize)?.as_ref().map(|state| Arc::clone(&state.container));
        let (old, new) = (of(OLD), of(NEW));
        let (change, container, from) = match (old, new) {
            (None, Some(new)) => (Change::Added, new, None),
            (Some(old), None) => (Change::Removed, old, None),
            (Some(old), Some(new)) if old.path != new.path => (Change::Moved, new, Some(old.path.clone())),
            _ => return Ok(()),
        };
        let path = container.path.clone();
        let none = (None, None, None);
        let (id, old, new) = none;
        self.show(&Difference {
            change,
            path,
            from,
            container,
            id,
            old,
            new,
            content: false,
            metadata: Vec::new(),
        })
    }
}

/// What a row of the two trees means; nothing if it is a moved item's former place, or not asked for.
fn difference(
    nodes: &Nodes,
    places: &mut Places<'_>,
    moves: &Moves,
    container: &Arc<Container>,
    row: &Row,
) -> Result<Option<Difference>> {
    let (parent, id) = catalog::parse_child(&row.key)
        .ok_or_else(|| EngineError::damaged("a tree has a key that does not read"))?;
    let record = |tree: u32| -> Result<Option<ItemRecord>> {
        let value = row.values.iter().find(|(_, trees)| trees.contains(&tree));
        value.map(|(value, _)| nodes.unwrap(value)).transpose()
    };
    let (mut old, new) = (record(OLD)?, record(NEW)?);
    let (mut old_parent, mut old_id) = (parent.clone(), id.clone());
    if old.is_none() {
        if let Some((from, former)) = moves.from(&id) {
            let root = places.roots().first().copied().flatten();
            if let Some(root) = root
                && let Some((_, value)) = tree::get(nodes, root, &catalog::child_key(from, former))?
            {
                old = Some(nodes.unwrap(&value)?);
                (old_parent, old_id) = (from.clone(), former.clone());
            }
        }
    } else if new.is_none() && moves.is_former(&id) {
        return Ok(None);
    }
    let mut place = |parent: &ItemId, id: &ItemId, record: &Option<ItemRecord>, tree: u32| match record {
        Some(record) => located(places, parent, id, record, tree),
        None => Ok(None),
    };
    let was = place(&old_parent, &old_id, &old, OLD)?;
    let is = place(&parent, &id, &new, NEW)?;
    if !was.iter().chain(&is).any(|place| place.within) {
        return Ok(None);
    }
    let elsewhere = match (&old, &new) {
        (Some(old), Some(new)) => old_parent != parent || old_id != id || old.name != new.name,
        _ => false,
    };
    let path_of = |place: Option<Located>| place.map(|place| place.path.to_vec());
    let (change, path, from) = match (path_of(was), path_of(is)) {
        (Some(was), Some(is)) if elsewhere => (Change::Moved, is, Some(was)),
        (Some(_), Some(is)) => (Change::Changed, is, None),
        (None, Some(is)) => (Change::Added, is, None),
        (Some(was), None) => (Change::Removed, was, None),
        (None, None) => return Ok(None),
    };
    let content = match (&old, &new) {
        (Some(old), Some(new)) => differing_streams(old, new),
        (one, other) => one.iter().chain(other).any(|record| !record.streams.is_empty()),
    };
    let metadata = match (&old, &new) {
        (Some(old), Some(new)) => differing_metadata(old, new),
        _ => Vec::new(),
    };
    let container = Arc::clone(container);
    Ok(Some(Difference { change, path, from, container, id: Some(id), old, new, content, metadata }))
}

fn located(
    places: &mut Places<'_>,
    parent: &ItemId,
    id: &ItemId,
    record: &ItemRecord,
    tree: u32,
) -> Result<Option<Located>> {
    let trees: Trees = Arc::from([tree]);
    Ok(places.of_item(parent, id, &record.name, &trees)?.pop())
}

fn differing_streams(old: &ItemRecord, new: &ItemRecord) -> bool {
    old.streams.len() != new.streams.len()
        || old
            .streams
            .iter()
            .zip(&new.streams)
            .any(|(old, new)| (&old.name, old.bytes, old.digest) != (&new.name, new.bytes, new.digest))
}

/// What differs beside name and streams, in words.
fn differing_metadata(old: &ItemRecord, new: &ItemRecord) -> Vec<&'static str> {
    let posix = |record: &ItemRecord| record.posix.clone().unwrap_or_default();
    let (was, is) = (posix(old), posix(new));
    let media = |record: &ItemRecord| -> Vec<_> {
        record.streams.iter().map(|stream| stream.media.clone()).collect()
    };
    let pairs = [
        ("kind", old.kind != new.kind || old.folder != new.folder),
        ("modified", old.modified != new.modified),
        ("mode", was.mode != is.mode),
        ("owner", (was.uid, was.gid) != (is.uid, is.gid)),
        ("link", (was.link, &was.target, was.rdev) != (is.link, &is.target, is.rdev)),
        ("sparse", was.sparse != is.sparse),
        ("properties", old.meta != new.meta),
        ("media type", media(old) != media(new)),
        ("version tag", old.tag != new.tag || old.scope != new.scope),
    ];
    pairs.into_iter().filter_map(|(word, differs)| differs.then_some(word)).collect()
}
