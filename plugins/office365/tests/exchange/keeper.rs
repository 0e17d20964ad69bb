//! What an engine does with a source, as small as it can be: keeps items by id, reads what has a new tag, sweeps what a full
//! listing did not name, owes what could not be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use futures::{StreamExt as _, stream};
use larder_office365::Office365;
use larder_sdk::{
    Container, ContainerId, Cursor, Event, Item, ItemId, Offer, Owed, Reader, ReaderHost, ReaderServices,
    Result, ScopeId, Source as _, Tag, Value as Meta,
};
use serde_json::Value;

/// Bodies read at the same time.
const TOGETHER: usize = 8;

/// An item with what its content was.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) item: Item,
    scope: ScopeId,
    pub(crate) size: u64,
    pub(crate) blake3: String,
    /// The beginning of its content.
    pub(crate) text: Vec<u8>,
    /// The other streams.
    pub(crate) beside: BTreeMap<String, Vec<u8>>,
}

#[derive(Default)]
struct State {
    items: BTreeMap<ItemId, Kept>,
    owed: BTreeMap<ItemId, (Owed, String)>,
    cursors: BTreeMap<ScopeId, Cursor>,
    /// Items named since a listing began.
    listing: BTreeMap<ScopeId, BTreeSet<ItemId>>,
    read: BTreeSet<ItemId>,
    begun: usize,
    /// The items as the run found them, and those of them that go by another id now.
    found: BTreeMap<ItemId, Kept>,
    moved: BTreeMap<ItemId, (ItemId, Tag)>,
}

/// One mailbox's state. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Holding(Arc<Mutex<State>>);

/// All mailboxes' states.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) holdings: BTreeMap<ContainerId, Holding>,
}

impl Keeper {
    /// One run over everything the source finds, mailboxes side by side.
    pub(crate) async fn run(&mut self, source: &Office365) -> Result<()> {
        let found = source.discover().await?;
        assert!(found.findings.is_empty(), "{:?}", found.findings);
        let mut work = Vec::new();
        for container in found.containers {
            let holding = self.holdings.entry(container.id.clone()).or_default().clone();
            work.push(async move { holding.run(source, &container).await });
        }
        let done: Vec<Result<()>> = stream::iter(work).buffer_unordered(4).collect().await;
        done.into_iter().collect()
    }

    /// Why items are owed.
    pub(crate) fn owed(&self) -> Vec<String> {
        self.all(|state| state.owed.values().map(|(_, why)| why.clone()).collect::<Vec<_>>())
    }

    /// The content of the small item of this name, as text.
    pub(crate) fn text_of(&self, name: &str) -> String {
        let found = self.items().into_iter().find(|kept| kept.item.name.display() == name).unwrap();
        String::from_utf8(found.text).unwrap()
    }

    /// Ids of items whose content was read in the last run.
    pub(crate) fn read(&self) -> BTreeSet<ItemId> {
        self.all(|state| state.read.clone()).into_iter().collect()
    }

    /// Listings from nothing in the last run.
    pub(crate) fn begun(&self) -> usize {
        self.all(|state| [state.begun]).into_iter().sum()
    }

    /// All items.
    pub(crate) fn items(&self) -> Vec<Kept> {
        self.all(|state| state.items.values().cloned().collect::<Vec<_>>())
    }

    /// All items of mail folders.
    pub(crate) fn mail(&self) -> Vec<Kept> {
        let is_mail = |kept: &Kept| !kept.item.folder && kept.item.kind.as_str() != "settings";
        self.items().into_iter().filter(is_mail).collect()
    }

    fn all<T, I: IntoIterator<Item = T>>(&self, of: impl Fn(&State) -> I) -> Vec<T> {
        self.holdings.values().flat_map(|holding| of(&holding.state())).collect()
    }

