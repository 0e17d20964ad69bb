//! Where the items of one container are, in several of its states at once: an item's record knows its name, and its key its folder; the
//! rest of the path is looked up and remembered folder by folder.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use larder_sdk::{Container, ItemId, Name};

use super::name::Doubles;
use crate::{
    catalog::{self, ItemRecord},
    error::{EngineError, Result},
    repository::Nodes,
    snapshot::ContainerRecord,
    tree::{self, Alike, Root, Row, Trees},
};

/// Most folders remembered.
const FOLDERS_MAX: usize = 4096;
/// Most folders whose equal names are remembered.
const DOUBLES_MAX: usize = 64;
/// Deepest folder.
const DEPTH_MAX: usize = 2048;

/// One state of a container: what it was called, and its tree.
#[derive(Clone)]
pub(super) struct State {
    pub(super) container: Arc<Container>,
    pub(super) root: Option<Root>,
}

/// The states that a row of snapshots' trees says a container has had.
pub(super) fn states(nodes: &Nodes, row: &Row, trees: usize) -> Result<Vec<Option<State>>> {
    let mut states = vec![None; trees];
    for (value, of_value) in &row.values {
        let record: ContainerRecord = nodes.unwrap(value)?;
        let state = State { container: Arc::new(record.container), root: record.root };
        for tree in of_value.iter() {
            if let Some(slot) = states.get_mut(*tree as usize) {
                *slot = Some(state.clone());
            }
        }
    }
    Ok(states)
}

/// Which names containers take in the folders of others: a site's sub-sites stand beside its lists.
pub(super) struct Below(HashMap<Vec<Name>, HashSet<Name>>);

impl Below {
    /// Reads the paths of all containers in snapshots' trees. What does not read is told by whoever walks them next.
    pub(super) fn read(nodes: &Nodes, roots: &[Option<Root>]) -> Result<Self> {
        let mut names: HashMap<Vec<Name>, HashSet<Name>> = HashMap::new();
        let mut walk = tree::together(nodes, roots, b"", Alike::Shown);
        while let Some(row) = walk.next_row()? {
            let newest = row.values.iter().max_by_key(|(_, trees)| trees.last().copied());
            let Some(Ok(record)) = newest.map(|(value, _)| nodes.unwrap::<ContainerRecord>(value)) else {
                continue;
            };
            let path = record.container.path;
            for depth in 1..path.len() {
                names.entry(path[..depth].to_vec()).or_default().insert(path[depth].clone());
            }
        }
        Ok(Self(names))
    }

    /// The names taken in the folder of the container at this path.
    pub(super) fn names(&self, path: &[Name]) -> Vec<Name> {
        self.0.get(path).into_iter().flatten().cloned().collect()
    }
}

/// A place, and the states in which it is that.
#[derive(Clone)]
pub(super) struct Located {
    pub(super) trees: Trees,
    /// The path from the top, names as shown.
    pub(super) path: Arc<[Name]>,
    /// It is one of the folders asked for, or below one.
    pub(super) within: bool,
}

/// Finds paths.
pub(super) struct Places<'walk> {
    nodes: &'walk Nodes,
    states: Vec<Option<State>>,
    roots: Vec<Option<Root>>,
    path_ids: bool,
    within: HashSet<ItemId>,
    /// In folders of more entries than this, every name is told apart by its id, which costs no look at the others.
    compared_max: usize,
    folders: Recent<ItemId, Arc<Vec<Located>>>,
    doubles: Recent<(ItemId, u32), Option<Arc<Doubles>>>,
    /// Names of other containers directly below this one.
    above: Vec<Name>,
}

impl<'walk> Places<'walk> {
    /// For these states, of which those that are none are of snapshots that do not have the container.
    pub(super) fn new(
        nodes: &'walk Nodes,
        states: Vec<Option<State>>,
        within: HashSet<ItemId>,
        compared_max: usize,
    ) -> Self {
        let roots = states.iter().map(|state| state.as_ref().and_then(|state| state.root)).collect();
        let path_ids = states.iter().flatten().any(|state| state.container.path_ids);
        Self {
            nodes,
            states,
            roots,
            path_ids,
            within,
            compared_max,
            folders: Recent::new(FOLDERS_MAX),
            doubles: Recent::new(DOUBLES_MAX),
            above: Vec::new(),
        }
    }

    /// Says which other containers lie directly below this one: their names are taken.
    pub(super) fn with_names_taken(mut self, names: Vec<Name>) -> Self {
        self.above = names;
        self
    }

    /// The trees' roots.
    pub(super) fn roots(&self) -> &[Option<Root>] {
        &self.roots
    }

    /// Where an item is in these states. States in which a folder above it is missing are left out: nothing leads to it there.
    pub(super) fn of_item(
        &mut self,
        parent: &ItemId,
        id: &ItemId,
        name: &Name,
        trees: &Trees,
    ) -> Result<Vec<Located>> {
        let mut found = Vec::new();
        for folder in self.folder(parent, 0)?.iter() {
            let both = common(&folder.trees, trees);
            if let Some(newest) = both.last().copied() {
                let shown = self.shown(parent, id, name, newest)?;
                let path: Arc<[Name]> = folder.path.iter().cloned().chain([shown]).collect();
                let within = folder.within || self.within.contains(id);
                found.push(Located { trees: both, path, within });
            }
        }
        Ok(found)
    }

