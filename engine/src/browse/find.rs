//! Looking for items in all snapshots of a set at once.
//!
//! The trees of all snapshots are walked side by side: what they share is read and looked at once, and an item is told once for each
//! state it has had, with the snapshots that hold that state. Memory does not grow with the number of items or of hits.

use std::{collections::HashSet, sync::Arc};

use larder_sdk::{Container, ItemId, Name, Time};

use super::{
    Broken, display_name,
    pattern::Patterns,
    place::{Below, Located, Places, State, states},
};
use crate::{
    catalog::{self, ItemRecord},
    error::{EngineError, Result},
    process::Interrupt,
    repository::{BlobReader, Nodes},
    snapshot::SnapshotRecord,
    tree::{self, Alike, Row},
};

/// What is looked for. All that is said must hold.
#[derive(Clone, Debug, Default)]
pub struct FindOptions {
    /// Globs, of which one must match: on the name, or on the whole path if it has a `/`.
    pub patterns: Vec<String>,
    /// Upper and lower case are alike.
    pub ignore_case: bool,
    /// Kinds, of which it must be one, if any are given.
    pub kinds: Vec<String>,
    /// It was changed then or later.
    pub newer: Option<Time>,
    /// It was changed before.
    pub older: Option<Time>,
    /// It has more bytes than this.
    pub larger: Option<u64>,
    /// It has fewer bytes than this.
    pub smaller: Option<u64>,
    /// Of the states of an item that match, only the newest is wanted.
    pub newest_only: bool,
}

/// An item in one of its states.
#[derive(Debug)]
pub struct Hit {
    /// Its path, as it is in the last of the snapshots.
    pub path: Vec<Name>,
    /// The container it is in.
    pub container: Arc<Container>,
    /// Its id and record; `None` for a container.
    pub item: Option<(ItemId, ItemRecord)>,
    /// The first, in the order given, of the snapshots that have it like this.
    pub first: usize,
    /// The last.
    pub last: usize,
    /// How many there are, which need not be all between the two.
    pub snapshots: usize,
}

impl Hit {
    /// The path as text.
    pub fn path_text(&self) -> String {
        path_text(&self.path)
    }
}

pub(super) fn path_text(path: &[Name]) -> String {
    path.iter().fold(String::new(), |path, name| path + "/" + &display_name(name.as_bytes()))
}

/// Looks through snapshots of one set, oldest first. Tells what matches in the order of containers, and in each of folders' ids; and
/// what does not read.
pub fn find(
    blobs: &Arc<BlobReader>,
    snapshots: &[&SnapshotRecord],
    options: &FindOptions,
    interrupt: &Interrupt,
    show: &mut dyn FnMut(std::result::Result<Hit, Broken>) -> Result<()>,
) -> Result<()> {
    let patterns = Patterns::new(&options.patterns, options.ignore_case)?;
    let nodes = Nodes::read_only(Arc::clone(blobs));
    let roots: Vec<_> = snapshots.iter().map(|snapshot| snapshot.root).collect();
    let below = Below::read(&nodes, &roots)?;
    let mut walk = tree::together(&nodes, &roots, b"", Alike::Shown);
    while let Some(row) = walk.next_row()? {
        interrupt.check()?;
        match states(&nodes, &row, roots.len()) {
            Ok(states) => {
                Search {
                    nodes: &nodes,
                    options,
                    patterns: &patterns,
                    below: &below,
                    interrupt,
                    show: &mut *show,
                }
                .container(&states)?;
            }
            Err(error) => show(Err(Broken { path: String::new(), error }))?,
        }
    }
    for (error, _) in walk.broken() {
        show(Err(Broken { path: String::new(), error: error.into() }))?;
    }
    Ok(())
}

struct Search<'run> {
    nodes: &'run Nodes,
    options: &'run FindOptions,
    patterns: &'run Patterns,
    below: &'run Below,
    interrupt: &'run Interrupt,
    show: &'run mut dyn FnMut(std::result::Result<Hit, Broken>) -> Result<()>,
}