    /// Compares with a manifest; every difference is a line.
    pub(crate) fn differences(&self, manifest: &[Value]) -> Vec<String> {
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        for line in manifest {
            *wanted.entry(described(line)).or_default() += 1;
        }
        for (id, holding) in &self.holdings {
            let mailbox = id.display().strip_prefix("exchange:").unwrap().to_owned();
            let state = holding.state();
            // The manifest lists the visible folders only.
            for kept in state
                .items
                .values()
                .filter(|kept| !state.path_of(&kept.item).starts_with("Recoverable Items"))
                .filter(|kept| kept.item.id.as_bytes() != b"settings")
            {
                *wanted.entry(state.describe(&mailbox, kept)).or_default() -= 1;
            }
        }
        let differing = wanted.into_iter().filter(|(_, count)| *count != 0);
        differing
            .map(|(what, count)| format!("{} {what}", if count > 0 { "missing:" } else { "too much:" }))
            .collect()
    }
}

/// A manifest's line as one text. Illegal characters of XML never arrive.
fn described(line: &Value) -> String {
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let parts = line["path"].as_array().unwrap().iter();
    let path: Vec<String> = parts.map(|part| part.as_str().unwrap().replace(['/', '\\'], "_")).collect();
    let head = format!("{} {} {}", text("mailbox"), text("kind"), path.join("/"));
    if text("kind") == "settings" {
        return format!("{head}/{}", text("name"));
    }
    if text("kind") == "folder" {
        return format!("{head} {}", text("folder_class"));
    }
    let categories: Vec<&str> =
        line["categories"].as_array().unwrap().iter().map(|category| category.as_str().unwrap()).collect();
    let subject: String = text("subject").chars().filter(|char| !char.is_control()).collect();
    format!(
        "{head} {subject:?} {} {} {} {} {categories:?}",
        text("item_class"),
        text("internet_message_id"),
        line["is_read"],
        line["blake3"].as_str().unwrap_or("rebuilt"),
    )
}

impl State {
    fn path(&self, item: &Item) -> String {
        let mut parts = Vec::new();
        let mut at = &item.parent;
        while !at.is_empty() {
            let Some(parent) = self.items.get(at) else { return format!("(lost in {at:?})") };
            parts.push(parent.item.name.display().into_owned());
            at = &parent.item.parent;
        }
        parts.reverse();
        parts.join("/")
    }

    fn path_of(&self, item: &Item) -> String {
        format!("{}/{}", self.path(item), item.name.display()).trim_start_matches('/').to_owned()
    }

    fn describe(&self, mailbox: &str, kept: &Kept) -> String {
        let item = &kept.item;
        let value = |name: &str| item.meta.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let text = |name: &str| match value(name) {
            Some(Meta::Text(text)) => text.clone(),
            _ => String::new(),
        };
        let path = self.path(item);
        if item.folder {
            return format!("{mailbox} folder {} {}", self.path_of(item), text("folder_class"));
        }
        if item.kind.as_str() == "settings" {
            return format!("{mailbox} settings {}", self.path_of(item));
        }
        let categories: Vec<&str> = match value("categories") {
            Some(Meta::List(list)) => {
                list.iter().map(|one| if let Meta::Text(text) = one { text.as_str() } else { "" }).collect()
            }
            _ => Vec::new(),
        };
        let is_read = matches!(value("is_read"), Some(Meta::Bool(true)));
        let subject: String = text("subject").chars().filter(|char| !char.is_control()).collect();
        format!(
            "{mailbox} {} {path} {subject:?} {} {} {is_read} {} {categories:?}",
            item.kind,
            text("item_class"),
            text("internet_message_id"),
            kept.blake3
        )
    }

    /// What an item was known as before it was moved, if its streams are still the same.
    fn before_move(&self, item: &Item) -> Option<&Kept> {
        let (was, tag) = self.moved.get(&item.id)?;
        let before = self.found.get(was).filter(|_| *tag == item.tag && !self.owed.contains_key(was))?;
        let streams = |item: &Item| item.streams.iter().map(|stream| stream.name.clone()).collect::<Vec<_>>();
        (streams(&before.item) == streams(item)).then_some(before)
    }

