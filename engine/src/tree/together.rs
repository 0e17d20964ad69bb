//! Several trees walked side by side in the order of their keys. What trees share is loaded once, whichever of them it is in, and what all
//! of them share can be passed over unread: so the cost goes with what differs, and memory with the trees' height and number.

use std::{collections::HashMap, sync::Arc};

use larder_sdk::{Error, ErrorKind, Result};

use super::{Node, NodeStore, Root};
use crate::hash::BlobId;

/// Some of the trees: their places in the list that was given, ascending.
pub type Trees = Arc<[u32]>;

/// A key, and what the trees have there. Trees that do not have the key are in none of the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Vec<u8>,
    /// Each value once, with the trees that have it.
    pub values: Vec<(Vec<u8>, Trees)>,
}

/// What becomes of what all trees have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alike {
    /// It is shown like everything else.
    Shown,
    /// It is passed over; whole nodes of it are not read.
    PassedOver,
}

/// Sees each node as it is read, with the trees that have it there.
pub type SeeNode<'walk> = &'walk mut dyn FnMut(&BlobId, &Trees);

/// Trees walked side by side.
pub struct Together<'walk> {
    nodes: &'walk dyn NodeStore,
    prefix: Vec<u8>,
    alike: Alike,
    /// How many trees there are, empty ones included.
    trees: usize,
    /// One for each place that some tree is at.
    cursors: Vec<Cursor>,
    /// Cursors that stand before the same node are to be put together.
    unsorted: bool,
    see: Option<SeeNode<'walk>>,
    broken: Vec<(Error, Trees)>,
}

/// Walks the keys that begin with `prefix`.
pub fn together<'walk>(
    nodes: &'walk dyn NodeStore,
    roots: &[Option<Root>],
    prefix: &[u8],
    alike: Alike,
) -> Together<'walk> {
    let cursors =
        roots.iter().zip(0..).filter_map(|(root, tree)| root.map(|root| Cursor::at(root, tree))).collect();
    Together {
        nodes,
        prefix: prefix.to_vec(),
        alike,
        trees: roots.len(),
        cursors,
        unsorted: true,
        see: None,
        broken: Vec::new(),
    }
}

#[cfg(test)]
thread_local! {
    static ENTERED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How many nodes this thread has loaded side by side since it was asked last.
#[cfg(test)]
pub(crate) fn nodes_entered() -> usize {
    ENTERED.with(|entered| entered.replace(0))
}

/// One place in one tree, and the trees that are at the same place.
struct Cursor {
    /// The root, until it is entered.
    root: Option<Root>,
    /// From the root down: a node and the place in it that comes next.
    path: Vec<(Arc<Node>, usize)>,
    own: u32,
    /// Cursors that stand before a node which this one is in: they go on once this one is through with it, which it is when its path has
    /// this length again.
    parked: Vec<(usize, Cursor)>,
    /// This tree and those of all that are parked here.
    trees: Trees,
}

/// What comes next at a cursor.
enum Head<'cursor> {
    Node { id: BlobId, level: u8 },
    Entry { key: &'cursor [u8], value: &'cursor [u8] },
    End,
}

impl Cursor {
    fn at(root: Root, tree: u32) -> Self {
        Self { root: Some(root), path: Vec::new(), own: tree, parked: Vec::new(), trees: Arc::from([tree]) }
    }

