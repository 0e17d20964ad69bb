//! What an engine does with a source, as small as it can be: keeps items by id, reads what has a new tag, sweeps what a full listing
//! did not name.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use larder_office365::Office365;
use larder_sdk::{
    Container, ContainerId, ErrorKind, Event, Item, ItemId, Kind, Offer, Owed, Reader, ReaderHost, Result,
    ScopeId, Source as _, StreamInfo, testing::ReaderMemory,
};
use serde_json::Value;

use crate::support::joined;

/// One stored stream: name, length, digest, and the bytes if they are few.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) blake3: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) item: Item,
    scope: ScopeId,
    pub(crate) streams: Vec<Stored>,
}

/// One container's state.
#[derive(Default)]
pub(crate) struct Holding {
    pub(crate) items: BTreeMap<ItemId, Kept>,
    pub(crate) owed: BTreeMap<ItemId, String>,
    pub(crate) memory: ReaderMemory,
    container: Option<Container>,
}

/// All containers' states.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) holdings: BTreeMap<ContainerId, Holding>,
    /// Streams read in the last run.
    pub(crate) read: usize,
}

/// Bodies read at the same time.
const TOGETHER: usize = 8;
/// Longest stream whose bytes are kept.
const BYTES_KEPT: usize = 1 << 20;

impl Keeper {
    /// One run over everything the source finds, containers side by side.
    pub(crate) async fn run(&mut self, source: &Office365) -> Result<()> {
        let found = source.discover().await?;
        self.read = 0;
        let mut work = Vec::new();
        for container in found.containers {
            let holding = self.holdings.remove(&container.id).unwrap_or_default();
            work.push(async move { (container.id.clone(), holding.run(source, container).await) });
        }
        let mut done = stream::iter(work).buffer_unordered(4);
        let mut first_error = None;
        while let Some((id, (holding, ran))) = done.next().await {
            match ran {
                Ok(read) => self.read += read,
                Err(error) => first_error = first_error.or(Some(error)),
            }
            self.holdings.insert(id, holding);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Everything owed, by name of its reason.
    pub(crate) fn owed(&self) -> Vec<String> {
        self.holdings.values().flat_map(|holding| holding.owed.values().cloned()).collect()
    }

    /// Every stored stream.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stored> {
        self.holdings.values().flat_map(|holding| holding.items.values()).flat_map(|kept| &kept.streams)
    }

    /// Compares with a manifest; every difference is a line.
    pub(crate) fn differences(&self, manifest: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut seen = BTreeSet::new();
        let mut roots: BTreeMap<(String, String), String> = BTreeMap::new();
        for line in manifest {
            let (site, kind) = (line["site"].as_str().unwrap(), line["kind"].as_str().unwrap());
            let Some((of, holding)) = self.holdings.iter().find(|(_, holding)| holding.is_of(site)) else {
                wrong.push(format!("no container for {site}"));
                continue;
            };
            if kind == "site" {
                wrong
                    .extend(holding.site_differences(line).into_iter().map(|what| format!("{site}: {what}")));
                continue;
            }
            let path = line["path"].as_str().unwrap();
            if kind == "library" || kind == "list" {
                roots.insert((site.to_owned(), line["title"].as_str().unwrap().to_owned()), path.to_owned());
            }
            let Some(kept) = holding.find(line) else {
                wrong.push(format!("missing: {kind} {path}"));
                continue;
            };
            seen.insert((of.clone(), kept.item.id.clone()));
            let root = line["list"].as_str().and_then(|list| roots.get(&(site.to_owned(), list.to_owned())));
            let expected =
                root.map_or_else(|| leaf(path), |root| format!("{}{}", leaf(root), &path[root.len()..]));
            let expected = if kind == "list_item" { format!("{expected}.json") } else { expected };
            let found = holding.path_of(kept);
            if found != expected {
                wrong.push(format!("{path}: found at {found}, expected {expected}"));
            }
            wrong.extend(kept.differences(line).into_iter().map(|what| format!("{path}: {what}")));
        }
        for (of, holding) in &self.holdings {
            let others = holding.items.iter().filter(|(_, kept)| kept.item.kind.as_str() != "settings");
            for id in others.map(|(id, _)| id).filter(|id| !seen.contains(&(of.clone(), (*id).clone()))) {
                wrong.push(format!("too much: {}", holding.path_of(&holding.items[id])));
            }
        }
        wrong
    }
}

fn leaf(path: &str) -> String {
    path.rsplit('/').next().unwrap().to_owned()
}

impl Kept {
    fn differences(&self, line: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let stream = |name: &str| self.streams.iter().find(|stream| stream.name == name);
        if line["kind"] == "file" {
            wrong.extend(self.version_differences(line));
        }
        match line["kind"].as_str().unwrap() {
            "file" => match stream("content") {
                Some(stream) if stream.blake3 == line["blake3"] && stream.size == line["size"] => {}
                other => wrong.push(format!("content is {other:?}, expected {line}")),
            },
            "list_item" => {
                let content: Value = serde_json::from_slice(&stream("content").unwrap().bytes).unwrap();
                for (name, value) in line["fields"].as_object().unwrap() {
                    // A column that was added since changes no item.
                    if content.get(name).unwrap_or(&Value::Null) != value {
                        wrong.push(format!("field {name} is {:?}, expected {value}", content.get(name)));
                    }
                }
                let attachments = line["attachments"].as_array().unwrap();
                for one in attachments {
                    let name = format!("attachment/{}", one["name"].as_str().unwrap());
                    if stream(&name).is_none_or(|stream| stream.blake3 != one["blake3"]) {
                        wrong.push(format!("{name} differs"));
                    }
                }
                let attached = self.streams.iter().filter(|stream| stream.name.starts_with("attachment/"));
                if attached.count() != attachments.len() {
                    wrong.push(format!("{} streams", self.streams.len()));
                }
            }
            "list" | "library" => wrong.extend(self.schema_differences(line)),
            _ => {}
        }
        wrong.extend(self.permission_differences(line));
        wrong
    }