    fn is_new(&self, item: &Item) -> bool {
        self.before_move(item).is_none()
            && !self.items.get(&item.id).is_some_and(|kept| !item.tag.is_empty() && kept.item.tag == item.tag)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Deleted(id) => self.delete(&id),
            Event::Unread(unread) => {
                self.name(&unread.scope, &unread.id);
                let tries = self.owed.get(&unread.id).map_or(0, |(owed, _)| owed.tries) + 1;
                let owed = Owed {
                    id: unread.id.clone(),
                    parent: unread.parent,
                    name: unread.name,
                    scope: unread.scope,
                    tries,
                };
                self.owed.insert(unread.id, (owed, unread.error.to_string()));
            }
            Event::Begin(scope) => {
                self.begun += 1;
                self.listing.insert(scope, BTreeSet::new());
            }
            Event::End(scope) => {
                let seen = self.listing.remove(&scope).expect("End follows Begin");
                let gone: Vec<ItemId> = self
                    .items
                    .values()
                    .filter(|kept| kept.scope == scope && !seen.contains(&kept.item.id))
                    .map(|kept| kept.item.id.clone())
                    .collect();
                for id in &gone {
                    self.delete(id);
                }
            }
            Event::Settled(scope, cursor) => {
                self.cursors.insert(scope, cursor);
            }
            Event::ScopeGone(scope) => {
                self.cursors.remove(&scope);
                self.items.retain(|_, kept| kept.scope != scope);
                self.owed.retain(|_, (owed, _)| owed.scope != scope);
            }
            // Taken in before the offers of its batch.
            Event::Moved { .. } => {}
            other => panic!("unexpected {other:?}"),
        }
    }

    fn name(&mut self, scope: &ScopeId, id: &ItemId) {
        if let Some(seen) = self.listing.get_mut(scope) {
            seen.insert(id.clone());
        }
    }

    fn delete(&mut self, id: &ItemId) {
        self.items.remove(id);
        self.owed.remove(id);
    }

    fn keep(&mut self, offer: Offer, content: Option<Streams>) {
        let Offer { item, scope, .. } = offer;
        self.name(&scope, &item.id);
        let before = self.items.get(&item.id).or_else(|| self.before_move(&item));
        let before =
            before.map(|kept| (kept.size, kept.blake3.clone(), kept.text.clone(), kept.beside.clone()));
        let (size, blake3, text, beside) = content.or(before).unwrap_or_default();
        let blake3 =
            if item.meta.iter().any(|(name, _)| name == "rebuilt") { "rebuilt".to_owned() } else { blake3 };
        self.owed.remove(&item.id);
        self.items.insert(item.id.clone(), Kept { item, scope, size, blake3, text, beside });
    }
}

impl Holding {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Everything owed, by id.
    pub(crate) fn owed(&self) -> Vec<Owed> {
        self.state().owed.values().map(|(owed, _)| owed.clone()).collect()
    }

    async fn run(&self, source: &Office365, container: &Container) -> Result<()> {
        {
            let mut state = self.state();
            state.read.clear();
            state.begun = 0;
            state.found = state.items.clone();
            state.moved.clear();
        }
        let reader = source.read(container, ReaderHost::new(self.clone())).await?;
        loop {
            let batch = reader.next().await?;
            if batch.is_empty() {
                return Ok(());
            }
            self.take(&*reader, batch).await;
        }
    }

    /// Stops after `batches`, as a killed engine does.
    pub(crate) async fn run_partly(&self, source: &Office365, container: &Container, batches: usize) {
        let reader = source.read(container, ReaderHost::new(self.clone())).await.unwrap();
        for _ in 0..batches {
            let batch = reader.next().await.unwrap();
            self.take(&*reader, batch).await;
        }
    }

