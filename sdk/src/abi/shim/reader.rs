//! A reader: numbers the offers it passes on and keeps them until the host is done with them.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::stop::Stop;
use crate::{
    Error, Event, Offer, Reader, Result, Source,
    abi::{Answer, messages::encode_batch, table::Handle},
};

pub(super) struct ReaderObject {
    reader: Box<dyn Reader>,
    stop: Stop,
    offers: Mutex<Offers>,
    bodies: Mutex<BTreeSet<Handle>>,
    /// Dropped after the reader, which was made by it.
    _source: Arc<dyn Source>,
}

/// Offers by number. Hosts finish them about in order, so that the numbers in use stay close together.
#[derive(Default)]
struct Offers {
    /// Number of the first of `kept`; those before are finished.
    first: u64,
    kept: VecDeque<Option<Arc<Offer>>>,
    /// The last batch's, while the host has not answered.
    unanswered: Range<u64>,
}

impl Offers {
    /// Number of the next offer.
    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn place(&self, number: u64) -> Option<usize> {
        number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok())
    }

    fn get(&self, number: u64) -> Option<&Arc<Offer>> {
        self.kept.get(self.place(number)?)?.as_ref()
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Offer>> {
        let place = self.place(number)?;
        let removed = self.kept.get_mut(place)?.take();
        while let Some(None) = self.kept.front() {
            self.kept.pop_front();
            self.first += 1;
        }
        removed
    }
}

impl ReaderObject {
    pub(super) fn new(reader: Box<dyn Reader>, source: Arc<dyn Source>, stop: Stop) -> Self {
        Self { reader, stop, offers: Mutex::default(), bodies: Mutex::default(), _source: source }
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn author(&self) -> &dyn Reader {
        &*self.reader
    }

    /// The next batch, its offers kept under their numbers.
    pub(super) fn next(&self) -> Result<Answer> {
        if !self.offers().unanswered.is_empty() {
            return Err(Error::bug("the batch before was not answered"));
        }
        let events = self.stop.run(self.reader.next())?;
        let message = encode_batch(&events)?;
        let mut offers = self.offers();
        let first = offers.next();
        for event in events {
            if let Event::Offer(offer) = event {
                offers.kept.push_back(Some(Arc::new(offer)));
            }
        }
        offers.unanswered = first..offers.next();
        Ok(Answer { message, payload: bytes::Bytes::new() })
    }

    /// Lets go of the offers of the last batch that are not wanted.
    pub(super) fn answer(&self, wanted: &[bool]) -> Result<()> {
        let mut offers = self.offers();
        let unanswered = offers.unanswered.clone();
        if unanswered.end - unanswered.start != wanted.len() as u64 {
            let asked = unanswered.end - unanswered.start;
            return Err(Error::bug(format!("{} answers to {asked} offers", wanted.len())));
        }
        offers.unanswered = 0..0;
        let refused: Vec<_> = unanswered
            .zip(wanted)
            .filter(|(_, wanted)| !**wanted)
            .filter_map(|(number, _)| offers.remove(number))
            .collect();
        // What authors carry with an offer is dropped outside the lock.
        drop(offers);
        drop(refused);
        Ok(())
    }

    /// Lets go of offers. Unknown numbers are ignored, so that it may be repeated.
    pub(super) fn finish(&self, numbers: &[u64]) {
        let mut offers = self.offers();
        let finished: Vec<_> = numbers.iter().filter_map(|number| offers.remove(*number)).collect();
        drop(offers);
        drop(finished);
    }

    pub(super) fn offer(&self, number: u64) -> Result<Arc<Offer>> {
        let found = self.offers().get(number).cloned();
        found.ok_or_else(|| Error::bug(format!("offer {number} was not wanted, or is finished")))
    }

    /// The bodies opened here that are to be closed with it.
    pub(super) fn bodies(&self) -> Vec<Handle> {
        self.open_bodies().iter().copied().collect()
    }

    pub(super) fn keep_body(&self, handle: Handle) {
        self.open_bodies().insert(handle);
    }

    pub(super) fn forget_body(&self, handle: Handle) {
        self.open_bodies().remove(&handle);
    }

    pub(super) fn bodies_open(&self) -> usize {
        self.open_bodies().len()
    }

    fn open_bodies(&self) -> MutexGuard<'_, BTreeSet<Handle>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
