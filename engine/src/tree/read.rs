//! Reading: one key, or a range in order, with each entry's rank.

use std::sync::Arc;

use larder_sdk::{Error, ErrorKind, Result};

use super::{Node, NodeStore, Root};
use crate::hash::BlobId;

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
            return Err(Error::new(
                ErrorKind::CorruptItem,
                "a tree node has another level than its parent says",
            ));
        }
        node = next;
    }
}

/// Makes ready for reading keys, which are sorted: level by level, the nodes on their paths are fetched together.
pub fn prefetch(nodes: &dyn NodeStore, root: Root, keys: &[Vec<u8>]) -> Result<()> {
    let mut level: Vec<(BlobId, &[Vec<u8>])> = vec![(root.id, keys)];
    for height in (0..=root.level).rev() {
        let ids: Vec<BlobId> = level.iter().map(|(id, _)| *id).collect();
        nodes.prefetch(&ids);
        if height == 0 {
            break;
        }
        let mut below = Vec::new();
        for (id, keys) in level {
            let node = nodes.load(&id)?;
            let Node::Inner(_, children) = &*node else { continue };
            let mut rest = keys;
            for (last, child) in children {
                let (mine, later) = rest.split_at(rest.partition_point(|key| key <= last));
                rest = later;
                if !mine.is_empty() {
                    below.push((child.id, mine));
                }
            }
        }
        level = below;
    }
    Ok(())
}

/// Entries in order, from a key on.
pub struct Scan<'store> {
    nodes: &'store dyn NodeStore,
    /// From the root down: a node and the place in it that comes next.
    path: Vec<(Arc<Node>, usize)>,
    rank: u64,
    prefix: Vec<u8>,
    /// Nodes that could not be read are passed over and told here, if that is wanted.
    broken: Option<Vec<Error>>,
}

/// Scans the keys that begin with `prefix`, from `from` on (which may be the prefix itself).
pub fn scan<'store>(
    nodes: &'store dyn NodeStore,
    root: Option<Root>,
    prefix: &[u8],
    from: &[u8],
) -> Result<Scan<'store>> {
    Scan::begin(nodes, root, prefix, from, None)
}

/// Like [`scan`], but goes on behind nodes that do not read; [`Scan::broken`] tells which. Ranks are then meaningless.
pub fn scan_around<'store>(
    nodes: &'store dyn NodeStore,
    root: Option<Root>,
    prefix: &[u8],
    from: &[u8],
) -> Result<Scan<'store>> {
    Scan::begin(nodes, root, prefix, from, Some(Vec::new()))
}

impl<'store> Scan<'store> {
    fn begin(
        nodes: &'store dyn NodeStore,
        root: Option<Root>,
        prefix: &[u8],
        from: &[u8],
        broken: Option<Vec<Error>>,
    ) -> Result<Self> {
        let mut scan = Scan { nodes, path: Vec::new(), rank: 0, prefix: prefix.to_vec(), broken };
        let Some(root) = root else { return Ok(scan) };
        let Some(mut node) = scan.load(&root.id)? else { return Ok(scan) };
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
                // A node that does not read is passed over: the scan goes on with what follows it.
                Some(id) => match scan.load(&id)? {
                    Some(below) => node = below,
                    None => return Ok(scan),
                },
                None => return Ok(scan),
            }
        }
    }

    /// What could not be read so far.
    pub fn broken(&mut self) -> Vec<Error> {
        self.broken.as_mut().map(std::mem::take).unwrap_or_default()
    }

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
                        if let Some(below) = self.load(&id)? {
                            self.path.push((below, 0));
                            self.descend()?;
                        }
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
            let Some(below) = self.load(&id)? else { return Ok(()) };
            self.path.push((below, 0));
        }
        Ok(())
    }

    /// Loads a node below the last one of the path; `None` if it does not read and that is to be passed over.
    fn load(&mut self, id: &BlobId) -> Result<Option<Arc<Node>>> {
        let loaded = self.nodes.load(id).and_then(|node| match self.path.last() {
            Some((parent, _)) if node.level() + 1 != parent.level() => {
                Err(Error::new(ErrorKind::CorruptItem, "a tree node has another level than its parent says"))
            }
            _ => Ok(node),
        });
        match (loaded, &mut self.broken) {
            (Ok(node), _) => Ok(Some(node)),
            (Err(error), Some(broken)) if error.kind() == ErrorKind::CorruptItem => {
                broken.push(error);
                Ok(None)
            }
            (Err(error), _) => Err(error),
        }
    }
}
