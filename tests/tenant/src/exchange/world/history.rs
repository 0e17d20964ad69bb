//! What changed since a point in a mailbox's history, a page at a time: the log behind the sync operations.
//!
//! A first listing runs from the newest arrival to the oldest, as on a real server, and remembers the point at which
//! it began; changes after that point follow in the order they happened. So nothing is missed however pages and
//! changes interleave, though something may be told twice.

use super::mailbox::Mailbox;
use crate::exchange::ids::{FolderNumber, ItemNumber, Sequence};

/// A change of a folder's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemChange {
    Create(ItemNumber),
    Update(ItemNumber),
    Read(ItemNumber),
    Delete(ItemNumber),
}

/// A change of a hierarchy's folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FolderChange {
    Create(FolderNumber),
    Update(FolderNumber),
    Delete(FolderNumber),
}

/// How far a client has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Everything up to here is known, except what `below` says is still to be listed.
    pub(crate) known: Sequence,
    /// While the first listing runs: what arrived before this is still to come. Zero afterwards.
    pub(crate) below: Sequence,
}

/// Some changes, and where they leave the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<C> {
    pub(crate) changes: Vec<C>,
    pub(crate) reached: Reached,
    /// Nothing is left at present.
    pub(crate) complete: bool,
}

impl Mailbox {
    /// Where a client that knows nothing starts.
    pub(crate) const fn history_start(&self) -> Reached {
        Reached { known: self.sequence(), below: Sequence(u64::MAX) }
    }

    /// The next at most `changes_max` changes of the items in `folder`; `ignored` items are left out.
    pub(crate) fn item_changes(
        &self,
        folder: FolderNumber,
        from: Reached,
        ignored: &[ItemNumber],
        changes_max: usize,
    ) -> Page<ItemChange> {
        let shown = |number: ItemNumber| !ignored.contains(&number);
        if from.below > Sequence(0) {
            let arrivals = self
                .items_in(folder)
                .map(|item| item.place)
                .filter(|place| {
                    place.arrived < from.below && place.arrived <= from.known && shown(place.number)
                })
                .map(|place| (place.arrived, ItemChange::Create(place.number)));
            return listing(
                arrivals.collect(),
                from,
                changes_max,
                self.item_events(folder, from.known).is_empty(),
            );
        }
        let mut events = self.item_events(folder, from.known);
        events.retain(|(_, change)| match change {
            ItemChange::Create(number)
            | ItemChange::Update(number)
            | ItemChange::Read(number)
            | ItemChange::Delete(number) => shown(*number),
        });
        following(events, from, changes_max, self.sequence())
    }

    /// The next at most `changes_max` changes of the folders below `root`.
    pub(crate) fn folder_changes(
        &self,
        root: FolderNumber,
        from: Reached,
        changes_max: usize,
    ) -> Page<FolderChange> {
        if from.below > Sequence(0) {
            let folders = self
                .descendants(root)
                .into_iter()
                .filter(|folder| folder.created < from.below && folder.created <= from.known)
                .map(|folder| (folder.created, FolderChange::Create(folder.number)));
            return listing(
                folders.collect(),
                from,
                changes_max,
                self.folder_events(root, from.known).is_empty(),
            );
        }
        following(self.folder_events(root, from.known), from, changes_max, self.sequence())
    }

    fn item_events(&self, folder: FolderNumber, known: Sequence) -> Vec<(Sequence, ItemChange)> {
        let present = self.items_in(folder).filter_map(|item| {
            let place = item.place;
            if place.arrived > known {
                Some((place.arrived, ItemChange::Create(place.number)))
            } else if place.changed > known {
                Some((place.changed, ItemChange::Update(place.number)))
            } else if place.read_changed > known {
                Some((place.read_changed, ItemChange::Read(place.number)))
            } else {
                None
            }
        });
        let gone = self
            .gone_items()
            .iter()
            .filter(|gone| gone.folder == folder && gone.at > known && gone.arrived <= known);
        present.chain(gone.map(|gone| (gone.at, ItemChange::Delete(gone.number)))).collect()
    }

    fn folder_events(&self, root: FolderNumber, known: Sequence) -> Vec<(Sequence, FolderChange)> {
        let present = self.descendants(root).into_iter().filter_map(|folder| {
            if folder.created > known {
                Some((folder.created, FolderChange::Create(folder.number)))
            } else {
                (folder.changed > known).then_some((folder.changed, FolderChange::Update(folder.number)))
            }
        });
        let gone = self.gone_folders().iter().filter(|gone| gone.at > known && gone.arrived <= known);
        present.chain(gone.map(|gone| (gone.at, FolderChange::Delete(gone.number)))).collect()
    }
}

/// A page of a first listing, newest first.
fn listing<C>(mut arrivals: Vec<(Sequence, C)>, from: Reached, changes_max: usize, quiet: bool) -> Page<C> {
    arrivals.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let more = arrivals.len() > changes_max;
    arrivals.truncate(changes_max);
    let last = arrivals.last().map_or(Sequence(0), |(at, _)| *at);
    let below = if more { last } else { Sequence(0) };
    Page {
        changes: arrivals.into_iter().map(|(_, change)| change).collect(),
        reached: Reached { known: from.known, below },
        complete: !more && quiet,
    }
}

/// A page of later changes, in the order they happened.
fn following<C>(mut events: Vec<(Sequence, C)>, from: Reached, changes_max: usize, now: Sequence) -> Page<C> {
    events.sort_by_key(|(at, _)| *at);
    let more = events.len() > changes_max;
    events.truncate(changes_max);
    let known = if more { events.last().map_or(from.known, |(at, _)| *at) } else { now };
    Page {
        changes: events.into_iter().map(|(_, change)| change).collect(),
        reached: Reached { known, below: Sequence(0) },
        complete: !more,
    }
}

#[cfg(test)]
mod tests;
