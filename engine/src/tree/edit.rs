//! Editing: a sorted run of changes into a new root, reusing every node that no change touches.

use larder_sdk::{Error, ErrorKind, Result};

use super::{
    Child, Edit, KEY_BYTES_MAX, Node, NodeStore, Root, VALUE_BYTES_MAX,
    node::{NODE_BYTES, NODE_ENTRIES_MAX, NODE_ENTRIES_MEAN, NODE_ENTRIES_MIN},
};
use crate::hash::BlobId;

/// Highest level a tree may have; 4^32 entries would be needed to pass it.
const LEVEL_MAX: u8 = 32;

/// Applies changes, sorted by key without doubles, and returns the new root: `None` if nothing is left.
pub fn edit(nodes: &dyn NodeStore, root: Option<Root>, edits: &[Edit]) -> Result<Option<Root>> {
    debug_assert!(edits.windows(2).all(|pair| pair[0].0 < pair[1].0), "edits are sorted");
    let mut builder = Builder { nodes, leaf: LeafLevel::default(), inner: Vec::new() };
    match root {
        Some(root) => builder.rebuild(root.level, root.id, edits, true)?,
        None => builder.merge_leaf(&[], edits)?,
    }
    builder.finish()
}

/// The open node of each level, from the leaves up.
struct Builder<'store> {
    nodes: &'store dyn NodeStore,
    leaf: LeafLevel,
    /// Levels 1 and up.
    inner: Vec<InnerLevel>,
}

#[derive(Default)]
struct LeafLevel {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

#[derive(Default)]
struct InnerLevel {
    children: Vec<(Vec<u8>, Child)>,
    bytes: usize,
}

impl Builder<'_> {
    /// Brings one old subtree over, with the edits that fall into it.
    fn rebuild(&mut self, level: u8, id: BlobId, edits: &[Edit], last: bool) -> Result<()> {
        let node = self.nodes.load(&id)?;
        if node.level() != level {
            return Err(Error::new(
                ErrorKind::CorruptItem,
                "a tree node has another level than its parent says",
            ));
        }
        let children = match &*node {
            Node::Leaf(old) => return self.merge_leaf(old, edits),
            Node::Inner(_, children) => children,
        };
        let mut rest = edits;
        for (place, (last_key, child)) in children.iter().enumerate() {
            let is_last = last && place + 1 == children.len();
            let mine = if is_last { rest.len() } else { rest.partition_point(|(key, _)| key <= last_key) };
            let (mine, later) = rest.split_at(mine);
            rest = later;
            if mine.is_empty() && self.is_at_border(level - 1) {
                self.push_child(level, last_key.clone(), *child)?;
            } else {
                self.rebuild(level - 1, child.id, mine, is_last)?;
            }
        }
        Ok(())
    }

    /// True if no node of `level` or below is open, so that a whole old node of that level can be taken as it is.
    fn is_at_border(&self, level: u8) -> bool {
        self.leaf.entries.is_empty()
            && self.inner.iter().take(usize::from(level)).all(|open| open.children.is_empty())
    }

    fn merge_leaf(&mut self, old: &[(Vec<u8>, Vec<u8>)], edits: &[Edit]) -> Result<()> {
        let (mut old, mut edits) = (old, edits);
        loop {
            match (old.split_first(), edits.split_first()) {
                (Some((entry, later)), edit) if edit.is_none_or(|(edit, _)| entry.0 < edit.0) => {
                    self.push_entry(entry.0.clone(), entry.1.clone())?;
                    old = later;
                }
                (entry, Some((edit, later))) => {
                    if let Some((_, old_later)) = entry.filter(|(entry, _)| entry.0 == edit.0) {
                        old = old_later;
                    }
                    if let Some(value) = &edit.1 {
                        self.push_entry(edit.0.clone(), value.clone())?;
                    }
                    edits = later;
                }
                _ => return Ok(()),
            }
        }
    }

    fn push_entry(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(Error::bug(format!(
                "a tree entry of {} + {} bytes is too large",
                key.len(),
                value.len()
            )));
        }
        self.leaf.bytes += key.len() + value.len() + 6;
        let ends = self.ends(0, &key, self.leaf.entries.len() + 1, self.leaf.bytes);
        self.leaf.entries.push((key, value));
        if ends { self.close(0) } else { Ok(()) }
    }

    fn push_child(&mut self, level: u8, key: Vec<u8>, child: Child) -> Result<()> {
        if level > LEVEL_MAX {
            return Err(Error::bug("a tree grew too high"));
        }
        let place = usize::from(level) - 1;
        if self.inner.len() <= place {
            self.inner.resize_with(place + 1, InnerLevel::default);
        }
        let open = &mut self.inner[place];
        open.bytes += key.len() + 40;
        let (count, bytes) = (open.children.len() + 1, open.bytes);
        let ends = self.ends(level, &key, count, bytes);
        self.inner[place].children.push((key, child));
        if ends { self.close(level) } else { Ok(()) }
    }

    /// Whether a node ends after this entry.
    fn ends(&self, level: u8, key: &[u8], count: usize, bytes: usize) -> bool {
        count >= NODE_ENTRIES_MAX
            || (count >= NODE_ENTRIES_MIN
                && (bytes >= NODE_BYTES || self.nodes.draw(level, key) < u32::MAX / NODE_ENTRIES_MEAN))
    }

    /// Saves the open node of a level and hands it to the level above.
    fn close(&mut self, level: u8) -> Result<()> {
        let (node, last_key, entries) = if level == 0 {
            let open = std::mem::take(&mut self.leaf);
            let Some((last_key, _)) = open.entries.last() else { return Ok(()) };
            let (last_key, count) = (last_key.clone(), open.entries.len() as u64);
            (Node::Leaf(open.entries), last_key, count)
        } else {
            let open = std::mem::take(&mut self.inner[usize::from(level) - 1]);
            let Some((last_key, _)) = open.children.last() else { return Ok(()) };
            let (last_key, count) =
                (last_key.clone(), open.children.iter().map(|(_, child)| child.entries).sum());
            (Node::Inner(level, open.children), last_key, count)
        };
        let id = self.nodes.save(&node)?;
        self.push_child(level + 1, last_key, Child { id, entries })
    }

    /// Closes what is open, from the leaves up, until one node holds everything.
    fn finish(mut self) -> Result<Option<Root>> {
        self.close(0)?;
        let mut level = 1;
        loop {
            let Some(open) = self.inner.get(usize::from(level) - 1) else { return Ok(None) };
            let is_top = self.inner.len() == usize::from(level);
            match (&open.children[..], is_top) {
                // The only node of the level below: that is the root.
                ([(_, child)], true) => {
                    return self
                        .shrink(Root { id: child.id, level: level - 1, entries: child.entries })
                        .map(Some);
                }
                _ => self.close(level)?,
            }
            level += 1;
        }
    }

    /// A tree that lost entries may have old inner nodes of one child at its top: the root is the lowest node that holds everything.
    fn shrink(&self, mut root: Root) -> Result<Root> {
        while root.level > 0 {
            match &*self.nodes.load(&root.id)? {
                Node::Inner(_, children) if children.len() == 1 => {
                    root =
                        Root { id: children[0].1.id, level: root.level - 1, entries: children[0].1.entries };
                }
                _ => break,
            }
        }
        Ok(root)
    }
}