    fn json(&self, name: &str) -> Option<Value> {
        let stream = self.streams.iter().find(|stream| stream.name == name)?;
        Some(serde_json::from_slice(&stream.bytes).unwrap())
    }

    fn schema_differences(&self, line: &Value) -> Vec<String> {
        let Some(schema) = self.json("schema.json") else { return vec!["no schema".to_owned()] };
        let mut wrong = Vec::new();
        let parts = [
            ("columns", "Fields", "InternalName"),
            ("content_types", "ContentTypes", "Name"),
            ("views", "Views", "Title"),
        ];
        for (expected, part, name) in parts {
            let found: BTreeSet<&str> =
                schema[part].as_array().unwrap().iter().filter_map(|row| row[name].as_str()).collect();
            for one in line[expected].as_array().unwrap() {
                if !found.contains(one.as_str().unwrap()) {
                    wrong.push(format!("{part} lack {one}: {found:?}"));
                }
            }
        }
        if schema["Settings"]["Description"] != line["description"] {
            wrong.push(format!("description is {}", schema["Settings"]["Description"]));
        }
        wrong
    }

    /// Versions, where they are read at all.
    pub(crate) fn version_differences(&self, line: &Value) -> Vec<String> {
        let expected: Vec<String> = line["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| {
                format!(
                    "version/{} {}",
                    version["label"].as_str().unwrap(),
                    version["blake3"].as_str().unwrap()
                )
            })
            .collect();
        let found = self.streams.iter().filter(|stream| stream.name.starts_with("version/"));
        let found: Vec<String> = found.map(|stream| format!("{} {}", stream.name, stream.blake3)).collect();
        if found == expected {
            Vec::new()
        } else {
            vec![format!("versions are {found:?}, expected {expected:?}")]
        }
    }

    fn permission_differences(&self, line: &Value) -> Vec<String> {
        let found = self.json("permissions.json").map_or(Value::Null, |told| roles(&told));
        if found == line["permissions"] {
            Vec::new()
        } else {
            vec![format!("permissions are {found}, expected {}", line["permissions"])]
        }
    }
}

/// Role assignments as the manifest has them: names of roles by login name.
fn roles(told: &Value) -> Value {
    let rows = told["RoleAssignments"].as_array().unwrap().iter().map(|row| {
        let roles: Vec<&Value> =
            row["RoleDefinitionBindings"].as_array().unwrap().iter().map(|role| &role["Name"]).collect();
        (
            row["Member"]["LoginName"].as_str().unwrap().to_owned(),
            roles.into_iter().cloned().collect::<Value>(),
        )
    });
    Value::Object(rows.collect())
}

impl Holding {
    fn is_of(&self, site: &str) -> bool {
        let site = if site == "/" { "/@root" } else { site };
        let path = self.container.as_ref().map(|of| joined(&of.path[1..])).unwrap_or_default();
        path == site
    }

    /// A document of the site's own.
    pub(crate) fn document(&self, name: &str) -> Option<Value> {
        self.items.get(&ItemId::from(format!("@site/{name}")))?.json("content")
    }

