//! What the tenant counts, so that a test can say who asked for what, how often, and how many bytes went out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::gate::Service;

/// What a sent byte belonged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentKind {
    /// A file of a library.
    File,
    /// An attachment of a list item.
    Attachment,
    /// MIME of a mailbox item.
    Mime,
    /// Lists, item fields, folder hierarchies, changes: everything else.
    Listing,
}

/// Everything counted since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterSnapshot {
    /// Requests by account, service and operation; throttled and failed ones included. Requests without an account
    /// stand under the empty name.
    pub requests: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
    /// Bytes sent, by what they were.
    pub content_bytes: BTreeMap<ContentKind, u64>,
    /// How often each item's content was sent, by the item's id.
    pub items_fetched: BTreeMap<String, u64>,
    /// Requests answered with a throttle, by account.
    pub throttled: BTreeMap<String, u64>,
    /// Requests that arrived inside a back-off the account had been told of, by account.
    pub inside_backoff: BTreeMap<String, u64>,
    /// Tokens asked for, by account; refused ones included.
    pub sign_ins: BTreeMap<String, u64>,
    /// Faults acted out.
    pub faults: u64,
}

impl CounterSnapshot {
    /// Requests of one operation of a service, over all accounts.
    pub fn operation(&self, service: Service, operation: &str) -> u64 {
        let of = |services: &BTreeMap<String, BTreeMap<String, u64>>| {
            services
                .get(service.name())
                .and_then(|operations| operations.get(operation))
                .copied()
                .unwrap_or(0)
        };
        self.requests.values().map(of).sum()
    }

    /// All requests of all accounts.
    pub fn total_requests(&self) -> u64 {
        self.requests.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values).sum()
    }
}

/// The living counters.
#[derive(Debug, Default)]
pub struct Counters {
    inner: Mutex<CounterSnapshot>,
}

impl Counters {
    /// Counts a request.
    pub fn request(&self, account: &str, service: Service, operation: &str) {
        let mut inner = self.lock();
        let operations =
            inner.requests.entry(account.into()).or_default().entry(service.name().into()).or_default();
        *operations.entry(operation.into()).or_default() += 1;
    }

    /// Counts bytes about to be sent.
    pub fn sent(&self, kind: ContentKind, bytes: u64) {
        *self.lock().content_bytes.entry(kind).or_default() += bytes;
    }

    /// Counts that an item's content is sent.
    pub fn fetched(&self, item: &str) {
        *self.lock().items_fetched.entry(item.into()).or_default() += 1;
    }

    /// Counts a throttled answer; `violation` if the account had been told to stay away.
    pub fn throttled(&self, account: &str, violation: bool) {
        let mut inner = self.lock();
        *inner.throttled.entry(account.into()).or_default() += 1;
        if violation {
            *inner.inside_backoff.entry(account.into()).or_default() += 1;
        }
    }

    /// Counts a request for a token.
    pub fn sign_in(&self, account: &str) {
        *self.lock().sign_ins.entry(account.into()).or_default() += 1;
    }

    /// Counts a fault acted out.
    pub fn fault(&self) {
        self.lock().faults += 1;
    }

    /// All counts so far.
    pub fn snapshot(&self) -> CounterSnapshot {
        self.lock().clone()
    }

    /// Sets everything to nothing.
    pub fn reset(&self) {
        *self.lock() = CounterSnapshot::default();
    }

    fn lock(&self) -> MutexGuard<'_, CounterSnapshot> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
