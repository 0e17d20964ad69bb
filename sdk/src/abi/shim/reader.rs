//! A reader: prepares the next batch while the host is busy with the last, numbers the offers it passes on and keeps them until the
//! host is done with them.

use std::{
    collections::{BTreeSet, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::task::{JoinError, JoinHandle};

use super::stop::Stop;
use crate::{
    Error, Event, Offer, Reader, Result, Source,
    abi::{Answer, entry::panicked, messages::encode_batch, table::Handle},
    runtime,
};

pub(super) struct ReaderObject {
    reader: Box<dyn Reader>,
    stop: Stop,
    offers: Mutex<Offers>,
    /// The batch after the one last passed on.
    ahead: Mutex<Option<JoinHandle<Result<Batch>>>>,
    bodies: Mutex<BTreeSet<Handle>>,
    /// Whether the host understands events of moves.
    moves: bool,
    /// Dropped after the reader, which was made by it.
    _source: Arc<dyn Source>,
}

/// A batch ready to be passed on.
struct Batch {
    message: Bytes,
    offers: Vec<Arc<Offer>>,
    /// Empty: the reader is at its end.
    last: bool,
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
    pub(super) fn new(reader: Box<dyn Reader>, source: Arc<dyn Source>, stop: Stop, moves: bool) -> Self {
        Self {
            reader,
            stop,
            offers: Mutex::default(),
            ahead: Mutex::default(),
            bodies: Mutex::default(),
            moves,
            _source: source,
        }
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn author(&self) -> &dyn Reader {
        &*self.reader
    }

    /// The next batch, its offers kept under their numbers.
    pub(super) fn next(self: &Arc<Self>) -> Result<Answer> {
        if !self.offers().unanswered.is_empty() {
            return Err(Error::bug("the batch before was not answered"));
        }
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batch = match ahead {
            Some(task) => self.stop.run(async { task.await.unwrap_or_else(|lost| Err(what_of(lost))) })?,
            None => self.prepare()?,
        };
        if !batch.last {
            let reader = Arc::clone(self);
            let task = runtime::spawn(move || reader.prepare())?;
            *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        let mut offers = self.offers();
        let first = offers.next();
        offers.kept.extend(batch.offers.into_iter().map(Some));
        offers.unanswered = first..offers.next();
        Ok(Answer { message: batch.message, payload: Bytes::new() })
    }

    fn prepare(&self) -> Result<Batch> {
        let mut events = self.stop.run(self.reader.next())?;
        let last = events.is_empty();
        if !self.moves {
            events.retain(|event| !matches!(event, Event::Moved { .. }));
        }
        // An empty batch would be the end: what is left of this one is nothing, and the next says more.
        if events.is_empty() && !last {
            return self.prepare();
        }
        let message = encode_batch(&events)?;
        let offer = |event| match event {
            Event::Offer(offer) => Some(Arc::new(offer)),
            _ => None,
        };
        Ok(Batch { message, offers: events.into_iter().filter_map(offer).collect(), last })
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

    /// The offers of all these wants, if each asks for a stream that is there and their known sizes are together at most so many bytes.
    pub(super) fn small_offers(
        &self,
        wants: &[(u64, u32)],
        bytes_max: u64,
    ) -> Option<Vec<(Arc<Offer>, usize)>> {
        let offers = self.offers();
        let mut bytes = 0_u64;
        let small = |&(number, stream): &(u64, u32)| {
            let offer = Arc::clone(offers.get(number)?);
            let stream = stream as usize;
            bytes = bytes.saturating_add(offer.item.streams.get(stream)?.size?);
            (bytes <= bytes_max).then_some((offer, stream))
        };
        wants.iter().map(small).collect()
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

/// Why a task gave nothing.
fn what_of(lost: JoinError) -> Error {
    lost.try_into_panic().map_or_else(|_| Error::cancelled(), |panic| panicked(&*panic))
}