impl Search<'_> {
    fn container(&mut self, states: &[Option<State>]) -> Result<()> {
        let Some(newest) = states.iter().flatten().next_back().cloned() else { return Ok(()) };
        let mut places = Places::new(self.nodes, states.to_vec(), HashSet::new(), usize::MAX)
            .with_names_taken(self.below.names(&newest.container.path));
        self.of_containers(states)?;
        let roots = places.roots().to_vec();
        let mut walk = tree::together(self.nodes, &roots, &[catalog::CHILD], Alike::Shown);
        while let Some(row) = walk.next_row()? {
            self.interrupt.check()?;
            if let Err(error) = self.row(&mut places, states, &row) {
                if error.kind() != crate::error::EngineErrorKind::Damaged {
                    return Err(error);
                }
                (self.show)(Err(Broken { path: path_text(&newest.container.path), error }))?;
            }
        }
        for (error, _) in walk.broken() {
            (self.show)(Err(Broken { path: path_text(&newest.container.path), error: error.into() }))?;
        }
        Ok(())
    }

    /// A container is a hit for each path it has had that matches.
    fn of_containers(&mut self, states: &[Option<State>]) -> Result<()> {
        let options = self.options;
        if options.newer.is_some()
            || options.older.is_some()
            || options.larger.is_some()
            || options.smaller.is_some()
        {
            return Ok(());
        }
        let mut hits: Vec<Hit> = Vec::new();
        for (place, state) in states.iter().enumerate() {
            let Some(container) = state.as_ref().map(|state| &state.container) else { continue };
            if let Some(hit) = hits.iter_mut().find(|hit| hit.path == container.path) {
                hit.last = place;
                hit.snapshots += 1;
                hit.container = Arc::clone(container);
                continue;
            }
            let name = container.path.last().map_or_else(String::new, |name| display_name(name.as_bytes()));
            let path = container.path.clone();
            if self.is_kind(container.kind.as_str())
                && (self.patterns.name(&name) || self.patterns.path(&path_text(&path)))
            {
                let container = Arc::clone(container);
                hits.push(Hit { path, container, item: None, first: place, last: place, snapshots: 1 });
            }
        }
        self.show_all(hits)
    }

    fn row(&mut self, places: &mut Places<'_>, states: &[Option<State>], row: &Row) -> Result<()> {
        let (parent, id) = catalog::parse_child(&row.key)
            .ok_or_else(|| EngineError::damaged("a tree has a key that does not read"))?;
        let mut hits = Vec::new();
        for (value, trees) in &row.values {
            let record: ItemRecord = self.nodes.unwrap(value)?;
            let name = display_name(record.name.as_bytes());
            let by_name = self.patterns.name(&name);
            if !(by_name || self.patterns.may_by_path(&name)) || !self.fits(&record) {
                continue;
            }
            let mut located = places.of_item(&parent, &id, &record.name, trees)?;
            located.retain(|place| by_name || self.patterns.path(&path_text(&place.path)));
            let Some(newest) = located.iter().max_by_key(|place| place.trees.last().copied()) else {
                continue;
            };
            let last = newest.trees.last().map_or(0, |tree| *tree as usize);
            let Some(state) = states.get(last).and_then(Option::as_ref) else { continue };
            let container = Arc::clone(&state.container);
            hits.push(Hit {
                path: newest.path.to_vec(),
                container,
                item: Some((id.clone(), record)),
                first: located
                    .iter()
                    .filter_map(|place| place.trees.first())
                    .min()
                    .map_or(0, |tree| *tree as usize),
                last,
                snapshots: count(&located),
            });
        }
        hits.sort_by_key(|hit| hit.last);
        self.show_all(hits)
    }

    fn show_all(&mut self, mut hits: Vec<Hit>) -> Result<()> {
        let unwanted = if self.options.newest_only { hits.len().saturating_sub(1) } else { 0 };
        hits.drain(unwanted..).try_for_each(|hit| (self.show)(Ok(hit)))
    }

    fn is_kind(&self, kind: &str) -> bool {
        self.options.kinds.is_empty() || self.options.kinds.iter().any(|wanted| wanted == kind)
    }

    fn fits(&self, record: &ItemRecord) -> bool {
        let options = self.options;
        let bytes = record.bytes();
        self.is_kind(record.kind.as_str())
            && options.newer.is_none_or(|then| record.modified.is_some_and(|at| at >= then))
            && options.older.is_none_or(|then| record.modified.is_some_and(|at| at < then))
            && options.larger.is_none_or(|limit| !record.streams.is_empty() && bytes > limit)
            && options.smaller.is_none_or(|limit| !record.streams.is_empty() && bytes < limit)
    }
}

fn count(located: &[Located]) -> usize {
    let trees: HashSet<u32> = located.iter().flat_map(|place| place.trees.iter()).copied().collect();
    trees.len()
}
