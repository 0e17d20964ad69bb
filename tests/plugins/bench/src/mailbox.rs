//! A mailbox of many items in many folders, of which some change from run to run.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use larder_sdk::{
    Body, Container, Cursor, Discovery, Error, ErrorKind, Event, Finding, Item, ItemId, Kind, Name, Offer,
    Reader, ReaderHost, ReadyBody, Result, ScopeId, Source, StreamInfo, Tag, Time, Value, async_trait,
};

/// Items in a batch.
const BATCH_ITEMS: u64 = 2048;
/// Bytes of an item's content.
const CONTENT_BYTES: usize = 200;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox {
    /// Its items' ids and contents are those of no mailbox of another number.
    number: u64,
    items: u64,
    folders: u64,
    /// Random items that differ from one run to the next.
    changed: u64,
}

impl Mailbox {
    /// From options: `{"items": …, "folders": …, "changed": …}`, and `"mailbox": …` unless it is the first.
    pub(crate) fn new(options: &str) -> Result<Self> {
        let wrong = |why: &str| Error::new(ErrorKind::Configuration, format!("the mailbox's options: {why}"));
        let options: serde_json::Value =
            serde_json::from_str(options).map_err(|error| wrong(&error.to_string()))?;
        let number = |name: &str| {
            options[name]
                .as_u64()
                .filter(|number| *number > 0)
                .ok_or_else(|| wrong(&format!("`{name}` is no number")))
        };
        let mailbox = options["mailbox"].as_u64();
        Ok(Self {
            number: mailbox.unwrap_or(0),
            items: number("items")?,
            folders: number("folders")?,
            changed: number("changed")?,
        })
    }

    /// Ids are as a mail server gives them: long, and in order within a folder.
    fn item(&self, number: u64, version: u64) -> Item {
        let place = number / self.items.div_ceil(self.folders);
        let number = self.number * self.items + number;
        Item {
            id: ItemId::from(format!("AAMkAGI2TAAA{place:08}{number:012}").as_str()),
            name: Name::from(format!("Minutes of meeting {number}.eml").as_str()),
            parent: ItemId::from(format!("folder-{place:06}").as_str()),
            kind: Kind::MESSAGE,
            folder: false,
            tag: Tag::new(version.to_le_bytes()),
            modified: Some(Time::from_seconds(1_700_000_000 + (number * 7919 % 10_000_000).cast_signed())),
            posix: None,
            meta: vec![
                ("subject".into(), Value::Text(format!("Minutes of meeting {number}"))),
                ("from".into(), Value::Text(format!("person{}@contoso.example", number * 31 % 977))),
            ],
            streams: vec![StreamInfo::content("text/plain", Some(CONTENT_BYTES as u64))],
        }
    }
}

fn folder(number: u64) -> Item {
    let id = format!("folder-{number:06}");
    Item {
        id: ItemId::from(id.as_str()),
        name: Name::from(id.as_str()),
        parent: ItemId::default(),
        kind: Kind::FOLDER,
        folder: true,
        tag: Tag::new(b"1"),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: Vec::new(),
    }
}

#[async_trait]
impl Source for Mailbox {
    async fn validate(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn discover(&self) -> Result<Discovery> {
        let container = Container {
            id: "mailbox".into(),
            path: vec!["mailbox".into()],
            kind: Kind::new("mailbox"),
            title: "mailbox".to_owned(),
            path_ids: false,
            meta: Vec::new(),
        };
        Ok(Discovery { containers: vec![container], findings: Vec::new() })
    }

    async fn read(&self, _container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        let scope = ScopeId::from("all");
        let version = host.cursor(&scope).await?.map_or(0, |cursor| version_of(&cursor));
        Ok(Box::new(Reading { mailbox: *self, scope, version, next: Mutex::new(0) }))
    }
}

fn version_of(cursor: &Cursor) -> u64 {
    cursor.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

struct Reading {
    mailbox: Mailbox,
    scope: ScopeId,
    /// What the last run read; 0 if there was none.
    version: u64,
    /// The next item of a full listing, or whether the changes were told.
    next: Mutex<u64>,
}

impl Reading {
    fn offer(&self, item: Item) -> Event {
        Event::Offer(Offer { scope: self.scope.clone(), item, carry: None })
    }

    fn settled(&self) -> Event {
        Event::Settled(self.scope.clone(), Cursor::new((self.version + 1).to_le_bytes()))
    }

    fn listing(&self, from: u64) -> Vec<Event> {
        let mut events = Vec::new();
        if from == 0 {
            events.push(Event::Begin(self.scope.clone()));
            events.extend((0..self.mailbox.folders).map(|number| self.offer(folder(number))));
        }
        let end = (from + BATCH_ITEMS).min(self.mailbox.items);
        events.extend((from..end).map(|number| self.offer(self.mailbox.item(number, 0))));
        if end == self.mailbox.items {
            events.extend([Event::End(self.scope.clone()), self.settled()]);
        }
        events
    }

    fn changes(&self) -> Vec<Event> {
        let mut numbers = BTreeSet::new();
        let mut random = self.version.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        while (numbers.len() as u64) < self.mailbox.changed.min(self.mailbox.items) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            numbers.insert(random % self.mailbox.items);
        }
        let changed = numbers.into_iter().map(|number| self.offer(self.mailbox.item(number, self.version)));
        changed.chain([self.settled()]).collect()
    }
}

#[async_trait]
impl Reader for Reading {
    async fn next(&self) -> Result<Vec<Event>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let from = *next;
        if from >= self.mailbox.items {
            return Ok(Vec::new());
        }
        if self.version == 0 {
            *next = from + BATCH_ITEMS;
            return Ok(self.listing(from));
        }
        *next = self.mailbox.items;
        Ok(self.changes())
    }

    async fn open(&self, offer: &Offer, _stream: usize) -> Result<Box<dyn Body>> {
        let mut content = offer.item.id.as_bytes().to_vec();
        content.extend_from_slice(offer.item.tag.as_bytes());
        while content.len() < CONTENT_BYTES {
            let digit = b'0' + (content.len() * 7 % 10) as u8;
            content.push(digit);
        }
        Ok(Box::new(ReadyBody::new(content)))
    }
}
