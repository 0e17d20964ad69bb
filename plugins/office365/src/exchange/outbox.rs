//! The way from the task that asks the server to the host that pulls: events in batches of bounded size, and only so many
//! batches ahead.

use larder_sdk::{
    Error, Event, Item, Result, Value,
    limits::{BATCH_BYTES, BATCH_EVENTS_MAX},
};
use tokio::sync::mpsc;

use crate::rules;

/// Batches that may wait for the host.
pub(super) const BATCHES_AHEAD: usize = 4;

/// What the task says.
#[derive(Debug)]
pub(super) enum Said {
    /// Events in order.
    Batch(Vec<Event>),
    /// Everything has been said.
    Done,
    /// The mailbox cannot be read on.
    Failed(Error),
}

/// Gathers events of one part of a mailbox. Several parts may share a way; each one's events stay in order.
pub(super) struct Outbox {
    way: mpsc::Sender<Said>,
    batch: Vec<Event>,
    bytes: usize,
}

impl Outbox {
    /// An empty one.
    pub(super) fn new(way: &mpsc::Sender<Said>) -> Self {
        Self { way: way.clone(), batch: Vec::new(), bytes: 0 }
    }

    /// Adds an event, and sends the batch if it is full.
    pub(super) async fn push(&mut self, event: Event) -> Result<()> {
        let event = rules::kept(event);
        self.bytes += weight(&event);
        self.batch.push(event);
        if self.bytes >= BATCH_BYTES || self.batch.len() >= BATCH_EVENTS_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what has been gathered. Waits while the host is behind.
    pub(super) async fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        self.way.send(Said::Batch(batch)).await.map_err(|_| Error::cancelled())
    }
}

/// About how many bytes an event takes.
fn weight(event: &Event) -> usize {
    match event {
        Event::Offer(offer) => 128 + of_item(&offer.item),
        Event::Settled(scope, cursor) => scope.as_bytes().len() + cursor.as_bytes().len(),
        Event::Unread(unread) => 256 + unread.error.message().len(),
        _ => 256,
    }
}

fn of_item(item: &Item) -> usize {
    let values = item.meta.iter().map(|(name, value)| name.len() + of_value(value));
    item.id.as_bytes().len()
        + item.parent.as_bytes().len()
        + item.name.as_bytes().len()
        + values.sum::<usize>()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::Text(text) => 8 + text.len(),
        Value::List(values) => 8 + values.iter().map(of_value).sum::<usize>(),
        _ => 16,
    }
}
