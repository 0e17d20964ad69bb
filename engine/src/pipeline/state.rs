//! One container's tree during a run: what was, what changes, what was listed.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use larder_sdk::{Container, Cursor, Item, ItemId, Name, Owed, ScopeId, Tag, Time};

use crate::{
    catalog::{self, CursorRecord, ItemRecord, ListingRecord, OwedRecord, Seen, StreamRecord},
    error::{EngineError, Result},
    repository::Nodes,
    tree::{self, Finger, Root},
};

/// Edits are merged into the tree once they hold this many bytes.
const PENDING_BYTES_MAX: usize = 8 << 20;
/// Longest chain of folders followed when a folder is removed with what is in it.
const FOLDER_DEPTH_MAX: usize = 4096;
/// Most moved items that may wait for their offers; what is more is read again.
const MOVED_MAX: usize = 8192;

/// A container's tree under edit.
pub(super) struct ContainerState {
    nodes: Arc<Nodes>,
    container: Container,
    root: Option<Root>,
    /// The tree as this run found it.
    found: Option<Root>,
    /// Items about to be offered, and what they were known as.
    moved: HashMap<ItemId, (ItemId, Tag)>,
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pending_bytes: usize,
    listings: HashMap<ScopeId, Listing>,
    counts: StateCounts,
    /// Items mostly come in the order of their keys: where the last one was found in the tree, among items and among all else.
    here: RefCell<[Finger; 2]>,
    /// And in a listing's base.
    listed: Finger,
}

/// A listing under way. Without a base nothing was there when it began.
struct Listing {
    base: Option<Root>,
    seen: Seen,
}

/// What is in the container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StateCounts {
    pub(super) items: u64,
    pub(super) owed: u64,
    /// Items removed since the last snapshot.
    pub(super) deleted: u64,
}

/// What to do about an offer.
pub(super) enum Decision {
    /// Its streams must be read, but for these, which are stored.
    Read(Vec<StreamRecord>),
    /// Its streams are stored: these.
    Keep(Vec<StreamRecord>),
    /// Nothing about it has changed; its streams, should it be removed before its turn.
    Same(Vec<StreamRecord>),
}

impl ContainerState {
    pub(super) fn new(
        nodes: Arc<Nodes>,
        container: Container,
        root: Option<Root>,
        counts: StateCounts,
    ) -> Self {
        Self {
            nodes,
            container,
            root,
            found: root,
            moved: HashMap::new(),
            pending: BTreeMap::new(),
            pending_bytes: 0,
            listings: HashMap::new(),
            counts,
            here: RefCell::default(),
            listed: Finger::default(),
        }
    }

    pub(super) fn counts(&self) -> StateCounts {
        self.counts
    }