    fn head(&self) -> Head<'_> {
        if let Some(root) = self.root {
            return Head::Node { id: root.id, level: root.level };
        }
        match self.path.last().map(|(node, place)| (&**node, *place)) {
            Some((Node::Leaf(entries), place)) => match entries.get(place) {
                Some((key, value)) => Head::Entry { key, value },
                None => Head::End,
            },
            Some((Node::Inner(level, children), place)) => match children.get(place) {
                Some((_, child)) => Head::Node { id: child.id, level: level.saturating_sub(1) },
                None => Head::End,
            },
            None => Head::End,
        }
    }

    /// The last key that this cursor has left behind: everything that comes is after it.
    fn passed(&self) -> Option<&[u8]> {
        self.path.iter().rev().find(|(_, place)| *place > 0).and_then(|(node, place)| match &**node {
            Node::Leaf(entries) => entries.get(place - 1).map(|(key, _)| key.as_slice()),
            Node::Inner(_, children) => children.get(place - 1).map(|(key, _)| key.as_slice()),
        })
    }

    /// Leaves what comes next behind. Cursors that waited for that are woken, and put into `woken`.
    fn pass(&mut self, woken: &mut Vec<Cursor>) {
        if self.root.take().is_none()
            && let Some((_, place)) = self.path.last_mut()
        {
            *place += 1;
        }
        self.wake(woken);
        self.climb(woken);
    }

    /// Leaves nodes that are used up.
    fn climb(&mut self, woken: &mut Vec<Cursor>) {
        while let Some((node, place)) = self.path.last() {
            let length = match &**node {
                Node::Leaf(entries) => entries.len(),
                Node::Inner(_, children) => children.len(),
            };
            if *place < length {
                return;
            }
            self.path.pop();
            if let Some((_, place)) = self.path.last_mut() {
                *place += 1;
            }
            self.wake(woken);
        }
    }

    fn wake(&mut self, woken: &mut Vec<Cursor>) {
        let depth = self.path.len();
        if self.parked.last().is_none_or(|(at, _)| *at < depth) {
            return;
        }
        while let Some((_, mut follower)) = self.parked.pop_if(|(at, _)| *at >= depth) {
            follower.pass(woken);
            woken.push(follower);
        }
        self.count();
    }

    /// Lets another cursor wait here, which stands before the same node.
    fn park(&mut self, follower: Cursor) {
        self.parked.push((self.path.len(), follower));
    }

    fn count(&mut self) {
        let mut trees = vec![self.own];
        trees.extend(self.parked.iter().flat_map(|(_, follower)| follower.trees.iter()));
        trees.sort_unstable();
        self.trees = trees.into();
    }
}

impl<'walk> Together<'walk> {
    /// Shows each node as it is read.
    #[must_use]
    pub fn seeing(mut self, see: SeeNode<'walk>) -> Self {
        self.see = Some(see);
        self
    }

    /// What could not be read so far, and the trees that had it. Its entries are left out.
    pub fn broken(&mut self) -> Vec<(Error, Trees)> {
        std::mem::take(&mut self.broken)
    }

