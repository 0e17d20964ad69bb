//! Reading: one key, or a range in order, with each entry's rank.

use std::sync::Arc;

use larder_sdk::{Error, ErrorKind, Result};

use super::{Node, NodeStore, Root};

/// A value and its rank: how many keys of the tree come before it.
pub fn get(nodes: &dyn NodeStore, root: Root, key: &[u8]) -> Result<Option<(u64, Vec<u8>)>> {
    let mut rank = 0;
    let mut node = nodes.load(&root.id)?;
    loop {
        let next = match &*node {
            Node::Leaf(entries) => {
                return Ok(entries
                    .binary_search_by(|(entry, _)| entry.as_slice().cmp(key))
                    .ok()
                    .map(|place| (rank + place as u64, entries[place].1.clone())));
            }
            Node::Inner(_, children) => {
                let place = children.partition_point(|(last, _)| last.as_slice() < key);
                let Some((_, child)) = children.get(place) else { return Ok(None) };
                rank += children[..place].iter().map(|(_, child)| child.entries).sum::<u64>();
                nodes.load(&child.id)?
            }
        };
        if next.level() + 1 != node.level() {
            return Err(Error::new(ErrorKind::CorruptItem, "a tree node has another level than its parent says"));
        }
        node = next;
    }
}

/// Entries in order, from a key on.
pub struct Scan<'store> {
    nodes: &'store dyn NodeStore,
    /// From the root down: a node and the place in it that comes next.
    path: Vec<(Arc<Node>, usize)>,
    rank: u64,
    prefix: Vec<u8>,
}

/// Scans the keys that begin with `prefix`, from `from` on (which may be the prefix itself).
pub fn scan<'store>(
    nodes: &'store dyn NodeStore,
    root: Option<Root>,
    prefix: &[u8],
    from: &[u8],
) -> Result<Scan<'store>> {
    let mut scan = Scan { nodes, path: Vec::new(), rank: 0, prefix: prefix.to_vec() };
    let Some(root) = root else { return Ok(scan) };
    let mut node = nodes.load(&root.id)?;
    loop {
        let place = match &*node {
            Node::Leaf(entries) => entries.partition_point(|(key, _)| key.as_slice() < from),
            Node::Inner(_, children) => children.partition_point(|(last, _)| last.as_slice() < from),
        };
        let next = match &*node {
            Node::Leaf(_) => {
                scan.rank += place as u64;
                None
            }
            Node::Inner(_, children) => {
                scan.rank += children[..place].iter().map(|(_, child)| child.entries).sum::<u64>();
                children.get(place).map(|(_, child)| child.id)
            }
        };
        scan.path.push((node, place));
        match next {
            Some(id) => node = scan.load_below(&id)?,
            None => return Ok(scan),
        }
    }
}

impl Scan<'_> {
    /// The next entry: rank, key, value.
    #[expect(clippy::type_complexity, reason = "three plain parts, named in the line above")]
    pub fn next_entry(&mut self) -> Result<Option<(u64, Vec<u8>, Vec<u8>)>> {
        loop {
            let Some((node, place)) = self.path.last_mut() else { return Ok(None) };
            match &**node {
                Node::Leaf(entries) => {
                    if let Some((key, value)) = entries.get(*place) {
                        *place += 1;
                        if !key.starts_with(&self.prefix) {
                            self.path.clear();
                            return Ok(None);
                        }
                        self.rank += 1;
                        return Ok(Some((self.rank - 1, key.clone(), value.clone())));
                    }
                }
                Node::Inner(_, children) => {
                    // The child at this place has been read.
                    *place += 1;
                    if let Some((_, child)) = children.get(*place) {
                        let id = child.id;
                        let below = self.load_below(&id)?;
                        self.path.push((below, 0));
                        self.descend()?;
                        continue;
                    }
                }
            }
            self.path.pop();
        }
    }

    /// Goes down along first children to a leaf.
    fn descend(&mut self) -> Result<()> {
        while let Some((node, 0)) = self.path.last() {
            let Node::Inner(_, children) = &**node else { return Ok(()) };
            let id = children[0].1.id;
            let below = self.load_below(&id)?;
            self.path.push((below, 0));
        }
        Ok(())
    }

    fn load_below(&self, id: &crate::hash::BlobId) -> Result<Arc<Node>> {
        let node = self.nodes.load(id)?;
        match self.path.last() {
            Some((parent, _)) if node.level() + 1 != parent.level() => {
                Err(Error::new(ErrorKind::CorruptItem, "a tree node has another level than its parent says"))
            }
            _ => Ok(node),
        }
    }
}
