//! A body that the host reads piece by piece.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Mutex;

use super::{answer_with, reader::ReaderObject, stop::Stop};
use crate::{
    Body, Error, Offer, Result,
    abi::{Answer, messages::Piece},
    limits::PIECE_BYTES_MAX,
};

/// Pieces at least this large go over as they are; smaller ones are gathered first, so that a call is worth its while.
const WORTH_A_CALL: usize = PIECE_BYTES_MAX / 4;

pub(super) struct BodyObject {
    /// Keeps the reader, and through it the source, for as long as the body.
    reader: Arc<ReaderObject>,
    state: Mutex<State>,
}

enum State {
    /// Opened by the first read: there was no room for it when it was fetched.
    Later(Arc<Offer>, u32),
    Open(Pieces),
    /// Read to its end, or given up after an error.
    Over,
}

/// An open body and what was read too early.
struct Pieces {
    body: Box<dyn Body>,
    held: Option<Result<Bytes>>,
}

impl BodyObject {
    pub(super) fn open(reader: &Arc<ReaderObject>, body: Box<dyn Body>) -> Self {
        Self { reader: Arc::clone(reader), state: Mutex::new(State::Open(Pieces { body, held: None })) }
    }

    pub(super) fn later(reader: &Arc<ReaderObject>, offer: Arc<Offer>, stream: u32) -> Self {
        Self { reader: Arc::clone(reader), state: Mutex::new(State::Later(offer, stream)) }
    }

    pub(super) fn stop(&self) -> &Stop {
        self.reader.stop()
    }

    pub(super) fn reader(&self) -> &ReaderObject {
        &self.reader
    }

    /// The next bytes: one large piece, or several small ones together.
    pub(super) fn read(&self) -> Result<Answer> {
        let bytes = self.reader.stop().run(async {
            let mut state =
                self.state.try_lock().map_err(|_| Error::bug("a body was read by two threads at once"))?;
            let bytes = read(&self.reader, &mut state).await;
            if !matches!(bytes, Ok(Some(_))) {
                *state = State::Over;
            }
            bytes
        })?;
        answer_with(&Piece { end: bytes.is_none() }, bytes.unwrap_or_default())
    }
}

async fn read(reader: &ReaderObject, state: &mut State) -> Result<Option<Bytes>> {
    if let State::Later(offer, stream) = state {
        let body = reader.author().open(offer, *stream as usize).await?;
        *state = State::Open(Pieces { body, held: None });
    }
    match state {
        State::Open(pieces) => pieces.gather().await,
        State::Later(..) | State::Over => Ok(None),
    }
}

impl Pieces {
    async fn gather(&mut self) -> Result<Option<Bytes>> {
        let Some(first) = self.piece().await? else {
            return Ok(None);
        };
        if first.len() >= WORTH_A_CALL {
            return Ok(Some(first));
        }
        let mut gathered = BytesMut::with_capacity(WORTH_A_CALL * 2);
        gathered.extend_from_slice(&first);
        while gathered.len() < WORTH_A_CALL {
            match self.piece().await {
                Ok(Some(piece)) if gathered.len() + piece.len() <= PIECE_BYTES_MAX => {
                    gathered.extend_from_slice(&piece);
                }
                Ok(Some(piece)) => {
                    self.held = Some(Ok(piece));
                    break;
                }
                Ok(None) => break,
                Err(error) => {
                    self.held = Some(Err(error));
                    break;
                }
            }
        }
        Ok(Some(gathered.freeze()))
    }

    async fn piece(&mut self) -> Result<Option<Bytes>> {
        match self.held.take() {
            Some(held) => held.map(Some),
            None => read_piece(&mut *self.body).await,
        }
    }
}

/// Reads an author's piece and checks its size.
pub(super) async fn read_piece(body: &mut dyn Body) -> Result<Option<Bytes>> {
    let piece = body.read().await?;
    match &piece {
        Some(bytes) if bytes.is_empty() || bytes.len() > PIECE_BYTES_MAX => Err(Error::bug(format!(
            "a body gave a piece of {} bytes, where 1 to {PIECE_BYTES_MAX} are allowed",
            bytes.len()
        ))),
        _ => Ok(piece),
    }
}
