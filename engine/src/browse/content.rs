//! The bytes of a stream, from its chunks.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use crate::{
    catalog::{Content, StreamRecord},
    error::{EngineError, Result},
    hash::{BlobId, Digest},
    repository::BlobReader,
};

/// Deepest list of lists: 4096 to this power chunks.
const DEPTH_MAX: u8 = 6;
/// Chunks are read ahead up to this many bytes, so that neighbours come with one request.
const AHEAD_BYTES: u64 = 4 << 20;

/// Reads a stream chunk by chunk; at its end length and digest are checked.
pub struct ContentReader {
    blobs: Arc<BlobReader>,
    /// Ids to come, each with its depth: 0 for chunks.
    queue: VecDeque<(u8, BlobId)>,
    /// Chunks read and not yet passed on.
    ready: VecDeque<Bytes>,
    hasher: blake3::Hasher,
    bytes: u64,
    expected: (u64, Digest),
}

impl ContentReader {
    /// Opens a stream.
    pub fn open(blobs: Arc<BlobReader>, stream: &StreamRecord) -> Result<Self> {
        let queue = match &stream.content {
            Content::Empty => VecDeque::new(),
            Content::One => VecDeque::from([(0, blobs.repository().keys().blob_id(&stream.digest))]),
            Content::List { depth, ids } if *depth <= DEPTH_MAX => {
                ids.iter().map(|id| (*depth, *id)).collect()
            }
            Content::List { depth, .. } => {
                return Err(EngineError::damaged(format!("a list of chunks is {depth} levels deep")));
            }
        };
        let expected = (stream.bytes, stream.digest);
        Ok(Self { blobs, queue, ready: VecDeque::new(), hasher: blake3::Hasher::new(), bytes: 0, expected })
    }

    /// The next chunk; `None` at the end, once everything was found to be right.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        if self.ready.is_empty() {
            self.read_ahead()?;
        }
        if let Some(chunk) = self.ready.pop_front() {
            self.hasher.update(&chunk);
            self.bytes += chunk.len() as u64;
            return Ok(Some(chunk));
        }
        let (bytes, digest) = self.expected;
        if self.bytes == bytes && self.hasher.finalize().as_bytes() == &digest.0 {
            Ok(None)
        } else {
            Err(EngineError::damaged(format!(
                "a stream of {bytes} bytes came out as {} bytes with another digest",
                self.bytes
            )))
        }
    }
}

impl ContentReader {
    /// Reads the chunks that come next, if any are left.
    fn read_ahead(&mut self) -> Result<()> {
        while let Some(&(depth, id)) = self.queue.front() {
            if depth == 0 {
                let next = self.queue.iter().map_while(|(depth, id)| (*depth == 0).then_some(*id));
                self.ready = self.blobs.read_first(next, AHEAD_BYTES)?.into();
                self.queue.drain(..self.ready.len());
                return Ok(());
            }
            self.queue.pop_front();
            for id in ids_of(&self.blobs.read_tree(&id)?)?.into_iter().rev() {
                self.queue.push_front((depth - 1, id));
            }
        }
        Ok(())
    }
}

/// The ids in a blob of a list.
pub(crate) fn ids_of(blob: &[u8]) -> Result<Vec<BlobId>> {
    let (ids, rest) = blob.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(EngineError::damaged("a list of chunks has a broken length"));
    }
    Ok(ids.iter().map(|id| BlobId(*id)).collect())
}