    async fn take(&self, reader: &dyn Reader, batch: Vec<Event>) {
        let mut wanted = Vec::new();
        for event in &batch {
            if let Event::Moved { was, id, tag } = event {
                self.state().moved.insert(id.clone(), (was.clone(), tag.clone()));
            }
        }
        for event in &batch {
            if let Event::Offer(offer) = event
                && !offer.item.streams.is_empty()
                && self.state().is_new(&offer.item)
            {
                wanted.push(read(reader, offer));
            }
        }
        let mut contents: BTreeMap<ItemId, Result<Streams>> =
            stream::iter(wanted).buffer_unordered(TOGETHER).collect::<Vec<_>>().await.into_iter().collect();
        let mut state = self.state();
        for event in batch {
            let Event::Offer(offer) = event else {
                state.take(event);
                continue;
            };
            match contents.remove(&offer.item.id) {
                Some(Err(error)) => {
                    let Item { id, parent, name, .. } = offer.item;
                    state.take(Event::Unread(larder_sdk::Unread {
                        scope: offer.scope,
                        id,
                        parent,
                        name,
                        error,
                    }));
                }
                Some(Ok(content)) => {
                    state.read.insert(offer.item.id.clone());
                    state.keep(offer, Some(content));
                }
                None => state.keep(offer, None),
            }
        }
    }
}

impl ReaderServices for Holding {
    fn scopes(&self) -> Result<Vec<ScopeId>> {
        Ok(self.state().cursors.keys().cloned().collect())
    }
    fn cursor(&self, scope: &ScopeId) -> Result<Option<Cursor>> {
        Ok(self.state().cursors.get(scope).cloned())
    }
    fn item(&self, id: &ItemId) -> Result<Option<Item>> {
        Ok(self.state().items.get(id).map(|kept| kept.item.clone()))
    }
    fn owed(&self, after: Option<&ItemId>, most: usize) -> Result<Vec<Owed>> {
        let state = self.state();
        let later = state.owed.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        Ok(later.take(most).map(|(_, (owed, _))| owed.clone()).collect())
    }
    fn progress(&self, _: &str) {}
}

/// Size, digest and beginning of the content, and the other streams.
type Streams = (u64, String, Vec<u8>, BTreeMap<String, Vec<u8>>);

async fn read(reader: &dyn Reader, offer: &Offer) -> (ItemId, Result<Streams>) {
    (offer.item.id.clone(), streams(reader, offer).await)
}

async fn streams(reader: &dyn Reader, offer: &Offer) -> Result<Streams> {
    let (size, digest, text) = content(reader, offer).await?;
    let mut beside = BTreeMap::new();
    for (number, stream) in offer.item.streams.iter().enumerate().skip(1) {
        let (mut body, mut bytes) = (reader.open(offer, number).await?, Vec::new());
        while let Some(piece) = body.read().await? {
            bytes.extend_from_slice(&piece);
        }
        beside.insert(stream.name.to_string(), bytes);
    }
    Ok((size, digest, text, beside))
}

async fn content(reader: &dyn Reader, offer: &Offer) -> Result<(u64, String, Vec<u8>)> {
    let mut body = reader.open(offer, 0).await?;
    let (mut hasher, mut size, mut first) = (blake3::Hasher::new(), 0, Vec::new());
    while let Some(piece) = body.read().await? {
        assert!(!piece.is_empty() && piece.len() <= larder_sdk::limits::PIECE_BYTES_MAX);
        if first.is_empty() {
            first = piece.to_vec();
        }
        hasher.update(&piece);
        size += piece.len() as u64;
    }
    // Content that was built by the source stands for none in the manifest.
    let rebuilt = first.starts_with(b"X-Larder-Rebuilt: yes\r\n");
    let digest = if rebuilt { "rebuilt".to_owned() } else { hasher.finalize().to_hex().to_string() };
    Ok((size, digest, first))
}