    /// The next key that any of the trees has.
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        loop {
            self.drop_ended();
            if self.unsorted {
                self.put_together();
                self.unsorted = false;
            }
            if self.cursors.is_empty() {
                return Ok(None);
            }
            if !self.enter_nodes()? {
                let row = self.take_row();
                if self.alike == Alike::Shown || !self.is_alike(&row) {
                    return Ok(Some(row));
                }
            }
        }
    }

    fn is_alike(&self, row: &Row) -> bool {
        matches!(&row.values[..], [(_, trees)] if trees.len() == self.trees)
    }

    /// Takes away cursors that are at their end, or past the prefix. Whoever is parked there is at the same place.
    fn drop_ended(&mut self) {
        let prefix = &self.prefix;
        let past = |key: &[u8]| !key.starts_with(prefix) && key > prefix.as_slice();
        self.cursors.retain(|cursor| match cursor.head() {
            Head::End => false,
            Head::Entry { key, .. } => !past(key),
            Head::Node { .. } => !cursor.passed().is_some_and(past),
        });
    }

    /// Of all cursors before the same node, one goes on and the others wait for it.
    fn put_together(&mut self) {
        if self.cursors.len() < 2 {
            return;
        }
        let mut leaders: HashMap<BlobId, usize> = HashMap::new();
        let mut kept: Vec<Cursor> = Vec::with_capacity(self.cursors.len());
        for mut cursor in self.cursors.drain(..) {
            let Head::Node { id, .. } = cursor.head() else {
                kept.push(cursor);
                continue;
            };
            let Some(&place) = leaders.get(&id) else {
                leaders.insert(id, kept.len());
                kept.push(cursor);
                continue;
            };
            // Who has left more behind knows better what does not come.
            if cursor.passed() > kept[place].passed() {
                std::mem::swap(&mut cursor, &mut kept[place]);
            }
            kept[place].park(cursor);
        }
        for place in leaders.into_values() {
            kept[place].count();
        }
        self.cursors = kept;
    }

    /// Enters the highest of the nodes that may hold a key before all that is in sight, or passes over them. False if there is none.
    fn enter_nodes(&mut self) -> Result<bool> {
        let least = self.least_key().map(<[u8]>::to_vec);
        let level_of = |cursor: &Cursor| match cursor.head() {
            Head::Node { level, .. }
                if least.as_deref().is_none_or(|least| cursor.passed().is_none_or(|key| key < least)) =>
            {
                Some(level)
            }
            _ => None,
        };
        let Some(highest) = self.cursors.iter().filter_map(level_of).max() else { return Ok(false) };
        let mut woken = Vec::new();
        let mut cursors = std::mem::take(&mut self.cursors);
        let entered = cursors
            .iter_mut()
            .filter(|cursor| level_of(cursor) == Some(highest))
            .try_for_each(|cursor| self.enter(cursor, &mut woken));
        cursors.append(&mut woken);
        self.cursors = cursors;
        self.unsorted = true;
        entered.map(|()| true)
    }

    fn enter(&mut self, cursor: &mut Cursor, woken: &mut Vec<Cursor>) -> Result<()> {
        let Head::Node { id, level } = cursor.head() else { return Ok(()) };
        if self.alike == Alike::PassedOver && cursor.trees.len() == self.trees {
            cursor.pass(woken);
            return Ok(());
        }
        #[cfg(test)]
        ENTERED.with(|entered| entered.set(entered.get() + 1));
        let loaded = self.nodes.load(&id).and_then(|node| {
            if node.level() == level {
                Ok(node)
            } else {
                Err(Error::new(ErrorKind::CorruptItem, "a tree node has another level than its parent says"))
            }
        });
        let node = match loaded {
            Ok(node) => node,
            Err(error) if error.kind() == ErrorKind::CorruptItem => {
                self.broken.push((error, Arc::clone(&cursor.trees)));
                cursor.pass(woken);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if let Some(see) = &mut self.see {
            see(&id, &cursor.trees);
        }
        let prefix = self.prefix.as_slice();
        let place = match &*node {
            Node::Leaf(entries) => entries.partition_point(|(key, _)| key.as_slice() < prefix),
            Node::Inner(_, children) => children.partition_point(|(last, _)| last.as_slice() < prefix),
        };
        cursor.root = None;
        cursor.path.push((node, place));
        cursor.climb(woken);
        Ok(())
    }

    fn least_key(&self) -> Option<&[u8]> {
        let key = |cursor| match Cursor::head(cursor) {
            Head::Entry { key, .. } => Some(key),
            _ => None,
        };
        self.cursors.iter().filter_map(key).min()
    }

    /// Takes the entry that comes first, from every cursor that has it.
    fn take_row(&mut self) -> Row {
        let key = self.least_key().unwrap_or_default().to_vec();
        let mut values: Vec<(Vec<u8>, Trees)> = Vec::new();
        let mut woken = Vec::new();
        for cursor in &mut self.cursors {
            let Head::Entry { key: here, value } = cursor.head() else { continue };
            if here != key {
                continue;
            }
            match values.iter_mut().find(|(known, _)| known == value) {
                Some((_, trees)) => {
                    let mut both: Vec<u32> = trees.iter().chain(&*cursor.trees).copied().collect();
                    both.sort_unstable();
                    *trees = both.into();
                }
                None => values.push((value.to_vec(), Arc::clone(&cursor.trees))),
            }
            cursor.pass(&mut woken);
            self.unsorted |= !matches!(cursor.head(), Head::Entry { .. });
        }
        self.unsorted |= !woken.is_empty();
        self.cursors.append(&mut woken);
        Row { key, values }
    }
}
