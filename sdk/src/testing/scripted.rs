//! A source in memory, from a list of items.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Body, Container, ContainerId, Cursor, Discovery, Error, ErrorKind, Event, Finding, FindingLevel, Item,
    ItemId, Kind, Name, Offer, Reader, ReaderHost, Result, ScopeId, Source, StreamInfo, Tag,
};

/// An item with what its streams hold, in the order of [`Item::streams`].
#[derive(Clone, Debug)]
pub struct ScriptedItem {
    /// The item.
    pub item: Item,
    /// The streams' bytes.
    pub contents: Vec<Bytes>,
}

/// A file in a container's root, named like its id, with one stream.
pub fn scripted_item(name: &str, content: impl Into<Bytes>) -> ScriptedItem {
    let content = content.into();
    let item = Item {
        id: name.into(),
        parent: ItemId::default(),
        name: name.into(),
        kind: Kind::FILE,
        folder: false,
        tag: Tag::default(),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: vec![StreamInfo::content("text/plain", Some(content.len() as u64))],
    };
    ScriptedItem { item, contents: vec![content] }
}

/// A source in memory, with one scope per container and change tracking. Clones share the items, so that a test can change them
/// between two readings.
#[derive(Clone, Debug)]
pub struct ScriptedSource {
    state: Arc<Mutex<State>>,
    batch_events: usize,
    piece_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Grows with every change; a cursor is the value it was made at.
    now: u64,
    containers: BTreeMap<ContainerId, BTreeMap<ItemId, Entry>>,
}

/// An item, or where one was, and when that became so.
#[derive(Clone, Debug)]
struct Entry {
    since: u64,
    present: Option<Arc<ScriptedItem>>,
}

impl ScriptedSource {
    /// A source without containers, with small batches and pieces, so that both come in numbers.
    pub fn new() -> Self {
        Self { state: Arc::default(), batch_events: 16, piece_bytes: 64 << 10 }
    }
    /// Sets the most events in a batch.
    #[must_use]
    pub fn with_batch_events(mut self, batch_events: usize) -> Self {
        self.batch_events = batch_events.max(1);
        self
    }
    /// Sets the most bytes in a piece.
    #[must_use]
    pub fn with_piece_bytes(mut self, piece_bytes: usize) -> Self {
        self.piece_bytes = piece_bytes.max(1);
        self
    }
    /// Adds or changes an item, in a container that is made if need be. Its tag is set to the time of the change.
    pub fn upsert(&self, container: &str, mut item: ScriptedItem) {
        let mut state = self.state();
        state.now += 1;
        let since = state.now;
        item.item.tag = Tag::new(since.to_be_bytes());
        let id = item.item.id.clone();
        let entry = Entry { since, present: Some(Arc::new(item)) };
        state.containers.entry(container.into()).or_default().insert(id, entry);
    }
    /// Removes an item.
    pub fn remove(&self, container: &str, id: &ItemId) {
        let mut state = self.state();
        state.now += 1;
        let since = state.now;
        if let Some(entry) = state.containers.get_mut(&container.into()).and_then(|items| items.get_mut(id)) {
            *entry = Entry { since, present: None };
        }
    }
    /// Removes a container.
    pub fn remove_container(&self, container: &str) {
        self.state().containers.remove(&container.into());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn items(&self, container: &ContainerId) -> Result<(u64, BTreeMap<ItemId, Entry>)> {
        let state = self.state();
        let items = state.containers.get(container).cloned();
        let missing =
            || Error::new(ErrorKind::NotFound, format!("there is no container \"{}\"", container.display()));
        items.map(|items| (state.now, items)).ok_or_else(missing)
    }
}

impl Default for ScriptedSource {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Source for ScriptedSource {
    async fn validate(&self) -> Result<Vec<Finding>> {
        Ok(vec![Finding {
            level: FindingLevel::Good,
            subject: "memory".to_owned(),
            code: "reachable".to_owned(),
            message: "The items are in memory.".to_owned(),
            hint: None,
        }])
    }

    async fn discover(&self) -> Result<Discovery> {
        let container = |id: &ContainerId| Container {
            id: id.clone(),
            path: vec![Name::new(id.as_bytes())],
            kind: Kind::new("script"),
            title: id.display().into_owned(),
            path_ids: false,
            meta: Vec::new(),
        };
        let containers = self.state().containers.keys().map(container).collect();
        Ok(Discovery { containers, findings: Vec::new() })
    }

    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        let (now, items) = self.items(&container.id)?;
        let events = script(now, &items, &host).await?;
        host.progress("reading the script");
        let batch_events = self.batch_events;
        Ok(Box::new(ScriptedReader {
            events: Mutex::new(events.into_iter()),
            batch_events,
            piece_bytes: self.piece_bytes,
        }))
    }
}

fn scope() -> ScopeId {
    ScopeId::from("all")
}

fn offer(item: &Arc<ScriptedItem>) -> Event {
    Event::Offer(Offer { scope: scope(), item: item.item.clone(), carry: Some(Arc::clone(item) as _) })
}

/// Everything a reader will say: what is owed, then what changed, or all.
async fn script(now: u64, items: &BTreeMap<ItemId, Entry>, host: &ReaderHost) -> Result<Vec<Event>> {
    const PAGE: usize = 100;
    let mut events = Vec::new();
    let mut after = None;
    loop {
        let owed = host.owed(after.clone(), PAGE).await?;
        after = owed.last().map(|owed| owed.id.clone());
        let short = owed.len() < PAGE;
        events.extend(owed.into_iter().map(|owed| {
            match items.get(&owed.id).and_then(|entry| entry.present.as_ref()) {
                Some(item) => offer(item),
                None => Event::Deleted(owed.id),
            }
        }));
        if short {
            break;
        }
    }
    let cursor = host.cursor(&scope()).await?;
    let since = cursor.and_then(|cursor| cursor.into_bytes().try_into().ok().map(u64::from_be_bytes));
    let changed = items.iter().filter(|(_, entry)| since.is_none_or(|since| entry.since > since));
    let told = changed.filter_map(|(id, entry)| match &entry.present {
        Some(item) => Some(offer(item)),
        None => since.map(|_| Event::Deleted(id.clone())),
    });
    if since.is_none() {
        events.push(Event::Begin(scope()));
    }
    events.extend(told);
    if since.is_none() {
        events.push(Event::End(scope()));
    }
    events.push(Event::Settled(scope(), Cursor::new(now.to_be_bytes())));
    Ok(events)
}

struct ScriptedReader {
    events: Mutex<std::vec::IntoIter<Event>>,
    batch_events: usize,
    piece_bytes: usize,
}

#[async_trait]
impl Reader for ScriptedReader {
    async fn next(&self) -> Result<Vec<Event>> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(events.by_ref().take(self.batch_events).collect())
    }

    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        let carried = offer.carry.as_ref().and_then(|carry| carry.downcast_ref::<ScriptedItem>());
        let content = carried.and_then(|item| item.contents.get(stream));
        let content = content.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("item \"{}\" has no stream {stream}", offer.item.name.display()),
            )
        })?;
        Ok(Box::new(ScriptedBody { rest: content.clone(), piece_bytes: self.piece_bytes }))
    }
}

struct ScriptedBody {
    rest: Bytes,
    piece_bytes: usize,
}

#[async_trait]
impl Body for ScriptedBody {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        let piece = self.rest.split_to(self.rest.len().min(self.piece_bytes));
        Ok((!piece.is_empty()).then_some(piece))
    }
}
