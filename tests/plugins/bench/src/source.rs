//! A source of endless items and bytes.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_sdk::{
    Body, Bytes, Container, Discovery, Event, Finding, Item, ItemId, Kind, Name, Offer, Reader, ReaderHost,
    ReadyBody, Result, ScopeId, Source, StreamInfo, Tag, Time, Value, async_trait, limits::PIECE_BYTES_MAX,
};

/// Bytes of an item's content.
const CONTENT_BYTES: usize = 500;
/// Items in a batch: about [`larder_sdk::limits::BATCH_BYTES`] of them, at which readers end one.
const BATCH_ITEMS: usize = 2048;
/// Different pieces of 1 MiB that go round, so that they come from memory and not from a cache.
const PIECES: usize = 64;

/// Two containers: `items` offers small items without end, `bytes` one item whose stream never ends.
pub(crate) struct Endless {
    contents: Bytes,
    pieces: Vec<Bytes>,
}

impl Endless {
    pub(crate) fn new() -> Self {
        let noise = |seed: usize| {
            (0..PIECE_BYTES_MAX).map(|at| (at.wrapping_mul(seed * 2 + 1) >> 3) as u8).collect::<Vec<_>>()
        };
        Self { contents: noise(0).into(), pieces: (0..PIECES).map(|seed| noise(seed).into()).collect() }
    }
}

#[async_trait]
impl Source for Endless {
    async fn validate(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    async fn discover(&self) -> Result<Discovery> {
        let container = |name: &str| Container {
            id: name.into(),
            path: vec![name.into()],
            kind: Kind::new(name),
            title: name.to_owned(),
            path_ids: false,
            meta: Vec::new(),
        };
        Ok(Discovery { containers: vec![container("items"), container("bytes")], findings: Vec::new() })
    }

    async fn read(&self, container: &Container, _host: ReaderHost) -> Result<Box<dyn Reader>> {
        Ok(if container.id == "items".into() {
            Box::new(Items { contents: self.contents.clone(), template: template(), next: AtomicU64::new(0) })
        } else {
            Box::new(Pieces(self.pieces.clone()))
        })
    }
}

/// A mail-like item of a little over 200 bytes. Making it costs little, so that what is measured is its way.
fn item(template: &Item, number: u64) -> Item {
    let mut digits = *b"AAMkAGI2TAAA00000000000000000000";
    let mut rest = number;
    for digit in digits[12..].iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    Item {
        id: ItemId::new(digits),
        name: Name::new(&digits[8..]),
        tag: Tag::new(number.to_le_bytes()),
        ..template.clone()
    }
}

/// What all items have in common.
fn template() -> Item {
    Item {
        id: ItemId::default(),
        name: Name::default(),
        parent: ItemId::from("inbox"),
        kind: Kind::MESSAGE,
        folder: false,
        tag: Tag::default(),
        modified: Some(Time::from_seconds(1_700_000_000)),
        posix: None,
        meta: vec![
            ("subject".into(), Value::Text("Minutes of the meeting about the very next meeting".to_owned())),
            ("from".into(), Value::Text("somebody@contoso.example".to_owned())),
        ],
        streams: vec![StreamInfo::content("message/rfc822", Some(CONTENT_BYTES as u64))],
    }
}

struct Items {
    contents: Bytes,
    template: Item,
    next: AtomicU64,
}

#[async_trait]
impl Reader for Items {
    async fn next(&self) -> Result<Vec<Event>> {
        let count = BATCH_ITEMS;
        let first = self.next.fetch_add(count as u64, Ordering::Relaxed);
        let scope = ScopeId::from("inbox");
        Ok((first..first + count as u64)
            .map(|number| {
                Event::Offer(Offer { scope: scope.clone(), item: item(&self.template, number), carry: None })
            })
            .collect())
    }

    async fn open(&self, _offer: &Offer, _stream: usize) -> Result<Box<dyn Body>> {
        Ok(Box::new(ReadyBody::new(self.contents.slice(..CONTENT_BYTES))))
    }
}

struct Pieces(Vec<Bytes>);

#[async_trait]
impl Reader for Pieces {
    async fn next(&self) -> Result<Vec<Event>> {
        Ok(vec![Event::Offer(Offer { scope: ScopeId::from("all"), item: item(&template(), 0), carry: None })])
    }

    async fn open(&self, _offer: &Offer, _stream: usize) -> Result<Box<dyn Body>> {
        Ok(Box::new(Round { pieces: self.0.clone(), next: 0 }))
    }
}

struct Round {
    pieces: Vec<Bytes>,
    next: usize,
}

#[async_trait]
impl Body for Round {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        self.next = (self.next + 1) % self.pieces.len();
        Ok(Some(self.pieces[self.next].clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_as_large_as_it_is_said_to_be() {
        let bytes = larder_sdk::codec::encode_plain(&item(&template(), 123_456)).unwrap().len();
        assert!((200..220).contains(&bytes), "{bytes}");
    }
}
