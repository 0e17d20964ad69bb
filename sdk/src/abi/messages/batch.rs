//! A batch of events: the one message that crosses for every item, so it is written from references and read event by event.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{ANSWER, Failure, Op};
use crate::{
    Cursor, Error, ErrorKind, Event, Item, ItemId, Name, Offer, Result, ScopeId, Tag, Unread,
    codec::{self, ENVELOPE_BYTES},
    limits::{BATCH_BYTES, BATCH_EVENTS_MAX, ITEM_BYTES_MAX},
};

const KIND: u16 = ANSWER | Op::Next as u16;
const VERSION: u16 = 1;
/// Room made beforehand for an event, in bytes; most are smaller.
const EVENT_BYTES: usize = 256;

/// The events as they are written. Variants stand in the same order as in [`Incoming`].
#[derive(Serialize)]
enum Outgoing<'a> {
    Offer(&'a ScopeId, &'a Item),
    Deleted(&'a ItemId),
    Unread(&'a ScopeId, &'a ItemId, &'a ItemId, &'a Name, Failure),
    Skipped(&'a ItemId, &'a Name, &'a str),
    Begin(&'a ScopeId),
    End(&'a ScopeId),
    Settled(&'a ScopeId, &'a Cursor),
    ScopeGone(&'a ScopeId),
    /// Since version 1.1 of the boundary.
    Moved(&'a ItemId, &'a ItemId, &'a Tag),
}

/// The events as they are read.
#[derive(Deserialize)]
enum Wire {
    Offer(ScopeId, Item),
    Deleted(ItemId),
    Unread(ScopeId, ItemId, ItemId, Name, Failure),
    Skipped(ItemId, Name, String),
    Begin(ScopeId),
    End(ScopeId),
    Settled(ScopeId, Cursor),
    ScopeGone(ScopeId),
    Moved(ItemId, ItemId, Tag),
}

/// An event as it arrives: offers are numbered by the reader, 0, 1, 2 … over all its batches.
#[derive(Debug)]
pub enum Incoming {
    /// An offer.
    Offer {
        /// The scope it was listed in.
        scope: ScopeId,
        /// The item.
        item: Item,
    },
    /// Anything else; never [`Event::Offer`].
    Other(Event),
}

/// Encodes a batch. An unknown event, of an SDK newer than this function, is an error.
pub fn encode_batch(events: &[Event]) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity((events.len() * EVENT_BYTES).min(BATCH_BYTES) + ENVELOPE_BYTES);
    bytes.extend_from_slice(&KIND.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    codec::encode_into(&(events.len() as u64), &mut bytes)?;
    for event in events {
        codec::encode_into(&outgoing(event), &mut bytes)?;
    }
    let length = u32::try_from(bytes.len() - ENVELOPE_BYTES).map_err(|_| Error::bug("a batch of 4 GiB"))?;
    bytes[4..ENVELOPE_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(bytes.into())
}

fn outgoing(event: &Event) -> Outgoing<'_> {
    match event {
        Event::Offer(Offer { scope, item, .. }) => Outgoing::Offer(scope, item),
        Event::Deleted(id) => Outgoing::Deleted(id),
        Event::Unread(Unread { scope, id, parent, name, error }) => {
            Outgoing::Unread(scope, id, parent, name, Failure::from(error))
        }
        Event::Skipped { id, name, cause } => Outgoing::Skipped(id, name, cause),
        Event::Begin(scope) => Outgoing::Begin(scope),
        Event::End(scope) => Outgoing::End(scope),
        Event::Settled(scope, cursor) => Outgoing::Settled(scope, cursor),
        Event::ScopeGone(scope) => Outgoing::ScopeGone(scope),
        Event::Moved { was, id, tag } => Outgoing::Moved(was, id, tag),
    }
}

/// A batch being read, event by event, each checked for its size.
#[derive(Debug)]
pub struct Batch<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Batch<'a> {
    /// Opens an encoded batch of at most [`BATCH_EVENTS_MAX`] events.
    pub fn open(message: &'a [u8]) -> Result<Self> {
        if message.len() > crate::abi::BATCH_MESSAGE_BYTES_MAX {
            return Err(broken(format!("a batch of {} bytes", message.len())));
        }
        let (kind, version, body) = codec::open_envelope(message)?;
        if (kind, version) != (KIND, VERSION) {
            return Err(broken(format!("kind {kind} version {version} where a batch was expected")));
        }
        let (count, used) = codec::decode_prefix::<u64>(body)?;
        if count > BATCH_EVENTS_MAX as u64 {
            return Err(broken(format!("a batch of {count} events, at most {BATCH_EVENTS_MAX} are allowed")));
        }
        Ok(Self { rest: &body[used..], left: count as usize })
    }

    /// How many events are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next event; `None` at the end, where nothing else may follow.
    pub fn event(&mut self) -> Result<Option<Incoming>> {
        if self.left == 0 {
            return if self.rest.is_empty() {
                Ok(None)
            } else {
                Err(broken("bytes follow the last event".to_owned()))
            };
        }
        let (wire, used) = codec::decode_prefix::<Wire>(self.rest)?;
        self.rest = &self.rest[used..];
        self.left -= 1;
        incoming(wire, used).map(Some)
    }
}

fn incoming(wire: Wire, bytes: usize) -> Result<Incoming> {
    if bytes > ITEM_BYTES_MAX && !matches!(wire, Wire::Settled(..)) {
        let what = match &wire {
            Wire::Offer(_, item) => format!("item \"{}\"", item.name.display()),
            _ => "an event".to_owned(),
        };
        return Err(broken(format!("{what} of {bytes} bytes, at most {ITEM_BYTES_MAX} are allowed")));
    }
    Ok(Incoming::Other(match wire {
        Wire::Offer(scope, item) => return Ok(Incoming::Offer { scope, item }),
        Wire::Deleted(id) => Event::Deleted(id),
        Wire::Unread(scope, id, parent, name, failure) => {
            Event::Unread(Unread { scope, id, parent, name, error: failure.into() })
        }
        Wire::Skipped(id, name, cause) => Event::Skipped { id, name, cause },
        Wire::Begin(scope) => Event::Begin(scope),
        Wire::End(scope) => Event::End(scope),
        Wire::Settled(scope, cursor) => Event::Settled(scope, cursor),
        Wire::ScopeGone(scope) => Event::ScopeGone(scope),
        Wire::Moved(was, id, tag) => Event::Moved { was, id, tag },
    }))
}

fn broken(message: String) -> Error {
    Error::new(ErrorKind::CorruptItem, message)
}
