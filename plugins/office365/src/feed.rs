//! From straight-line code that finds events to batches that a host pulls.
//!
//! A task of its own walks the source and pushes events; [`Feed::next`] hands out what has gathered. The task is at most two batches
//! ahead, and ends when the feed is dropped.

use std::future::Future;

use crate::rules;
use larder_sdk::{
    Error, Event, Item, Result, Value,
    limits::{BATCH_BYTES, BATCH_EVENTS_MAX},
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

/// Batches that wait for the host.
const AHEAD: usize = 2;
/// Bytes an event takes beside its texts, roughly.
const EVENT_BYTES: usize = 160;

/// The host's end.
pub(crate) struct Feed {
    batches: Mutex<mpsc::Receiver<Result<Vec<Event>>>>,
    task: JoinHandle<()>,
}

/// The walking task's end.
pub(crate) struct Sink {
    batches: mpsc::Sender<Result<Vec<Event>>>,
    gathered: Vec<Event>,
    bytes: usize,
}

impl Feed {
    /// Starts `walk` on a task of its own. Its error, if any, comes after everything it pushed.
    pub(crate) fn start<F>(walk: impl FnOnce(Sink) -> F) -> Self
    where
        F: Future<Output = (Sink, Result<()>)> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let walking = walk(Sink { batches: sender, gathered: Vec::new(), bytes: 0 });
        let task = tokio::spawn(async move {
            let (mut sink, walked) = walking.await;
            let flushed = sink.flush().await;
            if let Err(error) = walked.and(flushed) {
                // Nobody listens any more if this fails.
                let _ = sink.batches.send(Err(error)).await;
            }
        });
        Self { batches: Mutex::new(receiver), task }
    }

    /// The next batch; empty at the end.
    pub(crate) async fn next(&self) -> Result<Vec<Event>> {
        self.batches.lock().await.recv().await.unwrap_or_else(|| Ok(Vec::new()))
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// Adds an event. Waits while the host is behind; fails once it has gone.
    pub(crate) async fn push(&mut self, event: Event) -> Result<()> {
        let event = rules::kept(event);
        self.bytes += event_bytes(&event);
        self.gathered.push(event);
        if self.bytes >= BATCH_BYTES || self.gathered.len() >= BATCH_EVENTS_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    /// Hands over what has gathered, so that the host need not wait for more.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let batch = std::mem::take(&mut self.gathered);
        self.batches.send(Ok(batch)).await.map_err(|_| Error::cancelled())
    }
}

fn event_bytes(event: &Event) -> usize {
    EVENT_BYTES
        + match event {
            Event::Offer(offer) => item_bytes(&offer.item) + offer.scope.as_bytes().len(),
            Event::Settled(_, cursor) => cursor.as_bytes().len(),
            Event::Unread(unread) => unread.error.message().len() + unread.name.as_bytes().len(),
            _ => 0,
        }
}

/// About how many bytes an item takes on the way to the host.
pub(crate) fn item_bytes(item: &Item) -> usize {
    let texts = item.id.as_bytes().len()
        + item.parent.as_bytes().len()
        + item.name.as_bytes().len()
        + item.tag.as_bytes().len();
    let meta: usize = item.meta.iter().map(|(name, value)| name.len() + value_bytes(value)).sum();
    let streams: usize = item.streams.iter().map(|stream| stream.name.len() + stream.media.len() + 16).sum();
    texts + meta + streams
}

/// About how many bytes a value takes.
pub(crate) fn value_bytes(value: &Value) -> usize {
    8 + match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(values) => values.iter().map(value_bytes).sum(),
        Value::Map(values) => values.iter().map(|(name, value)| name.len() + value_bytes(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use larder_sdk::{ItemId, limits::BATCH_EVENTS_MAX};

    use super::*;

    #[tokio::test]
    async fn batches_are_bounded_and_the_error_comes_last() {
        let feed = Feed::start(|mut sink| async move {
            for number in 0..BATCH_EVENTS_MAX + 5 {
                if let Err(error) = sink.push(Event::Deleted(ItemId::from(number.to_string()))).await {
                    return (sink, Err(error));
                }
            }
            (sink, Err(Error::bug("the end")))
        });
        let mut seen = 0;
        let error = loop {
            match feed.next().await {
                Ok(batch) => {
                    assert!(!batch.is_empty() && batch.len() <= BATCH_EVENTS_MAX);
                    seen += batch.len();
                }
                Err(error) => break error,
            }
        };
        assert_eq!(seen, BATCH_EVENTS_MAX + 5);
        assert_eq!(error.message(), "the end");
        assert!(feed.next().await.unwrap().is_empty());
    }
}
