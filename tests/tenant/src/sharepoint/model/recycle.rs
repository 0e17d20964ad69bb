//! The recycle bin: what was deleted, until somebody empties it.

use super::{Guid, ItemRef, World};
use crate::clock::UnixMillis;

/// Most entries kept; the oldest go.
const ENTRIES_MAX: usize = 10_000;

/// One deleted thing.
#[derive(Clone, Debug)]
pub(crate) struct Recycled {
    pub(crate) id: Guid,
    pub(crate) web: Guid,
    pub(crate) leaf: String,
    /// Where it lay, without a slash at either end.
    pub(crate) folder: String,
    /// Microsoft's `ItemType`: 1 a file, 3 a list item, 5 a folder.
    pub(crate) kind: u32,
    pub(crate) size: u64,
    pub(crate) deleted: UnixMillis,
    pub(crate) author: u32,
}

impl World {
    /// Puts an item into the recycle bin of its web.
    pub(super) fn recycle(&mut self, at: &ItemRef, now: UnixMillis) {
        let id = self.new_guid();
        let Some((list, item)) = self.list_of(at).zip(self.item(at)) else { return };
        let kind = match (item.is_folder(), item.body()) {
            (true, _) => 5,
            (false, Some(_)) => 1,
            (false, None) => 3,
        };
        let entry = Recycled {
            id,
            web: list.web.clone(),
            leaf: item.leaf.clone(),
            folder: list.folder_path(item.parent).trim_matches('/').to_string(),
            kind,
            size: item.body().map_or(0, crate::content::FileBody::length),
            deleted: now,
            author: item.author,
        };
        self.recycled.push(entry);
        let excess = self.recycled.len().saturating_sub(ENTRIES_MAX);
        self.recycled.drain(..excess);
    }
}
