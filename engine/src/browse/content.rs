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

/// Reads a stream chunk by chunk; at its end length and digest are checked.
pub struct ContentReader {
    blobs: Arc<BlobReader>,
    /// Ids to come, each with its depth: 0 for chunks.
    queue: VecDeque<(u8, BlobId)>,
    /// `None` for a stream of one chunk: that chunk's id follows from the stream's digest and is checked as it is read.
    hasher: Option<blake3::Hasher>,
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
        let hasher = (stream.content != Content::One).then(blake3::Hasher::new);
        Ok(Self { blobs, queue, hasher, bytes: 0, expected })
    }

    /// The next chunk; `None` at the end, once everything was found to be right.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        while let Some((depth, id)) = self.queue.pop_front() {
            let blob = self.blobs.read(&id)?;
            if depth == 0 {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&blob);
                }
                self.bytes += blob.len() as u64;
                return Ok(Some(blob));
            }
            for id in ids_of(&blob)?.into_iter().rev() {
                self.queue.push_front((depth - 1, id));
            }
        }
        let (bytes, digest) = self.expected;
        let digest_holds =
            self.hasher.as_ref().is_none_or(|hasher| hasher.finalize().as_bytes() == &digest.0);
        if self.bytes == bytes && digest_holds {
            Ok(None)
        } else {
            Err(EngineError::damaged(format!(
                "a stream of {bytes} bytes came out as {} bytes with another digest",
                self.bytes
            )))
        }
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