    /// Fetches together what deciding about items, and then editing them, will read. Once for a batch, not for each of its items. Ids that are paths
    /// come in the order of their keys, and need none of it.
    pub(super) fn prefetch<'item>(&self, items: impl Iterator<Item = &'item Item> + Clone) -> Result<()> {
        let Some(root) = self.root.filter(|_| !self.container.path_ids) else { return Ok(()) };
        // Both families at once: what lies close in a pack is then fetched with one request.
        let child = |item: &Item| catalog::child_key(&item.parent, &item.id);
        let keys = items.clone().flat_map(|item| [catalog::where_key(&item.id), child(item)]);
        self.prefetch_keys(root, keys.collect())?;
        let mut moved = Vec::new();
        for item in items {
            if let Some(parent) = self.parent_of(&item.id)?.filter(|parent| *parent != item.parent) {
                moved.push(catalog::child_key(&parent, &item.id));
            }
        }
        if moved.is_empty() { Ok(()) } else { self.prefetch_keys(root, moved) }
    }

    fn prefetch_keys(&self, root: Root, mut keys: Vec<Vec<u8>>) -> Result<()> {
        keys.sort_unstable();
        Ok(tree::prefetch(&*self.nodes, root, &keys)?)
    }

    /// Decides about an offered item, and notes that it was listed.
    pub(super) fn decide(&mut self, scope: &ScopeId, item: &Item) -> Result<Decision> {
        let stored = self.find(&item.id)?;
        self.note_listed(scope, item)?;
        let moved = self.moved.remove(&item.id);
        let Some((parent, record)) = stored else {
            return match moved {
                Some((was, tag)) => self.decide_moved(&was, tag, item),
                None => Ok(Decision::Read(Vec::new())),
            };
        };
        // Of what is owed, what is stored may be what was lost.
        if self.is_owed(&item.id)? {
            return Ok(Decision::Read(Vec::new()));
        }
        let streams = record.streams_of(item);
        if streams.len() < item.streams.len() {
            return Ok(Decision::Read(streams));
        }
        let fresh = ItemRecord::new(item.clone(), scope.clone(), streams);
        if fresh == record && parent == item.parent {
            Ok(Decision::Same(fresh.streams))
        } else {
            Ok(Decision::Keep(fresh.streams))
        }
    }

    /// Notes what an item that will be offered was known as when the run began.
    pub(super) fn moved(&mut self, was: ItemId, id: ItemId, tag: Tag) {
        if self.moved.len() < MOVED_MAX {
            self.moved.insert(id, (was, tag));
        }
    }

    /// Decides about a new item that is an old one under another id. What the old one was is looked for in the tree that the run began with: by now
    /// it may be told as gone.
    fn decide_moved(&self, was: &ItemId, tag: Tag, item: &Item) -> Result<Decision> {
        let Some(found) = self.found else { return Ok(Decision::Read(Vec::new())) };
        let get = |key: &[u8]| tree::get(&*self.nodes, found, key);
        if get(&catalog::owed_key(was))?.is_some() {
            return Ok(Decision::Read(Vec::new()));
        }
        let parent = match self.parent_in_path(was) {
            Some(parent) => Some(parent),
            None => get(&catalog::where_key(was))?.map(|(_, parent)| ItemId::new(parent)),
        };
        let Some(parent) = parent else { return Ok(Decision::Read(Vec::new())) };
        let Some((_, value)) = get(&catalog::child_key(&parent, was))? else {
            return Ok(Decision::Read(Vec::new()));
        };
        let mut record: ItemRecord = self.nodes.unwrap(&value)?;
        if record.tag.is_empty() {
            return Ok(Decision::Read(Vec::new()));
        }
        record.tag = tag;
        let streams = record.streams_of(item);
        let all = streams.len() == item.streams.len();
        Ok(if all { Decision::Keep(streams) } else { Decision::Read(streams) })
    }

    /// Stores an item's new state; it is no longer owed.
    pub(super) fn upsert(&mut self, scope: ScopeId, item: Item, streams: Vec<StreamRecord>) -> Result<()> {
        let old_parent = self.parent_of(&item.id)?;
        let key = catalog::child_key(&item.parent, &item.id);
        let was_there = match &old_parent {
            Some(parent) if *parent != item.parent => {
                self.set(catalog::child_key(parent, &item.id), None);
                true
            }
            Some(_) => self.get(&key)?.is_some(),
            None => false,
        };
        if !self.container.path_ids && old_parent.as_ref() != Some(&item.parent) {
            self.set(catalog::where_key(&item.id), Some(item.parent.as_bytes().to_vec()));
        }
        self.counts.items += u64::from(!was_there);
        self.pay(&item.id)?;
        let value = self.nodes.wrap(&ItemRecord::new(item, scope, streams))?;
        self.set(key, Some(value));
        Ok(())
    }

    /// Removes an item with everything in it. Unknown ids are no error.
    pub(super) fn delete(&mut self, id: &ItemId) -> Result<()> {
        self.pay(id)?;
        if let Some(parent) = self.parent_of(id)? {
            self.delete_at(&parent, id, 0)?;
        }
        Ok(())
    }

    fn delete_at(&mut self, parent: &ItemId, id: &ItemId, depth: usize) -> Result<()> {
        if depth > FOLDER_DEPTH_MAX {
            return Err(EngineError::damaged("folders contain each other"));
        }
        let key = catalog::child_key(parent, id);
        if self.get(&key)?.is_none() {
            return Ok(());
        }
        self.set(key, None);
        if !self.container.path_ids {
            self.set(catalog::where_key(id), None);
        }
        self.counts.items = self.counts.items.saturating_sub(1);
        self.counts.deleted += 1;
        let prefix = catalog::child_prefix(id);
        let mut from = prefix.clone();
        while let Some((key, _)) = self.entries(&prefix, &from, 1)?.pop() {
            if let Some((parent, child)) = catalog::parse_child(&key) {
                self.delete_at(&parent, &child, depth + 1)?;
            }
            from = key;
            from.push(0);
        }
        Ok(())
    }

    /// Records that an item could not be read. Its last good state stays.
    pub(super) fn owe(&mut self, id: &ItemId, debt: OwedRecord) -> Result<()> {
        let key = catalog::owed_key(id);
        let before: Option<OwedRecord> =
            self.get(&key)?.map(|value| self.nodes.unwrap(&value)).transpose()?;
        self.counts.owed += u64::from(before.is_none());
        let debt = match before {
            Some(before) => OwedRecord { since: before.since, tries: before.tries.saturating_add(1), ..debt },
            None => debt,
        };
        let value = self.nodes.wrap(&debt)?;
        self.set(key, Some(value));
        Ok(())
    }

    fn pay(&mut self, id: &ItemId) -> Result<()> {
        if self.is_owed(id)? {
            self.counts.owed = self.counts.owed.saturating_sub(1);
            self.set(catalog::owed_key(id), None);
        }
        Ok(())
    }

    /// Mostly nothing is, and then there is nothing to look for.
    fn is_owed(&self, id: &ItemId) -> Result<bool> {
        Ok(self.counts.owed > 0 && self.get(&catalog::owed_key(id))?.is_some())
    }

    /// A full listing of a scope begins. A scope that was never seen before has nothing that could be missing.
    pub(super) fn begin(&mut self, scope: &ScopeId) -> Result<()> {
        let listing_key = catalog::listing_key(scope);
        let known = self.get(&catalog::cursor_key(scope))?.is_some() || self.get(&listing_key)?.is_some();
        let base = if known {
            self.apply()?;
            self.root
        } else {
            None
        };
        let value = self.nodes.wrap(&ListingRecord { base, seen: Seen::default() })?;
        self.set(listing_key, Some(value));
        self.listings.insert(scope.clone(), Listing { base, seen: Seen::default() });
        Ok(())
    }

    /// The listing is complete: what was there and was not listed is gone.
    pub(super) fn end(&mut self, scope: &ScopeId) -> Result<()> {
        if let Some(listing) = self.take_listing(scope)? {
            self.sweep(scope, listing.base, &listing.seen)?;
        }
        self.set(catalog::listing_key(scope), None);
        Ok(())
    }

    /// A scope is gone with all that was in it.
    pub(super) fn scope_gone(&mut self, scope: &ScopeId) -> Result<()> {
        self.listings.remove(scope);
        self.apply()?;
        self.sweep(scope, self.root, &Seen::default())?;
        self.set(catalog::listing_key(scope), None);
        self.set(catalog::cursor_key(scope), None);
        Ok(())
    }

    /// Everything said about a scope so far is covered by this cursor.
    pub(super) fn settle(&mut self, scope: &ScopeId, cursor: &Cursor) -> Result<()> {
        let value = self.nodes.wrap(&CursorRecord(cursor.clone()))?;
        let key = catalog::cursor_key(scope);
        if self.get(&key)?.as_ref() != Some(&value) {
            self.set(key, Some(value));
        }
        Ok(())
    }

    /// A scope's cursor.
    pub(super) fn cursor(&self, scope: &ScopeId) -> Result<Option<Cursor>> {
        let value = self.get(&catalog::cursor_key(scope))?;
        value.map(|value| self.nodes.unwrap(&value).map(|CursorRecord(cursor)| cursor)).transpose()
    }

    /// The scopes that have a cursor.
    pub(super) fn scopes(&self) -> Result<Vec<ScopeId>> {
        let entries = self.entries(&[catalog::SCOPE], &[catalog::SCOPE], usize::MAX)?;
        Ok(entries.iter().filter_map(|(key, _)| catalog::parse_scope(key)).collect())
    }

    /// The last state of an item.
    pub(super) fn item(&self, id: &ItemId) -> Result<Option<Item>> {
        Ok(self.find(id)?.map(|(parent, record)| record.to_item(parent, id.clone())))
    }

    /// Items owed, in order of id.
    pub(super) fn owed(&self, after: Option<&ItemId>, most: usize) -> Result<Vec<Owed>> {
        let mut from = after.map_or_else(|| vec![catalog::OWED], catalog::owed_key);
        if after.is_some() {
            from.push(0);
        }
        self.entries(&[catalog::OWED], &from, most)?
            .into_iter()
            .filter_map(|(key, value)| Some((catalog::parse_owed(&key)?, value)))
            .map(|(id, value)| {
                let debt: OwedRecord = self.nodes.unwrap(&value)?;
                Ok(Owed { id, parent: debt.parent, name: debt.name, scope: debt.scope, tries: debt.tries })
            })
            .collect()
    }

    /// Merges what is pending into the tree and returns its root. Nodes are saved, not yet durable.
    pub(super) fn apply(&mut self) -> Result<Option<Root>> {
        if !self.pending.is_empty() {
            let edits: Vec<tree::Edit> = std::mem::take(&mut self.pending).into_iter().collect();
            self.pending_bytes = 0;
            self.root = tree::edit(&*self.nodes, self.root, &edits)?;
        }
        Ok(self.root)
    }

    /// [`ContainerState::apply`], with listings under way as they are now: what a checkpoint needs.
    pub(super) fn checkpoint(&mut self) -> Result<Option<Root>> {
        let records: Vec<_> = self
            .listings
            .iter()
            .filter(|(_, listing)| listing.base.is_some())
            .map(|(scope, listing)| {
                (
                    catalog::listing_key(scope),
                    ListingRecord { base: listing.base, seen: listing.seen.clone() },
                )
            })
            .collect();
        for (key, record) in records {
            let value = self.nodes.wrap(&record)?;
            self.set(key, Some(value));
        }
        self.apply()
    }

    /// True if so much is pending that it should be merged now.
    pub(super) fn is_full(&self) -> bool {
        self.pending_bytes > PENDING_BYTES_MAX
    }

    /// The nodes below.
    pub(super) fn nodes(&self) -> &Arc<Nodes> {
        &self.nodes
    }

    fn note_listed(&mut self, scope: &ScopeId, item: &Item) -> Result<()> {
        if !self.listings.contains_key(scope) {
            // Going on with a listing that an earlier run began.
            let Some(listing) = self.take_listing(scope)? else { return Ok(()) };
            self.listings.insert(scope.clone(), listing);
        }
        let Some(base) = self.listings.get(scope).and_then(|listing| listing.base) else { return Ok(()) };
        // In the tree the listing began with, the item may have been elsewhere.
        let parent = if self.container.path_ids {
            Some(item.parent.clone())
        } else {
            tree::get(&*self.nodes, base, &catalog::where_key(&item.id))?
                .map(|(_, parent)| ItemId::new(parent))
        };
        let Some(parent) = parent else { return Ok(()) };
        let place = self.listed.get(&*self.nodes, base, &catalog::child_key(&parent, &item.id))?;
        if let Some((rank, _)) = place
            && let Some(listing) = self.listings.get_mut(scope)
        {
            listing.seen.insert(rank);
        }
        Ok(())
    }

    fn take_listing(&mut self, scope: &ScopeId) -> Result<Option<Listing>> {
        if let Some(listing) = self.listings.remove(scope) {
            return Ok(Some(listing));
        }
        let Some(value) = self.get(&catalog::listing_key(scope))? else { return Ok(None) };
        let ListingRecord { base, seen } = self.nodes.unwrap(&value)?;
        Ok(Some(Listing { base, seen }))
    }

    /// Removes what a scope had in a tree and was not seen.
    fn sweep(&mut self, scope: &ScopeId, base: Option<Root>, seen: &Seen) -> Result<()> {
        let nodes = Arc::clone(&self.nodes);
        let mut scan = tree::scan(&*nodes, base, &[catalog::CHILD], &[catalog::CHILD])?;
        while let Some((rank, key, value)) = scan.next_entry()? {
            if seen.contains(rank) {
                continue;
            }
            let Some((parent, id)) = catalog::parse_child(&key) else {
                return Err(EngineError::damaged("a tree has a key that does not read"));
            };
            let record: ItemRecord = nodes.unwrap(&value)?;
            // Only what still is where it was; what moved since was listed elsewhere.
            if record.scope(&parent) == *scope && self.get(&key)?.is_some_and(|now| now == value) {
                self.pay(&id)?;
                self.delete_at(&parent, &id, 0)?;
            }
        }
        Ok(())
    }

    fn find(&self, id: &ItemId) -> Result<Option<(ItemId, ItemRecord)>> {
        let Some(parent) = self.parent_of(id)? else { return Ok(None) };
        let value = self.get(&catalog::child_key(&parent, id))?;
        value.map(|value| Ok((parent, self.nodes.unwrap(&value)?))).transpose()
    }

    fn parent_of(&self, id: &ItemId) -> Result<Option<ItemId>> {
        if let Some(parent) = self.parent_in_path(id) {
            return Ok(Some(parent));
        }
        Ok(self.get(&catalog::where_key(id))?.map(ItemId::new))
    }

    /// The parent, where ids are paths.
    fn parent_in_path(&self, id: &ItemId) -> Option<ItemId> {
        let bytes = id.as_bytes();
        let end = bytes.iter().rposition(|byte| *byte == 0).unwrap_or(0);
        self.container.path_ids.then(|| ItemId::new(&bytes[..end]))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some(value) = self.pending.get(key) {
            return Ok(value.clone());
        }
        let Some(root) = self.root else { return Ok(None) };
        let family = usize::from(key.first() != Some(&catalog::CHILD));
        let found = self.here.borrow_mut()[family].get(&*self.nodes, root, key)?;
        Ok(found.map(|(_, value)| value))
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.pending_bytes += key.len() + value.as_ref().map_or(0, Vec::len) + 64;
        self.pending.insert(key, value);
    }

    /// Up to `most` entries with a prefix from a key on, what is pending included.
    fn entries(&self, prefix: &[u8], from: &[u8], most: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut scan = tree::scan(&*self.nodes, self.root, prefix, from)?;
        let mut stored = scan.next_entry()?;
        let mut pending =
            self.pending.range(from.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut entries = Vec::new();
        while entries.len() < most {
            match (&stored, pending.peek()) {
                (Some((_, key, _)), Some((changed, _))) if key < *changed => {
                    entries.extend(stored.take().map(|(_, key, value)| (key, value)));
                    stored = scan.next_entry()?;
                }
                (_, Some((key, value))) => {
                    if stored.as_ref().is_some_and(|(_, stored, _)| stored == *key) {
                        stored = scan.next_entry()?;
                    }
                    if let Some(value) = value {
                        entries.push(((*key).clone(), value.clone()));
                    }
                    pending.next();
                }
                (Some(_), None) => {
                    entries.extend(stored.take().map(|(_, key, value)| (key, value)));
                    stored = scan.next_entry()?;
                }
                (None, None) => break,
            }
        }
        Ok(entries)
    }
}

/// A debt as it is first recorded.
pub(super) fn debt(parent: ItemId, name: Name, scope: ScopeId, reason: String, now: Time) -> OwedRecord {
    OwedRecord { parent, name, scope, reason, since: now, tries: 1 }
}

#[cfg(test)]
mod tests;
