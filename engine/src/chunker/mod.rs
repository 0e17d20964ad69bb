//! Cuts streams at content-defined places. Pure.
//!
//! A gear hash over public constants only nominates positions; a keyed function over the bytes before a nominee decides. So what a store
//! sees of chunk lengths tells nothing without the key, and no input makes the keyed function run more than once in 64 bytes.

mod gear;
mod mime;

use crate::crypto::Keys;
use gear::GEAR;
use mime::PartFinder;

/// No chunk but the last of a stream, or of a part of a message, is shorter, in bytes.
pub const CHUNK_BYTES_MIN: usize = 128 << 10;
/// Up to here a cut is rare, after it likely.
pub const CHUNK_BYTES_NORMAL: usize = 512 << 10;
/// No chunk is longer.
pub const CHUNK_BYTES_MAX: usize = 2 << 20;

/// Bytes that the keyed function looks at.
const WINDOW_BYTES: usize = 64;
/// About one position in 512 is a candidate.
const CANDIDATE_MASK: u64 = 0x1ff << 55;
/// Bytes searched for candidates at a time.
const BLOCK_BYTES: usize = 8 << 10;
/// Parts of a block that are searched beside each other.
const LANES: usize = 4;
/// One candidate in this many is a cut while the chunk is short.
const RARE: u32 = 4096;
/// And once it is long enough.
const LIKELY: u32 = 256;

/// Finds the ends of chunks of one stream, which is fed to it as it comes. Where they are does not depend on the pieces.
pub struct Cutter {
    chunker: Chunker,
    /// Of a message: its parts.
    parts: Option<PartFinder>,
    /// Where the next chunk begins.
    start: u64,
}

impl Cutter {
    /// For a stream of this media type: a message is also cut at the borders of its larger parts.
    pub fn new(chunker: Chunker, media: &str) -> Self {
        let parts = is_message(media).then(PartFinder::new);
        Self { chunker, parts, start: 0 }
    }

    /// Takes notice of the stream's next bytes.
    pub fn feed(&mut self, piece: &[u8]) {
        if let Some(parts) = &mut self.parts {
            parts.feed(piece);
        }
    }

    /// Takes notice of the stream's end.
    pub fn end(&mut self) {
        if let Some(parts) = &mut self.parts {
            parts.end();
        }
    }

    /// How many bytes from the chunk's start on must have been fed, unless the stream ends before.
    pub fn needs(&self) -> usize {
        if self.parts.is_some() { CHUNK_BYTES_MAX + mime::LOOKAHEAD_BYTES } else { CHUNK_BYTES_MAX }
    }

    /// The length of the next chunk. `bytes` begins where the chunk before ended, and holds [`Self::needs`] bytes or all that is
    /// left; it is not empty.
    pub fn chunk(&mut self, bytes: &[u8]) -> usize {
        let start = self.start;
        let border = self.parts.as_mut().and_then(|parts| parts.border_after(start));
        let part = border.map_or(bytes.len(), |border| bytes.len().min((border - start) as usize));
        let length = self.chunker.chunk_end(&bytes[..part]);
        self.start += length as u64;
        length
    }
}

/// Whether a stream is too short to be cut.
pub fn is_one_chunk(media: &str, bytes: usize) -> bool {
    bytes <= if is_message(media) { mime::PART_BYTES_MIN } else { CHUNK_BYTES_MIN }
}

/// Whether a stream of this media type is cut at the borders of parts.
fn is_message(media: &str) -> bool {
    media.split(';').next().is_some_and(|media| media.trim_end().eq_ignore_ascii_case("message/rfc822"))
}

/// Finds the ends of chunks under a repository's key. Stateless between chunks.
#[derive(Clone)]
pub struct Chunker {
    key: [u8; 32],
}

impl Chunker {
    /// A chunker of this repository.
    pub fn new(keys: &Keys) -> Self {
        Self { key: keys.role(crate::crypto::KeyRole::Chunker).bytes }
    }

    /// Where the first chunk of `bytes` ends. `bytes` has at least [`CHUNK_BYTES_MAX`] bytes, or all that is left of the stream.
    pub fn chunk_end(&self, bytes: &[u8]) -> usize {
        let limit = bytes.len().min(CHUNK_BYTES_MAX);
        if limit <= CHUNK_BYTES_MIN {
            return limit;
        }
        let mut candidates = Vec::new();
        let mut allowed = 0;
        let mut from = CHUNK_BYTES_MIN;
        while from < limit {
            let to = limit.min(from + BLOCK_BYTES);
            let block = &bytes[from - WINDOW_BYTES..to];
            if !is_hole(block) {
                nominate(block, &mut candidates);
            }
            for candidate in candidates.drain(..) {
                let position = from + candidate;
                if position < allowed {
                    continue;
                }
                if self.cuts(&bytes[position - WINDOW_BYTES..position], position) {
                    return position;
                }
                // After a refused candidate the next 63 positions are none.
                allowed = position + WINDOW_BYTES;
            }
            from = to;
        }
        limit
    }

    fn cuts(&self, window: &[u8], length: usize) -> bool {
        if window.iter().all(|byte| *byte == window[0]) {
            return false;
        }
        let verdict = blake3::keyed_hash(&self.key, window);
        let mut first = [0; 8];
        first.copy_from_slice(&verdict.as_bytes()[..8]);
        let draw = (u64::from_le_bytes(first) >> 32) as u32;
        draw < u32::MAX / if length <= CHUNK_BYTES_NORMAL { RARE } else { LIKELY }
    }
}

/// Whether a block is of one byte throughout whose windows are no candidates: holes of disk images are, and are passed many times faster.
fn is_hole(block: &[u8]) -> bool {
    block[1..] == block[..block.len() - 1] && roll(0, &block[..WINDOW_BYTES]) & CANDIDATE_MASK != 0
}

/// Finds the candidates among the positions behind the first window of some bytes: how many bytes behind it each lies, in order. The
/// hash depends on the window before a position alone, so that parts are scanned beside each other: one would wait for itself.
fn nominate(bytes: &[u8], candidates: &mut Vec<usize>) {
    let part = (bytes.len() - WINDOW_BYTES) / LANES;
    let mut lanes: [(u64, &[u8]); LANES] = std::array::from_fn(|lane| {
        let (before, bytes) = bytes[lane * part..].split_at(WINDOW_BYTES);
        (roll(0, before), &bytes[..part])
    });
    let mut found: [Vec<usize>; LANES] = Default::default();
    for at in 0..part {
        for ((hash, bytes), found) in lanes.iter_mut().zip(&mut found) {
            *hash = roll(*hash, &bytes[at..=at]);
            if *hash & CANDIDATE_MASK == 0 {
                found.push(at + 1);
            }
        }
    }
    for (lane, found) in found.iter().enumerate() {
        candidates.extend(found.iter().map(|at| lane * part + at));
    }
    let (mut hash, scanned) = (lanes[LANES - 1].0, LANES * part);
    for (at, byte) in bytes[WINDOW_BYTES + scanned..].iter().enumerate() {
        hash = roll(hash, &[*byte]);
        if hash & CANDIDATE_MASK == 0 {
            candidates.push(scanned + at + 1);
        }
    }
}

/// Rolls the gear hash over some bytes.
fn roll(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash << 1).wrapping_add(GEAR[usize::from(*byte)]))
}

#[cfg(test)]
mod tests;
