//! One reading of a container, checked event by event.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Checked, OrViolation, Violation, ensure};
use crate::{
    Container, Event, Item, ItemId, Offer, Reader, ReaderHost, ScopeId, Source,
    abi::check,
    codec,
    limits::{BATCH_EVENTS_MAX, ITEM_BYTES_MAX},
    testing::ReaderMemory,
};

/// Longest wait for one batch.
const BATCH_WAIT: Duration = Duration::from_mins(10);

/// What a reading said.
#[derive(Default)]
pub(super) struct Reading {
    /// Every item offered, as last offered.
    pub(super) offers: BTreeMap<ItemId, Offer>,
    /// Items said to be deleted.
    pub(super) deleted: BTreeSet<ItemId>,
    /// Items said to be unreadable now.
    pub(super) unread: BTreeSet<ItemId>,
    /// Scopes that were listed from nothing.
    pub(super) full: BTreeSet<ScopeId>,
    open: BTreeSet<ScopeId>,
    settled: BTreeSet<ScopeId>,
    last: Option<(ItemId, ItemId)>,
}

/// Reads a container to its end, checking every event and keeping in `memory` what an engine would keep.
pub(super) async fn read(
    source: &dyn Source,
    container: &Container,
    memory: &ReaderMemory,
) -> Checked<(Box<dyn Reader>, Reading)> {
    let what = format!("opening container \"{}\"", container.title);
    let reader = source.read(container, ReaderHost::new(memory.clone())).await.or_violation("read", &what)?;
    let mut reading = Reading::default();
    loop {
        let batch = tokio::time::timeout(BATCH_WAIT, reader.next())
            .await
            .map_err(|_| Violation::new("next", format!("no batch within {BATCH_WAIT:?}")))?
            .or_violation("next", "asking for a batch")?;
        if batch.is_empty() {
            break;
        }
        ensure!(
            batch.len() <= BATCH_EVENTS_MAX,
            "next",
            "a batch of {} events, at most {BATCH_EVENTS_MAX} are allowed",
            batch.len()
        );
        for event in batch {
            reading.take(container, memory, event)?;
        }
    }
    reading.ended()?;
    let after = reader.next().await.or_violation("next", "asking again after the end")?;
    ensure!(after.is_empty(), "next", "{} events came after the end", after.len());
    Ok((reader, reading))
}

impl Reading {
    fn take(&mut self, container: &Container, memory: &ReaderMemory, event: Event) -> Checked {
        check::event(&event).or_violation("next", "checking an event")?;
        match event {
            Event::Offer(offer) => self.offered(container, memory, offer)?,
            Event::Deleted(id) => {
                memory.forget(&id);
                memory.paid(&id);
                self.offers.remove(&id);
                self.deleted.insert(id);
            }
            Event::Unread(unread) => {
                self.unread.insert(unread.id);
            }
            Event::Skipped { .. } => {}
            Event::Begin(scope) => {
                ensure!(self.open.insert(scope.clone()), "next", "{scope:?} begins twice");
                self.full.insert(scope);
                self.last = None;
            }
            Event::End(scope) => {
                ensure!(self.open.remove(&scope), "next", "{scope:?} ends without a beginning");
            }
            Event::Settled(scope, cursor) => {
                ensure!(cursor.fits(), "next", "the cursor of {scope:?} is too long");
                memory.settle(scope.clone(), cursor);
                self.settled.insert(scope);
            }
            Event::ScopeGone(scope) => {
                self.open.remove(&scope);
            }
            Event::Moved { was, id, .. } => {
                ensure!(was != id, "next", "{id:?} is told as moved, and is where it was");
            }
        }
        Ok(())
    }

    fn offered(&mut self, container: &Container, memory: &ReaderMemory, offer: Offer) -> Checked {
        let item = &offer.item;
        let what = format!("item \"{}\"", item.id.display());
        check_item(item, &what)?;
        if container.path_ids {
            self.check_path_id(item, &what)?;
        }
        memory.keep(item.clone());
        memory.paid(&item.id);
        self.deleted.remove(&item.id);
        self.offers.insert(item.id.clone(), offer);
        Ok(())
    }

    /// A path id is the parent's, a zero byte and the name; full listings come in order.
    fn check_path_id(&mut self, item: &Item, what: &str) -> Checked {
        let mut path = item.parent.as_bytes().to_vec();
        if !path.is_empty() {
            path.push(0);
        }
        path.extend_from_slice(item.name.as_bytes());
        ensure!(
            path == item.id.as_bytes(),
            "next",
            "{what}: its id is not its path, though `path_ids` is set"
        );
        if !self.open.is_empty() {
            let place = (item.parent.clone(), item.id.clone());
            let ascending = self.last.as_ref().is_none_or(|last| *last < place);
            ensure!(ascending, "next", "{what}: out of the order of (parent, id), though `path_ids` is set");
            self.last = Some(place);
        }
        Ok(())
    }

    fn ended(&self) -> Checked {
        if let Some(scope) = self.open.first() {
            return Err(Violation::new("next", format!("{scope:?} begins and never ends")));
        }
        if let Some(scope) = self.full.iter().find(|scope| !self.settled.contains(*scope)) {
            return Err(Violation::new("next", format!("{scope:?} was listed in full and not settled")));
        }
        Ok(())
    }
}

fn check_item(item: &Item, what: &str) -> Checked {
    check::item(item).or_violation("next", "checking an offer")?;
    let fits = item.id.fits() && item.parent.fits() && item.name.fits() && item.tag.fits();
    ensure!(fits, "next", "{what}: its id, parent, name or tag is too long");
    let length = codec::encode_plain(item).or_violation("next", what)?.len();
    ensure!(length <= ITEM_BYTES_MAX, "next", "{what}: {length} bytes, at most {ITEM_BYTES_MAX} are allowed");
    let encoded = codec::encode_plain(item).or_violation("next", what)?;
    let decoded: Item = codec::decode_plain(&encoded).or_violation("next", what)?;
    ensure!(decoded == *item, "next", "{what}: it does not survive being sent");
    Ok(())
}
