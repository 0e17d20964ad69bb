//! Tests over whole trees in temporary folders, as the engine would read them.

mod content;
mod listing;
mod options;
mod unreadable;

use std::path::Path;

use larder_sdk::{
    Container, Event, Host, Item, ItemId, Offer, Owed, Plugin, Reader, ReaderHost, Result, ScopeId, Source,
    limits,
    testing::{ReaderMemory, TestHost},
};

use crate::FilesPlugin;

fn source(options: &str) -> Box<dyn Source> {
    FilesPlugin.source(options, Host::new(TestHost::new())).unwrap()
}

/// Options for one root, with more keys if wanted: `,"exclude": […]`.
fn options(root: &Path, more: &str) -> String {
    format!(r#"{{"paths": [{:?}]{more}}}"#, root.to_str().unwrap())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

async fn open(options: &str, memory: ReaderMemory) -> (Container, Box<dyn Reader>) {
    let source = source(options);
    let container = source.discover().await.unwrap().containers.remove(0);
    let reader = source.read(&container, ReaderHost::new(memory)).await.unwrap();
    (container, reader)
}

/// Everything a reader tells, batch by batch.
async fn batches(reader: &dyn Reader) -> Vec<Vec<Event>> {
    let mut batches = Vec::new();
    loop {
        let batch = reader.next().await.unwrap();
        assert!(batch.len() <= limits::BATCH_EVENTS_MAX + 2, "two more for the end");
        if batch.is_empty() {
            return batches;
        }
        batches.push(batch);
    }
}

async fn events(reader: &dyn Reader) -> Vec<Event> {
    batches(reader).await.into_iter().flatten().collect()
}

fn offers(events: &[Event]) -> Vec<&Offer> {
    events
        .iter()
        .filter_map(|event| if let Event::Offer(offer) = event { Some(offer) } else { None })
        .collect()
}

/// Lists a root once.
fn list(options: &str) -> Vec<Event> {
    block_on(async {
        let (_, reader) = open(options, ReaderMemory::new()).await;
        events(&*reader).await
    })
}

/// The item whose id, with `/` for byte 0, is this.
fn item<'a>(events: &'a [Event], path: &str) -> &'a Item {
    let id = path.replace('/', "\0");
    let found = offers(events).into_iter().find(|offer| offer.item.id.as_bytes() == id.as_bytes());
    &found.unwrap_or_else(|| panic!("{path} was not offered")).item
}

fn paths(events: &[Event]) -> Vec<String> {
    offers(events).iter().map(|offer| offer.item.id.display().replace('\0', "/")).collect()
}

/// Opens an offer's content and joins it.
async fn content(reader: &dyn Reader, offer: &Offer) -> Result<Vec<u8>> {
    let mut body = reader.open(offer, 0).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.read().await? {
        assert!((1..=limits::PIECE_BYTES_MAX).contains(&piece.len()));
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
