//! A source that breaks the rules of its trait.

use std::{future::pending, thread, time::Duration};

use larder_sdk::{
    Body, Bytes, Container, Cursor, Discovery, Event, Finding, Host, Item, ItemId, LogLevel, Name, Offer,
    Reader, ReaderHost, Result, ScopeId, Source, StreamInfo, Value, Word, async_trait,
    limits::{BATCH_EVENTS_MAX, ITEM_BYTES_MAX, PIECE_BYTES_MAX, STREAMS_MAX, VALUE_DEPTH_MAX},
    testing::{ScriptedSource, scripted_item},
};

use crate::mode::Mode;

/// Longer than any test's limit.
const HOUR: Duration = Duration::from_hours(1);

/// A scripted source with one rule broken.
pub(crate) struct Broken {
    mode: Mode,
    script: ScriptedSource,
    host: Host,
}

impl Broken {
    pub(crate) fn new(mode: Mode, host: Host) -> Self {
        let script = ScriptedSource::new();
        for number in 0..50_u8 {
            script.upsert(
                "one",
                scripted_item(&format!("item-{number:02}"), vec![number; usize::from(number) * 100]),
            );
        }
        script.upsert("one", scripted_item("large", vec![7; 3 << 20]));
        script.upsert("two", scripted_item("only", "only this"));
        Self { mode, script, host }
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        assert!(self.mode != Mode::PanicClose, "as told");
    }
}

#[async_trait]
impl Source for Broken {
    async fn validate(&self) -> Result<Vec<Finding>> {
        self.host.log(LogLevel::Info, "checking");
        assert!(self.mode != Mode::PanicValidate, "as told");
        self.script.validate().await
    }

    async fn discover(&self) -> Result<Discovery> {
        assert!(self.mode != Mode::PanicDiscover, "as told");
        let mut found = self.script.discover().await?;
        if self.mode == Mode::TwinContainers {
            found.containers.extend(found.containers.clone());
        }
        Ok(found)
    }

    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        assert!(self.mode != Mode::PanicRead, "as told");
        let script = self.script.read(container, host).await?;
        Ok(Box::new(BrokenReader { mode: self.mode, script }))
    }
}

struct BrokenReader {
    mode: Mode,
    script: Box<dyn Reader>,
}

#[async_trait]
impl Reader for BrokenReader {
    async fn next(&self) -> Result<Vec<Event>> {
        match self.mode {
            Mode::PanicNext => panic!("as told"),
            Mode::StallNext => pending().await,
            Mode::BlockNext => thread::sleep(HOUR),
            Mode::ManyEvents => {
                return Ok((0..=BATCH_EVENTS_MAX).map(|n| Event::Deleted(n.to_string().into())).collect());
            }
            Mode::EndlessListing => {
                return Ok(vec![Event::Settled(ScopeId::from("all"), Cursor::from("again"))]);
            }
            _ => {}
        }
        let mut events = self.script.next().await?;
        for event in &mut events {
            if let Event::Offer(offer) = event {
                spoil(self.mode, &mut offer.item);
            }
        }
        Ok(events)
    }

    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        assert!(self.mode != Mode::PanicFetch, "as told");
        let script = self.script.open(offer, stream).await?;
        Ok(Box::new(BrokenBody { mode: self.mode, script, pieces: 0 }))
    }
}

/// Breaks a rule in an item.
fn spoil(mode: Mode, item: &mut Item) {
    match mode {
        Mode::OversizeItem => item.meta.push(("blob".into(), Value::Bytes(vec![0; ITEM_BYTES_MAX]))),
        Mode::LongId => item.id = ItemId::new(vec![b'x'; ItemId::BYTES_MAX + 1]),
        Mode::EmptyId => item.id = ItemId::default(),
        Mode::DotName => item.name = Name::from(".."),
        Mode::SlashName => item.name = Name::from("../../etc/passwd"),
        Mode::ZeroName => item.name = Name::from("a\0b"),
        Mode::TwinStreams => item.streams.extend(item.streams.clone()),
        Mode::ManyStreams => {
            let named = |n: usize| StreamInfo { name: n.to_string().into(), media: Word::EMPTY, size: None };
            item.streams = (0..=STREAMS_MAX).map(named).collect();
        }
        Mode::DeepValue => {
            let deep = (0..=VALUE_DEPTH_MAX).fold(Value::Null, |inner, _| Value::List(vec![inner]));
            item.meta.push(("deep".into(), deep));
        }
        _ => {}
    }
}

struct BrokenBody {
    mode: Mode,
    script: Box<dyn Body>,
    pieces: usize,
}

#[async_trait]
impl Body for BrokenBody {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        self.pieces += 1;
        match self.mode {
            Mode::PanicBody => panic!("as told"),
            // The first piece comes, so that it is the open body that stalls.
            Mode::StallBody if self.pieces > 3 => pending().await,
            Mode::EmptyPiece => Ok(Some(Bytes::new())),
            Mode::OversizePiece => Ok(Some(vec![0; PIECE_BYTES_MAX + 1].into())),
            Mode::EndlessBody => Ok(Some(vec![0; PIECE_BYTES_MAX].into())),
            _ => self.script.read().await,
        }
    }
}
