//! What everything that reads one mailbox shares.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use larder_sdk::{Event, Host, ItemId, LogLevel, ReaderHost, Result, ScopeId};

use super::{
    client::Client,
    cursor::Place,
    export::{Exporting, Fidelity},
    formats::Formats,
    ids::Converter,
    items::BatchSize,
    moves::Departed,
    outbox::Outbox,
};
use crate::options::ExchangeOptions;

/// A listing this old, in seconds, is made afresh: servers have been seen to leave out what they could not load at the moment,
/// and never mention it again.
const LISTING_AGE_MAX: i64 = 180 * 24 * 3600;

/// See the module.
pub(super) struct Context {
    /// The mailbox's primary address.
    pub(super) address: String,
    pub(super) client: Client,
    pub(super) host: ReaderHost,
    pub(super) options: ExchangeOptions,
    pub(super) formats: Arc<Formats>,
    pub(super) batch: BatchSize,
    pub(super) offered: Offered,
    pub(super) ids: Converter,
    pub(super) departed: Departed,
    pub(super) exporting: Arc<Exporting>,
    /// Set once the server has been asked what it can.
    pub(super) fidelity: OnceLock<Fidelity>,
    pub(super) log_to: Host,
}

impl Context {
    /// A line in the log, about this mailbox.
    pub(super) fn log(&self, level: LogLevel, text: &str) {
        self.log_to.log(level, &format!("{}: {text}", self.address));
    }

    /// The form in which items are read.
    pub(super) fn fidelity(&self) -> Fidelity {
        self.fidelity.get().copied().unwrap_or_default()
    }

    /// Where a scope stands; nowhere if its listing is so old that it is made afresh.
    pub(super) async fn place(&self, scope: &ScopeId) -> Result<Place> {
        let place = Place::read(self.host.cursor(scope).await?.as_ref());
        let old = place.complete && now().saturating_sub(place.begun) > LISTING_AGE_MAX;
        Ok(if old { Place::nowhere() } else { place })
    }

    /// Begins a listing from nothing.
    pub(super) async fn fresh(&self, begin: Event, outbox: &mut Outbox) -> Result<Place> {
        outbox.push(begin).await?;
        Ok(Place::beginning(now()))
    }
}

/// Which items this run has told of already: what the host knows of them is out of date.
///
/// Remembers hashes, 8 bytes an item. Two items of one hash cost a question too many, nothing else.
#[derive(Default)]
pub(super) struct Offered {
    hashes: Mutex<HashSet<u64>>,
    state: RandomState,
}

impl Offered {
    /// Notes an item.
    pub(super) fn note(&self, id: &ItemId) {
        let hash = self.state.hash_one(id);
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).insert(hash);
    }
    /// True if it has been noted.
    pub(super) fn has(&self, id: &ItemId) -> bool {
        let hash = self.state.hash_one(id);
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
}
