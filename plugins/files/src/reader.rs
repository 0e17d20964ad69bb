//! Reads one root: what is owed first, then everything, in order.

use std::sync::{Arc, Mutex, PoisonError};

use larder_sdk::{
    Body, Cursor, Error, Event, ItemId, Offer, Reader, ReaderHost, Result, ScopeId, async_trait,
};

use crate::{
    body::{self, Opened},
    root::Root,
    walk::{Batch, Walk},
};

/// How many owed items are asked for at a time.
const OWED_PAGE: usize = 256;
/// How many small files one thread opens in a row. Several threads do so at once: on a network each file takes its time.
const FILES_PER_TRIP: usize = 32;
const THREAD_STOPPED: &str = "a thread that reads files stopped";
/// The only cursor there is: each run lists everything, so there is nothing to go on from.
const CURSOR: &[u8] = b"1";

/// A reader of one root.
///
/// A run tells `Begin`, every entry, `End`, `Settled`. If any folder could not be listed, `End` and `Settled` are left
/// out: `End` would tell the engine that all that the folder held is gone. What was deleted elsewhere then stays in the
/// snapshot until a run that lists everything; the folder is told as unread, so every run until then says why.
pub(crate) struct FilesReader {
    root: Arc<Root>,
    host: ReaderHost,
    stage: tokio::sync::Mutex<Stage>,
    walk: Arc<Mutex<Walk>>,
}

/// What comes next.
enum Stage {
    /// Owed items with ids after this one.
    Owed(Option<ItemId>),
    /// The beginning of the listing.
    Begin,
    /// The listing.
    Listing,
    /// Nothing.
    Done,
}

impl FilesReader {
    pub(crate) fn new(root: Arc<Root>, walk: Walk, host: ReaderHost) -> Self {
        Self { root, host, stage: Stage::Owed(None).into(), walk: Arc::new(Mutex::new(walk)) }
    }

    /// Works on the walk on a thread that may block.
    async fn with_walk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Walk) -> T + Send + 'static,
    ) -> Result<T> {
        let walk = Arc::clone(&self.walk);
        aside(move || work(&mut walk.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    async fn owed(&self, after: Option<ItemId>) -> Result<(Vec<Event>, Stage)> {
        let owed = self.host.owed(after, OWED_PAGE).await?;
        let next = match owed.last() {
            Some(last) if owed.len() == OWED_PAGE => Stage::Owed(Some(last.id.clone())),
            _ => Stage::Begin,
        };
        let batch = self.with_walk(move |walk| {
            let mut batch = Batch::default();
            for owed in &owed {
                walk.tell_owed(owed, &mut batch);
            }
            batch
        });
        Ok((batch.await?.events, next))
    }

    async fn list(&self, begin: bool) -> Result<(Vec<Event>, Stage)> {
        let told = self.with_walk(move |walk| {
            let mut batch = Batch::default();
            if begin {
                batch.push(Event::Begin(ScopeId::default()));
            }
            let more = walk.fill(&mut batch);
            if !more && walk.complete() {
                batch.push(Event::End(ScopeId::default()));
                batch.push(Event::Settled(ScopeId::default(), Cursor::new(CURSOR)));
            }
            (batch.events, more, walk.place())
        });
        let (events, more, place) = told.await?;
        if let Some(place) = place {
            self.host.progress(&format!("listing {}", place.display()));
        }
        Ok((events, if more { Stage::Listing } else { Stage::Done }))
    }
}

#[async_trait]
impl Reader for FilesReader {
    async fn next(&self) -> Result<Vec<Event>> {
        let mut stage = self.stage.lock().await;
        loop {
            let (events, next) = match &*stage {
                Stage::Owed(after) => self.owed(after.clone()).await?,
                Stage::Begin => self.list(true).await?,
                Stage::Listing => self.list(false).await?,
                Stage::Done => return Ok(Vec::new()),
            };
            *stage = next;
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        check_stream(offer, stream)?;
        let (root, id) = (Arc::clone(&self.root), offer.item.id.clone());
        Ok(aside(move || body::open(&root, id.as_bytes())).await??.into_body())
    }

    /// One trip to a thread for many small files, which would otherwise take longer than reading them.
    async fn open_together(&self, wants: &[(Arc<Offer>, usize)]) -> Option<Vec<Result<Box<dyn Body>>>> {
        let trip = |wants: &[(Arc<Offer>, usize)]| {
            let (root, wants) = (Arc::clone(&self.root), wants.to_vec());
            let open = move |(offer, stream): &(Arc<Offer>, usize)| {
                check_stream(offer, *stream)?;
                body::open(&root, offer.item.id.as_bytes())
            };
            tokio::task::spawn_blocking(move || wants.iter().map(open).collect::<Vec<Result<Opened>>>())
        };
        let trips: Vec<_> = wants.chunks(FILES_PER_TRIP).map(trip).collect();
        let mut bodies = Vec::with_capacity(wants.len());
        for (trip, wants) in trips.into_iter().zip(wants.chunks(FILES_PER_TRIP)) {
            match trip.await {
                Ok(opened) => bodies.extend(opened.into_iter().map(|opened| opened.map(Opened::into_body))),
                Err(_) => bodies.extend(wants.iter().map(|_| Err(Error::bug(THREAD_STOPPED)))),
            }
        }
        Some(bodies)
    }
}

fn check_stream(offer: &Offer, stream: usize) -> Result<()> {
    if stream < offer.item.streams.len() {
        return Ok(());
    }
    Err(Error::bug(format!("{:?} has no stream number {stream}", offer.item.id)))
}

/// Runs what may block on a thread for that.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|stopped| Error::bug(THREAD_STOPPED).with_source(stopped))
}