    fn folder(&mut self, id: &ItemId, depth: usize) -> Result<Arc<Vec<Located>>> {
        if let Some(known) = self.folders.get(id) {
            return Ok(Arc::clone(known));
        }
        if depth > DEPTH_MAX {
            return Err(EngineError::damaged("folders contain each other"));
        }
        let found = Arc::new(if id.is_empty() { self.top() } else { self.below_top(id, depth)? });
        self.folders.keep(id.clone(), Arc::clone(&found));
        Ok(found)
    }

    /// The container's own folder: one place for each path it has had.
    fn top(&self) -> Vec<Located> {
        let mut found: Vec<(Vec<Name>, Vec<u32>)> = Vec::new();
        for (state, tree) in self.states.iter().zip(0..) {
            let Some(state) = state else { continue };
            match found.iter_mut().find(|(path, _)| *path == state.container.path) {
                Some((_, trees)) => trees.push(tree),
                None => found.push((state.container.path.clone(), vec![tree])),
            }
        }
        let within = self.within.contains(&ItemId::default());
        found
            .into_iter()
            .map(|(path, trees)| Located { trees: trees.into(), path: path.into(), within })
            .collect()
    }

    fn below_top(&mut self, id: &ItemId, depth: usize) -> Result<Vec<Located>> {
        let mut found = Vec::new();
        for (parent, of_parent) in self.parents(id)? {
            for (value, of_value) in self.values(&catalog::child_key(&parent, id))? {
                let trees = common(&of_parent, &of_value);
                let Some(newest) = trees.last().copied() else { continue };
                let record: ItemRecord = self.nodes.unwrap(&value)?;
                let shown = self.shown(&parent, id, &record.name, newest)?;
                for above in self.folder(&parent, depth + 1)?.iter() {
                    let trees = common(&above.trees, &trees);
                    if !trees.is_empty() {
                        let path = above.path.iter().cloned().chain([shown.clone()]).collect();
                        let within = above.within || self.within.contains(id);
                        found.push(Located { trees, path, within });
                    }
                }
            }
        }
        Ok(found)
    }

    /// The folders that an item has been in.
    pub(super) fn parents(&self, id: &ItemId) -> Result<Vec<(ItemId, Trees)>> {
        if self.path_ids {
            let bytes = id.as_bytes();
            let end = bytes.iter().rposition(|byte| *byte == 0).unwrap_or(0);
            let all: Trees = (0..self.roots.len() as u32).collect();
            return Ok(vec![(ItemId::new(&bytes[..end]), all)]);
        }
        let values = self.values(&catalog::where_key(id))?;
        Ok(values.into_iter().map(|(parent, trees)| (ItemId::new(parent), trees)).collect())
    }

    /// What the trees have under a key.
    fn values(&self, key: &[u8]) -> Result<Vec<(Vec<u8>, Trees)>> {
        let mut walk = tree::together(self.nodes, &self.roots, key, Alike::Shown);
        let row = walk.next_row()?;
        if let Some((error, _)) = walk.broken().pop() {
            return Err(error.into());
        }
        Ok(row.filter(|row| row.key == key).map_or_else(Vec::new, |row| row.values))
    }

    /// The name by which a state shows an item.
    fn shown(&mut self, parent: &ItemId, id: &ItemId, name: &Name, tree: u32) -> Result<Name> {
        let top = parent.is_empty();
        // Ids that are paths tell names apart by themselves.
        if self.path_ids && !(top && self.above.contains(name)) {
            return Ok(name.clone());
        }
        let key = (parent.clone(), tree);
        let known = match self.doubles.get(&key) {
            Some(known) => known.clone(),
            None => {
                let found = self.look_for_doubles(parent, tree)?.map(Arc::new);
                self.doubles.keep(key, found.clone());
                found
            }
        };
        Ok(known.map_or_else(|| super::name::distinct(name, id), |doubles| doubles.name(name, id)))
    }

    fn look_for_doubles(&self, parent: &ItemId, tree: u32) -> Result<Option<Doubles>> {
        let mut doubles = Doubles::default();
        if parent.is_empty() {
            self.above.iter().for_each(|name| doubles.note(name.as_bytes()));
        }
        let prefix = catalog::child_prefix(parent);
        let root = self.roots.get(tree as usize).copied().flatten();
        let mut scan = tree::scan_around(self.nodes, root, &prefix, &prefix)?;
        let mut count = 0;
        while let Some((_, _, value)) = scan.next_entry()? {
            count += 1;
            if count > self.compared_max {
                return Ok(None);
            }
            if let Ok(record) = self.nodes.unwrap::<ItemRecord>(&value) {
                doubles.note(record.name.as_bytes());
            }
        }
        Ok(Some(doubles))
    }
}

/// The trees in both.
fn common(a: &Trees, b: &Trees) -> Trees {
    if a == b {
        return Arc::clone(a);
    }
    a.iter().filter(|tree| b.binary_search(tree).is_ok()).copied().collect()
}

/// A map that forgets what was put into it first.
struct Recent<K, V> {
    known: HashMap<K, V>,
    order: VecDeque<K>,
    most: usize,
}

impl<K: Clone + Eq + std::hash::Hash, V> Recent<K, V> {
    fn new(most: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), most }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key)
    }

    fn keep(&mut self, key: K, value: V) {
        if self.known.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.known.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
