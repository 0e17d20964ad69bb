//! Fetching many streams in one call: small contents come back whole, large ones as open bodies.

use std::{
    cell::{Cell, RefCell},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, future::join_all};

use super::{
    Object, Objects, answer_with,
    body::{BodyObject, read_piece},
    reader::ReaderObject,
};
use crate::{
    Body, Error, Offer, Result,
    abi::{
        Answer, FETCH_BYTES_MAX,
        entry::panicked,
        messages::{FetchResult, Fetched},
    },
    limits::{OPEN_BODIES_MAX, PIECE_BYTES_MAX, SMALL_BODY_BYTES_MAX},
};

/// What came of one want.
enum Outcome {
    Whole(Pieces),
    Open(Pieces, Box<dyn Body>),
    /// Not opened: there was no room.
    Later(Arc<Offer>, u32),
}

/// A content's beginning; most small contents are one piece.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    more: Vec<Bytes>,
    length: usize,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        if self.first.is_empty() {
            self.first = piece;
        } else {
            self.more.push(piece);
        }
    }
}

/// How much one fetch has gathered, over all its wants.
#[derive(Default)]
struct Room {
    bytes: AtomicUsize,
    bodies: AtomicUsize,
}

impl Room {
    fn is_left(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < FETCH_BYTES_MAX
            && self.bodies.load(Ordering::Relaxed) < OPEN_BODIES_MAX
    }
}

/// Opens the wanted streams, several at once, and gathers what is small.
pub(super) fn fetch(reader: &Arc<ReaderObject>, wants: &[(u64, u32)], objects: &Objects) -> Result<Answer> {
    let room = Room::default();
    room.bodies.store(reader.bodies_open(), Ordering::Relaxed);
    let outcomes = reader.stop().run(async {
        Ok(match open_together(reader, wants, &room).await {
            Some(outcomes) => outcomes,
            None => open_all(reader, wants, &room).await,
        })
    })?;
    pack(reader, outcomes, objects)
}

/// Has small streams opened together, if the reader has a way to.
async fn open_together(
    reader: &ReaderObject,
    wants: &[(u64, u32)],
    room: &Room,
) -> Option<Vec<Result<Outcome>>> {
    let offers = reader.small_offers(wants, FETCH_BYTES_MAX as u64).filter(|offers| offers.len() > 1)?;
    let opening = AssertUnwindSafe(reader.author().open_together(&offers)).catch_unwind().await;
    let opened = match opening {
        Ok(opened) => opened?,
        Err(panic) => return Some(wants.iter().map(|_| Err(panicked(&*panic))).collect()),
    };
    if opened.len() != wants.len() {
        let error = |_| Err(Error::bug(format!("{} bodies opened for {} wants", opened.len(), wants.len())));
        return Some(wants.iter().map(error).collect());
    }
    let mut outcomes = Vec::with_capacity(wants.len());
    for body in opened {
        let outcome = AssertUnwindSafe(async { gather(body?, room).await }).catch_unwind().await;
        outcomes.push(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
    }
    Some(outcomes)
}

/// Opens the streams in [`OPEN_BODIES_MAX`] lanes: each takes the next want when it is done with one. What is in
/// memory already never makes a lane wait: then the first lane does it all, and nothing is allocated for a want.
async fn open_all(reader: &ReaderObject, wants: &[(u64, u32)], room: &Room) -> Vec<Result<Outcome>> {
    let next = Cell::new(0);
    let outcomes = RefCell::new(Vec::new());
    outcomes.borrow_mut().resize_with(wants.len(), || None);
    let lane = || async {
        while let Some(want) = wants.get(next.get()) {
            let place = next.replace(next.get() + 1);
            // A panic is this stream's own error, like any other.
            let outcome = AssertUnwindSafe(one(reader, *want, room)).catch_unwind().await;
            outcomes.borrow_mut()[place] = Some(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
        }
    };
    join_all((0..OPEN_BODIES_MAX).map(|_| lane())).await;
    let opened = |outcome: Option<_>| outcome.unwrap_or_else(|| Err(Error::bug("a stream was not opened")));
    outcomes.into_inner().into_iter().map(opened).collect()
}

async fn one(reader: &ReaderObject, (number, stream): (u64, u32), room: &Room) -> Result<Outcome> {
    let offer = reader.offer(number)?;
    if stream as usize >= offer.item.streams.len() {
        return Err(Error::bug(format!("offer {number} has no stream {stream}")));
    }
    if !room.is_left() {
        return Ok(Outcome::Later(offer, stream));
    }
    gather(reader.author().open(&offer, stream as usize).await?, room).await
}

/// Takes what is small out of an opened body.
async fn gather(mut body: Box<dyn Body>, room: &Room) -> Result<Outcome> {
    if let Some(content) = body.take_ready() {
        if content.len() > PIECE_BYTES_MAX {
            return Err(Error::bug(format!(
                "a body had {} bytes ready, more than is allowed",
                content.len()
            )));
        }
        room.bytes.fetch_add(content.len(), Ordering::Relaxed);
        return Ok(Outcome::Whole(Pieces { length: content.len(), first: content, more: Vec::new() }));
    }
    let mut pieces = Pieces::default();
    while pieces.length <= SMALL_BODY_BYTES_MAX {
        match read_piece(&mut *body).await? {
            Some(piece) => {
                room.bytes.fetch_add(piece.len(), Ordering::Relaxed);
                pieces.push(piece);
            }
            None => return Ok(Outcome::Whole(pieces)),
        }
    }
    room.bodies.fetch_add(1, Ordering::Relaxed);
    Ok(Outcome::Open(pieces, body))
}

/// Puts all bytes into one payload and the bodies that go on under handles.
fn pack(reader: &Arc<ReaderObject>, outcomes: Vec<Result<Outcome>>, objects: &Objects) -> Result<Answer> {
    let mut contents = Vec::with_capacity(outcomes.len());
    let mut results = Vec::with_capacity(outcomes.len());
    let keep = |body: BodyObject| {
        let handle = objects.insert(Object::Body(Arc::new(body)));
        reader.keep_body(handle);
        handle
    };
    for outcome in outcomes {
        results.push(match outcome {
            Ok(Outcome::Whole(pieces)) => {
                let length = pieces.length as u64;
                contents.push(pieces);
                FetchResult::Whole { length }
            }
            Ok(Outcome::Open(pieces, body)) => {
                let length = pieces.length as u64;
                contents.push(pieces);
                FetchResult::Open { length, body: keep(BodyObject::open(reader, body)) }
            }
            Ok(Outcome::Later(offer, stream)) => {
                FetchResult::Open { length: 0, body: keep(BodyObject::later(reader, offer, stream)) }
            }
            Err(error) => FetchResult::Failed((&error).into()),
        });
    }
    answer_with(&Fetched { results }, join(contents))
}

fn join(contents: Vec<Pieces>) -> Bytes {
    let length = contents.iter().map(|pieces| pieces.length).sum();
    let mut filled = contents.into_iter().filter(|pieces| pieces.length > 0);
    let Some(first) = filled.next() else {
        return Bytes::new();
    };
    if first.first.len() == length {
        // A single piece goes over as it is.
        return first.first;
    }
    let mut joined = BytesMut::with_capacity(length);
    for pieces in std::iter::once(first).chain(filled) {
        joined.extend_from_slice(&pieces.first);
        for piece in &pieces.more {
            joined.extend_from_slice(piece);
        }
    }
    joined.freeze()
}