    fn site_differences(&self, line: &Value) -> Vec<String> {
        let mut wrong = Vec::new();
        let Some(web) = self.document("web.json") else { return vec!["no settings".to_owned()] };
        for (name, key) in [("Title", "title"), ("Description", "description")] {
            if web[name] != line[key] {
                wrong.push(format!("{name} is {}, expected {}", web[name], line[key]));
            }
        }
        let permissions = self.document("permissions.json").map_or(Value::Null, |told| roles(&told));
        if permissions != line["permissions"] {
            wrong.push(format!("permissions are {permissions}, expected {}", line["permissions"]));
        }
        let groups = self.document("groups.json").map_or(Value::Null, |told| {
            let rows = told.as_array().unwrap().iter().map(|group| {
                let users = group["Users"].as_array().unwrap().iter().map(|user| user["LoginName"].clone());
                (group["Title"].as_str().unwrap().to_owned(), users.collect::<Value>())
            });
            Value::Object(rows.collect())
        });
        if groups != line["groups"] {
            wrong.push(format!("groups are {groups}, expected {}", line["groups"]));
        }
        wrong
    }

    fn find(&self, line: &Value) -> Option<&Kept> {
        let id = line["unique_id"].as_str().unwrap_or_default();
        match line["kind"].as_str()? {
            "list_item" => self.items.values().find(|kept| {
                let ends = format!("/{}", line["item_id"]);
                let list = self.items.get(&kept_list(kept));
                kept.item.kind == Kind::LIST_ITEM
                    && kept.item.id.display().ends_with(&ends)
                    && list.is_some_and(|list| title(list) == line["list"])
            }),
            "list" | "library" => self
                .items
                .values()
                .find(|kept| kept.item.kind.as_str() == line["kind"] && title(kept) == line["title"]),
            _ => self.items.get(&ItemId::from(id)),
        }
    }

    fn path_of(&self, kept: &Kept) -> String {
        let mut parts = vec![kept.item.name.display().into_owned()];
        let mut at = kept;
        while !at.item.parent.is_empty() {
            let Some(parent) = self.items.get(&at.item.parent) else {
                parts.push("(no parent)".to_owned());
                break;
            };
            at = parent;
            parts.push(at.item.name.display().into_owned());
        }
        parts.reverse();
        parts.join("/")
    }

    async fn run(mut self, source: &Office365, container: Container) -> (Self, Result<usize>) {
        self.container = Some(container.clone());
        let ran = self.read(source, &container).await;
        (self, ran)
    }

    async fn read(&mut self, source: &Office365, container: &Container) -> Result<usize> {
        let reader = source.read(container, ReaderHost::new(self.memory.clone())).await?;
        let mut listing: BTreeMap<ScopeId, BTreeSet<ItemId>> = BTreeMap::new();
        let mut read = 0;
        loop {
            let batch = reader.next().await?;
            if batch.is_empty() {
                return Ok(read);
            }
            let wanted: Vec<Offer> = batch
                .iter()
                .filter_map(|event| match event {
                    Event::Offer(offer) if !self.has(&offer.item) => Some(offer.clone()),
                    _ => None,
                })
                .collect();
            let bodies: Vec<_> =
                wanted.iter().map(|offer| streams_of(&*reader, offer, self.stored(&offer.item))).collect();
            let mut bodies: BTreeMap<ItemId, Result<Streams>> = stream::iter(bodies)
                .buffer_unordered(TOGETHER)
                .collect::<Vec<_>>()
                .await
                .into_iter()
                .collect();
            for event in batch {
                match event {
                    Event::Offer(offer) => {
                        if let Some(seen) = listing.get_mut(&offer.scope) {
                            seen.insert(offer.item.id.clone());
                        }
                        match bodies.remove(&offer.item.id) {
                            Some(Err(error)) => self.owe(&offer, &error.to_string()),
                            Some(Ok(streams)) => {
                                read += streams.read;
                                self.keep(offer.clone(), streams.all);
                                if let Some(error) = streams.lost {
                                    self.owe(&offer, &error);
                                }
                            }
                            None => {
                                let streams = self.stored(&offer.item);
                                self.keep(offer, streams);
                            }
                        }
                    }
                    other => self.take(other, &mut listing),
                }
            }
        }
    }

    fn take(&mut self, event: Event, listing: &mut BTreeMap<ScopeId, BTreeSet<ItemId>>) {
        match event {
            Event::Deleted(id) => self.delete(&id),
            Event::Unread(unread) => {
                if let Some(seen) = listing.get_mut(&unread.scope) {
                    seen.insert(unread.id.clone());
                }
                let owed = Owed {
                    id: unread.id.clone(),
                    parent: unread.parent,
                    name: unread.name,
                    scope: unread.scope,
                    tries: 1,
                };
                self.memory.owe(owed);
                self.owed.insert(unread.id, unread.error.to_string());
            }
            Event::Begin(scope) => {
                listing.insert(scope, BTreeSet::new());
            }
            Event::End(scope) => {
                let seen = listing.remove(&scope).unwrap();
                let gone: Vec<ItemId> = self
                    .items
                    .values()
                    .filter(|kept| kept.scope == scope && !seen.contains(&kept.item.id))
                    .map(|kept| kept.item.id.clone())
                    .collect();
                for id in gone {
                    self.delete(&id);
                }
            }
            Event::Settled(scope, cursor) => self.memory.settle(scope, cursor),
            Event::ScopeGone(scope) => self.items.retain(|_, kept| kept.scope != scope),
            _ => {}
        }
    }

