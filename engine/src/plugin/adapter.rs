//! Handles as the SDK's traits, so that the conformance suite runs on a plugin behind the boundary as on one before it.
//!
//! Calls block the thread they are awaited on, which tests can bear; the engine itself uses the handles.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use larder_sdk::{
    Body, Capabilities, Container, Destination, Discovery, Error, Event, Finding, ListPage, ObjectInfo,
    ObjectKey, Offer, Reader, ReaderHost, Result, Source, async_trait, limits::PIECE_BYTES_MAX,
};

use super::{BodyHandle, DestinationHandle, Fetched, ReaderEvent, ReaderHandle, SourceHandle, Want};
use crate::store::Store;

/// A source behind the boundary as a [`Source`].
#[derive(Debug)]
pub struct ForeignSource(pub SourceHandle);

#[async_trait]
impl Source for ForeignSource {
    async fn validate(&self) -> Result<Vec<Finding>> {
        self.0.validate()
    }
    async fn discover(&self) -> Result<Discovery> {
        self.0.discover()
    }
    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        let handle = self.0.read(container, host.services())?;
        Ok(Box::new(ForeignReader { handle: Arc::new(handle) }))
    }
}

/// A reader behind the boundary. Wants every offer, and lets go of it when the offer itself is dropped.
struct ForeignReader {
    handle: Arc<ReaderHandle>,
}

/// What an offer carries: its number.
struct Kept {
    number: u64,
    handle: Arc<ReaderHandle>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // An offer that cannot be let go is let go with its reader.
        let _ = self.handle.finish(&[self.number]);
    }
}

#[async_trait]
impl Reader for ForeignReader {
    async fn next(&self) -> Result<Vec<Event>> {
        let batch = self.handle.next()?;
        let offers = batch.iter().filter(|event| matches!(event, ReaderEvent::Offer { .. })).count();
        self.handle.answer(&vec![true; offers])?;
        let event = |event| match event {
            ReaderEvent::Offer { number, scope, item } => {
                let kept = Kept { number, handle: Arc::clone(&self.handle) };
                Event::Offer(Offer { scope, item, carry: Some(Arc::new(kept)) })
            }
            ReaderEvent::Other(event) => event,
        };
        Ok(batch.into_iter().map(event).collect())
    }

    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        let carried = offer.carry.as_ref().and_then(|carry| carry.downcast_ref::<Kept>());
        let kept = carried.ok_or_else(|| Error::bug("an offer of another reader"))?;
        let stream = u32::try_from(stream).map_err(|_| Error::bug("no stream has that number"))?;
        let mut fetched = self.handle.fetch(&[Want { offer: kept.number, stream }])?;
        let (first, rest) = match fetched.pop().ok_or_else(|| Error::bug("a fetch without a result"))?? {
            Fetched::Whole(bytes) => (bytes, None),
            Fetched::Open { first, rest } => (first, Some(rest)),
        };
        Ok(Box::new(ForeignBody { first, rest }))
    }
}

/// A body behind the boundary: what came with the fetch, then the rest.
struct ForeignBody {
    first: Bytes,
    rest: Option<BodyHandle>,
}

#[async_trait]
impl Body for ForeignBody {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        if !self.first.is_empty() {
            return Ok(Some(self.first.split_to(self.first.len().min(PIECE_BYTES_MAX))));
        }
        self.rest.as_mut().map_or(Ok(None), BodyHandle::read)
    }
}

/// A destination behind the boundary as a [`Destination`].
#[derive(Debug)]
pub struct ForeignDestination(pub DestinationHandle);

#[async_trait]
impl Destination for ForeignDestination {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.0.put(key, data)
    }
    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.0.put_if_absent(key, data)
    }
    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.0.get(key)
    }
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        self.0.get_range(key, range)
    }
    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.0.head(key)
    }
    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        self.0.list_page(folder, token)
    }
    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.0.delete(key)
    }
}
