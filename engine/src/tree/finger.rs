//! A place in a tree that is kept, so that the next key, which mostly lies beside the last one, is found without going down again.

use std::sync::Arc;

use larder_sdk::{Error, ErrorKind, Result};

use super::{Node, NodeStore, Root};
use crate::hash::BlobId;

/// Where the last key was looked for.
#[derive(Default)]
pub struct Finger {
    held: Option<Held>,
}

/// A leaf of a tree, and the keys that stand in it if they are in the tree at all.
struct Held {
    root: BlobId,
    /// `None` behind the last leaf.
    leaf: Option<Arc<Node>>,
    /// How many keys of the tree come before the leaf.
    rank: u64,
    /// Keys up to this one stand before; `None` for the first leaf.
    above: Option<Vec<u8>>,
    /// The last key; `None` for none.
    last: Option<Vec<u8>>,
}

impl Held {
    fn holds(&self, root: &BlobId, key: &[u8]) -> bool {
        self.root == *root
            && self.above.as_ref().is_none_or(|above| key > above.as_slice())
            && self.last.as_ref().is_none_or(|last| key <= last.as_slice())
    }

    /// A value and its rank.
    fn find(&self, key: &[u8]) -> Option<(u64, Vec<u8>)> {
        let Node::Leaf(entries) = self.leaf.as_deref()? else { return None };
        let place = entries.binary_search_by(|(entry, _)| entry.as_slice().cmp(key)).ok()?;
        Some((self.rank + place as u64, entries[place].1.clone()))
    }

    /// Goes down from the root to where a key stands.
    fn reach(nodes: &dyn NodeStore, root: Root, key: &[u8]) -> Result<Self> {
        let mut held = Self { root: root.id, leaf: None, rank: 0, above: None, last: None };
        let mut node = nodes.load(&root.id)?;
        loop {
            let next = match &*node {
                Node::Leaf(_) => {
                    held.leaf = Some(node);
                    return Ok(held);
                }
                Node::Inner(_, children) => {
                    let place = children.partition_point(|(last, _)| last.as_slice() < key);
                    if let Some((before, _)) = place.checked_sub(1).and_then(|before| children.get(before)) {
                        held.above = Some(before.clone());
                    }
                    held.rank += children[..place].iter().map(|(_, child)| child.entries).sum::<u64>();
                    let Some((last, child)) = children.get(place) else { return Ok(held) };
                    held.last = Some(last.clone());
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
}

impl Finger {
    /// A value and its rank, as [`super::get`] finds them.
    pub fn get(&mut self, nodes: &dyn NodeStore, root: Root, key: &[u8]) -> Result<Option<(u64, Vec<u8>)>> {
        if let Some(held) = self.held.as_ref().filter(|held| held.holds(&root.id, key)) {
            return Ok(held.find(key));
        }
        // Nothing is held while a node does not read.
        self.held = None;
        Ok(self.held.insert(Held::reach(nodes, root, key)?).find(key))
    }
}
