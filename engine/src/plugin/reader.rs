//! A container being read behind the boundary.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use larder_sdk::{
    Error, ErrorKind, Event, Item, Result, ScopeId,
    abi::{
        Answer, FETCH_WANTS_MAX, check,
        messages::{
            self, AnswerOffers, Batch, Done, Fetch, FetchResult, Finish, Incoming, Next, Op, Piece, ReadBody,
        },
    },
    codec,
    limits::{PIECE_BYTES_MAX, SMALL_BODY_BYTES_MAX},
};

use super::{call::Handle, services::Registration};

/// What a reader says, offers with the number by which their streams are fetched.
#[derive(Debug)]
pub enum ReaderEvent {
    /// An item that is there.
    Offer {
        /// 0, 1, 2 … over all batches of this reader.
        number: u64,
        /// The scope it was listed in.
        scope: ScopeId,
        /// The item.
        item: Item,
    },
    /// Anything but an offer.
    Other(Event),
}

/// A stream that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The offer's number.
    pub offer: u64,
    /// Which of its item's streams, from 0.
    pub stream: u32,
}

/// A stream's bytes.
#[derive(Debug)]
pub enum Fetched {
    /// All of them: at most [`PIECE_BYTES_MAX`].
    Whole(Bytes),
    /// The beginning, perhaps none yet, and a handle for the rest.
    Open {
        /// What comes first.
        first: Bytes,
        /// What follows.
        rest: BodyHandle,
    },
}

/// Reads one container. `next` belongs to one thread; `fetch` may be called from several at once. Closed on drop, once its bodies are.
#[derive(Debug)]
pub struct ReaderHandle {
    inner: Arc<Inner>,
    /// Number of the next offer.
    next: AtomicU64,
    /// How many offers of the last batch wait for an answer.
    unanswered: Mutex<usize>,
}

/// Fields are dropped in this order: the plugin closes the reader before its services go.
#[derive(Debug)]
struct Inner {
    handle: Handle,
    _registration: Registration,
    _source: Arc<Handle>,
}

impl ReaderHandle {
    pub(super) fn new(handle: Handle, registration: Registration, source: Arc<Handle>) -> Self {
        let inner = Inner { handle, _registration: registration, _source: source };
        Self { inner: Arc::new(inner), next: AtomicU64::new(0), unanswered: Mutex::new(0) }
    }

    fn handle(&self) -> &Handle {
        &self.inner.handle
    }

    /// The next batch, empty at the end. If it has offers, [`ReaderHandle::answer`] comes before the next call.
    pub fn next(&self) -> Result<Vec<ReaderEvent>> {
        let answer = self.handle().call(Op::Next, &Next {}, self.handle().callee.limits.read)?;
        let first = self.next.load(Ordering::Relaxed);
        let (events, offers) =
            decode_batch(&answer.message, first).map_err(|error| self.handle().broken(Op::Next, error))?;
        self.next.store(first + offers as u64, Ordering::Relaxed);
        *self.unanswered.lock().unwrap_or_else(PoisonError::into_inner) = offers;
        Ok(events)
    }

