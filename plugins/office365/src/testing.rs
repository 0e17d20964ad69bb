//! What reads a server's answers, for fuzz targets: each decoder with answers that it takes, and what must hold of whatever it makes of
//! other bytes.

use larder_sdk::{
    Event,
    abi::{
        check,
        messages::{Batch, encode_batch},
    },
};

use crate::rules;

/// A decoder.
pub struct Decoder {
    /// What it reads.
    pub name: &'static str,
    /// Answers that it takes.
    pub samples: Vec<Vec<u8>>,
    /// True if it could make something of the bytes. Panics if what it made breaks a rule.
    pub decode: fn(&[u8]) -> bool,
}

/// All of them.
pub fn decoders() -> Vec<Decoder> {
    let mut decoders = crate::auth::testing::decoders();
    decoders.extend(crate::exchange::testing::decoders());
    decoders.extend(crate::sharepoint::testing::decoders());
    decoders
}

impl Decoder {
    pub(crate) fn new(name: &'static str, samples: &[&str], decode: fn(&[u8]) -> bool) -> Self {
        let samples = samples.iter().map(|sample| sample.as_bytes().to_vec()).collect();
        Self { name, samples, decode }
    }
}

/// Whatever a server tells, the host takes the events made of it: one that it refused would cost the whole container.
pub(crate) fn keeps_the_rules(event: Event) {
    let event = rules::kept(event);
    match &event {
        Event::Offer(offer) => check::item(&offer.item).unwrap_or_else(|error| panic!("{event:?}: {error}")),
        event => check::event(event).unwrap_or_else(|error| panic!("{event:?}: {error}")),
    }
    let message =
        encode_batch(std::slice::from_ref(&event)).unwrap_or_else(|error| panic!("{event:?}: {error}"));
    let read = Batch::open(&message).and_then(|mut batch| batch.event());
    assert!(read.is_ok_and(|event| event.is_some()), "{event:?} does not come across");
}