    fn has(&self, item: &Item) -> bool {
        self.items.contains_key(&item.id) && self.stored(item).len() == item.streams.len()
    }

    /// The streams that are stored already: as the engine finds them.
    fn stored(&self, item: &Item) -> Vec<Stored> {
        let Some(kept) = self.items.get(&item.id).filter(|_| !self.owed.contains_key(&item.id)) else {
            return Vec::new();
        };
        let same_tag = kept.item.tag == item.tag && !item.tag.is_empty();
        let stands =
            |offered: &&StreamInfo| {
                let before = kept.item.streams.iter().find(|stream| stream.name == offered.name);
                before.is_some_and(|before| {
                    if offered.has_own_tag() { before.media == offered.media } else { same_tag }
                })
            };
        let names = item.streams.iter().filter(stands).map(|stream| stream.name.as_str());
        names.filter_map(|name| kept.streams.iter().find(|stream| stream.name == name).cloned()).collect()
    }

    fn keep(&mut self, offer: Offer, streams: Vec<Stored>) {
        let id = offer.item.id.clone();
        self.memory.keep(offer.item.clone());
        self.memory.paid(&id);
        self.owed.remove(&id);
        self.items.insert(id, Kept { item: offer.item, scope: offer.scope, streams });
    }

    fn owe(&mut self, offer: &Offer, why: &str) {
        let Item { id, parent, name, .. } = offer.item.clone();
        self.memory.owe(Owed { id: id.clone(), parent, name, scope: offer.scope.clone(), tries: 1 });
        self.owed.insert(id, why.to_owned());
    }

    fn delete(&mut self, id: &ItemId) {
        self.memory.forget(id);
        self.memory.paid(id);
        self.owed.remove(id);
        if self.items.remove(id).is_some() {
            let inside: Vec<ItemId> = self
                .items
                .values()
                .filter(|kept| kept.item.parent == *id)
                .map(|kept| kept.item.id.clone())
                .collect();
            for id in inside {
                self.delete(&id);
            }
        }
    }
}

fn kept_list(kept: &Kept) -> ItemId {
    ItemId::new(kept.scope.as_bytes())
}

fn title(kept: &Kept) -> Value {
    let title = kept.item.meta.iter().find(|(name, _)| name == "Title");
    match title {
        Some((_, larder_sdk::Value::Text(text))) => Value::from(text.as_str()),
        _ => Value::Null,
    }
}

/// The streams of an item: those stored before, and so many that were read.
struct Streams {
    all: Vec<Stored>,
    read: usize,
    lost: Option<String>,
}

async fn streams_of(reader: &dyn Reader, offer: &Offer, stored: Vec<Stored>) -> (ItemId, Result<Streams>) {
    (offer.item.id.clone(), all_streams(reader, offer, stored).await)
}

async fn all_streams(reader: &dyn Reader, offer: &Offer, stored: Vec<Stored>) -> Result<Streams> {
    let mut found = Streams { all: Vec::new(), read: 0, lost: None };
    for (number, stream) in offer.item.streams.iter().enumerate() {
        if let Some(stored) = stored.iter().find(|stored| stored.name == stream.name.as_str()) {
            found.all.push(stored.clone());
            continue;
        }
        match one_stream(reader, offer, number).await {
            Ok(read) => {
                found.all.push(Stored { name: stream.name.to_string(), ..read });
                found.read += 1;
            }
            Err(error) if !stream.has_own_tag() => return Err(error),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => found.lost = Some(error.to_string()),
        }
    }
    Ok(found)
}

async fn one_stream(reader: &dyn Reader, offer: &Offer, number: usize) -> Result<Stored> {
    let mut body = reader.open(offer, number).await?;
    let (mut hasher, mut size, mut bytes) = (blake3::Hasher::new(), 0, Vec::new());
    while let Some(piece) = body.read().await? {
        hasher.update(&piece);
        size += piece.len() as u64;
        if bytes.len() + piece.len() <= BYTES_KEPT {
            bytes.extend_from_slice(&piece);
        }
    }
    Ok(Stored { name: String::new(), size, blake3: hasher.finalize().to_hex().to_string(), bytes })
}