    /// Says for each offer of the last batch, in order, whether any of its streams will be fetched. The others are let go.
    pub fn answer(&self, wanted: &[bool]) -> Result<()> {
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if *unanswered != wanted.len() {
            return Err(Error::bug(format!("{} answers to {} offers", wanted.len(), *unanswered)));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        *unanswered = 0;
        let question = AnswerOffers { wanted: wanted.to_vec() };
        self.handle().ask(Op::AnswerOffers, &question, self.handle().callee.limits.quick).map(|Done {}| ())
    }

    /// Fetches streams of wanted offers: one result for each want, in order. The plugin opens several at once.
    ///
    /// Memory is the caller's to bound: small contents come back whole, up to 8 MiB of them; what goes beyond that, or beyond
    /// [`larder_sdk::limits::OPEN_BODIES_MAX`] open bodies, comes back as a body that is opened by its first read.
    pub fn fetch(&self, wants: &[Want]) -> Result<Vec<Result<Fetched>>> {
        let mut fetched = Vec::with_capacity(wants.len());
        for wants in wants.chunks(FETCH_WANTS_MAX) {
            let question = Fetch { wants: wants.iter().map(|want| (want.offer, want.stream)).collect() };
            let answer = self.handle().call(Op::Fetch, &question, self.handle().callee.limits.read)?;
            self.take_fetched(answer, wants.len(), &mut fetched)
                .map_err(|error| self.handle().broken(Op::Fetch, error))?;
        }
        Ok(fetched)
    }

    /// Lets go of offers whose streams have all been read, or are not going to be. May be repeated.
    pub fn finish(&self, offers: &[u64]) -> Result<()> {
        let question = Finish { offers: offers.to_vec() };
        self.handle().ask(Op::Finish, &question, self.handle().callee.limits.quick).map(|Done {}| ())
    }

    /// Ends all calls on this reader and its bodies with an error of kind `Cancelled`, within 5 seconds. From any thread.
    pub fn cancel(&self) {
        self.handle().cancel();
    }

    fn take_fetched(&self, answer: Answer, wants: usize, fetched: &mut Vec<Result<Fetched>>) -> Result<()> {
        let messages::Fetched { results } = codec::decode(&answer.message)?;
        // Bodies are taken over first, so that they are closed whatever else is wrong.
        let bodies: Vec<_> = results.iter().map(|result| self.body(result)).collect();
        if results.len() != wants {
            return Err(broken(format!("{} results for {wants} wants", results.len())));
        }
        let mut payload = answer.payload;
        for (result, body) in results.into_iter().zip(bodies) {
            fetched.push(match (result, body) {
                (FetchResult::Whole { length }, _) => {
                    Ok(Fetched::Whole(take(&mut payload, length, PIECE_BYTES_MAX)?))
                }
                (FetchResult::Open { length, .. }, Some(rest)) => {
                    let first = take(&mut payload, length, SMALL_BODY_BYTES_MAX + PIECE_BYTES_MAX)?;
                    Ok(Fetched::Open { first, rest })
                }
                (FetchResult::Open { .. }, None) => return Err(broken("a body without a handle")),
                (FetchResult::Failed(failure), _) => Err(self.handle().callee.named(failure.into())),
            });
        }
        if payload.is_empty() { Ok(()) } else { Err(broken(format!("{} bytes too many", payload.len()))) }
    }

    fn body(&self, result: &FetchResult) -> Option<BodyHandle> {
        let FetchResult::Open { body, .. } = result else {
            return None;
        };
        let handle = Handle::numbered(&self.handle().callee, *body, self.handle().cancel.clone());
        Some(BodyHandle { handle, over: false, _reader: Arc::clone(&self.inner) })
    }
}

/// A stream being read. Closed on drop.
#[derive(Debug)]
pub struct BodyHandle {
    handle: Handle,
    over: bool,
    _reader: Arc<Inner>,
}

impl BodyHandle {
    /// The next piece: 1 to [`PIECE_BYTES_MAX`] bytes; `None` at the end, and ever after. An error ends the body.
    pub fn read(&mut self) -> Result<Option<Bytes>> {
        if self.over {
            return Ok(None);
        }
        let piece = self.piece();
        self.over = !matches!(piece, Ok(Some(_)));
        piece
    }

    fn piece(&self) -> Result<Option<Bytes>> {
        let answer = self.handle.call(Op::ReadBody, &ReadBody {}, self.handle.callee.limits.read)?;
        let Piece { end } =
            codec::decode(&answer.message).map_err(|error| self.handle.broken(Op::ReadBody, error))?;
        let length = answer.payload.len();
        if end != (length == 0) || length > PIECE_BYTES_MAX {
            let error =
                broken(format!("a piece of {length} bytes{}", if end { " after the end" } else { "" }));
            return Err(self.handle.broken(Op::ReadBody, error));
        }
        Ok((!end).then_some(answer.payload))
    }
}

/// Decodes and checks a batch; also says how many offers it has.
fn decode_batch(message: &[u8], first: u64) -> Result<(Vec<ReaderEvent>, usize)> {
    let mut batch = Batch::open(message)?;
    let mut events = Vec::with_capacity(batch.left());
    let mut number = first;
    while let Some(incoming) = batch.event()? {
        events.push(match incoming {
            Incoming::Offer { scope, item } => {
                check::item(&item)?;
                number += 1;
                ReaderEvent::Offer { number: number - 1, scope, item }
            }
            Incoming::Other(event) => {
                check::event(&event)?;
                ReaderEvent::Other(event)
            }
        });
    }
    Ok((events, (number - first) as usize))
}

/// Cuts the next `length` bytes off a payload.
fn take(payload: &mut Bytes, length: u64, most: usize) -> Result<Bytes> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > most {
        return Err(broken(format!("{length} bytes at once, at most {most} are allowed")));
    }
    if length > payload.len() {
        return Err(broken(format!("{length} bytes announced, {} there", payload.len())));
    }
    Ok(payload.split_to(length))
}

fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::CorruptItem, message)
}
