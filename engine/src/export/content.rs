//! A stream on its way out.

use std::{
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf as _, Bytes};

use crate::{
    browse::ContentReader,
    catalog::StreamRecord,
    error::{EngineError, EngineErrorKind, Result},
    process::Interrupt,
    repository::BlobReader,
};

/// The chunks of a stream. The first is there from the beginning: what does not read at all is known before anything of it is written.
pub(super) struct Outgoing {
    reader: ContentReader,
    first: Option<Bytes>,
    ended: bool,
    interrupt: Interrupt,
}

impl Outgoing {
    /// Opens a stream and reads its first chunk; of a stream of one chunk, that is all of it.
    pub(super) fn open(
        blobs: &Arc<BlobReader>,
        stream: &StreamRecord,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut reader = ContentReader::open(Arc::clone(blobs), stream)?;
        let first = reader.next_chunk()?;
        Ok(Self { reader, ended: first.is_none(), first, interrupt: interrupt.clone() })
    }

    /// The bytes that come next, if they were read already.
    pub(super) fn peek(&self) -> &[u8] {
        self.first.as_deref().unwrap_or_default()
    }

    /// The next chunk; `None` at the end, once all was found to be right.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.interrupt.check()?;
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.ended {
            return Ok(None);
        }
        let next = self.reader.next_chunk();
        self.ended = !matches!(next, Ok(Some(_)));
        next
    }
}

/// A stream of a length that is promised: where what is stored is damaged, zeros stand for what is missing, so that what comes after
/// it in an archive is in its place.
pub(super) struct Promised<'run> {
    outgoing: &'run mut Outgoing,
    now: Bytes,
    left: u64,
    /// Why it ended early. If it is anything but damage, reading fails.
    pub(super) failed: Option<EngineError>,
}

impl<'run> Promised<'run> {
    pub(super) fn new(outgoing: &'run mut Outgoing, bytes: u64) -> Self {
        Self { outgoing, now: Bytes::new(), left: bytes, failed: None }
    }

    /// Reads on where the promise is kept already, so that the whole is known to be right.
    pub(super) fn end(mut self) -> Option<EngineError> {
        while self.failed.is_none() {
            match self.outgoing.next_chunk() {
                Ok(None) => break,
                Ok(Some(_)) => {}
                Err(error) => self.failed = Some(error),
            }
        }
        self.failed
    }
}

impl Read for Promised<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.now.is_empty() && self.failed.is_none() {
            match self.outgoing.next_chunk() {
                Ok(Some(chunk)) => self.now = chunk,
                Ok(None) => {}
                Err(error) => {
                    let damaged = error.kind() == EngineErrorKind::Damaged;
                    self.failed = Some(error);
                    if !damaged {
                        return Err(io::Error::other("the stream cannot be read now"));
                    }
                }
            }
        }
        let room = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(into) = into.get_mut(..room).filter(|into| !into.is_empty()) else { return Ok(0) };
        let taken = if self.now.is_empty() {
            into.fill(0);
            room
        } else {
            let taken = room.min(self.now.len());
            self.now.copy_to_slice(&mut into[..taken]);
            taken
        };
        self.left -= taken as u64;
        Ok(taken)
    }
}
