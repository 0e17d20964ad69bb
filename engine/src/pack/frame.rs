//! Frames: blobs of one container and one kind, compressed together.

use std::{cell::RefCell, io};

use larder_sdk::{Error, ErrorKind, Result};
use zstd::bulk::{Compressor, Decompressor};

use crate::hash::ShortId;

/// A frame of trees is closed once its blobs have this many plain bytes: a look into a folder opens few of them.
pub const TREE_FRAME_BYTES: usize = 256 << 10;
/// A blob from this size on has a frame of its own: it gains nothing from neighbours, and is often read without them.
pub const LARGE_BLOB_BYTES: usize = 64 << 10;
/// No frame has more plain bytes than this.
pub const FRAME_PLAIN_BYTES_MAX: usize = 4 << 20;

const HEAD_BYTES: usize = 5;
const METHOD_STORED: u8 = 0;
const METHOD_ZSTD: u8 = 1;
/// A frame is tried on this many bytes first; if they do not shrink, it is taken as incompressible.
const PROBE_BYTES: usize = 16 << 10;

/// One blob in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameBlob {
    /// The first half of its id.
    pub id: ShortId,
    /// Its length in bytes.
    pub bytes: u32,
}

/// A frame's blobs before compression.
#[derive(Debug, Default)]
pub struct RawFrame {
    /// The blobs in order.
    pub blobs: Vec<FrameBlob>,
    /// Their bytes, one after another.
    pub bytes: Vec<u8>,
}

/// Gathers blobs until a frame is full.
#[derive(Debug)]
pub struct FrameBuilder {
    frame: RawFrame,
    full_bytes: usize,
}

impl FrameBuilder {
    /// Frames are full once they have so many plain bytes.
    pub fn new(full_bytes: usize) -> Self {
        Self { frame: RawFrame::default(), full_bytes }
    }

    /// Adds a blob; returns the frame that is now full: what was gathered, or a large blob's own.
    pub fn push(&mut self, id: ShortId, bytes: &[u8]) -> Result<Option<RawFrame>> {
        let length = u32::try_from(bytes.len())
            .ok()
            .filter(|_| bytes.len() <= FRAME_PLAIN_BYTES_MAX)
            .ok_or_else(|| Error::bug(format!("a blob of {} bytes is larger than a frame", bytes.len())))?;
        let blob = FrameBlob { id, bytes: length };
        if bytes.len() >= LARGE_BLOB_BYTES {
            return Ok(Some(RawFrame { blobs: vec![blob], bytes: bytes.to_vec() }));
        }
        self.frame.blobs.push(blob);
        self.frame.bytes.extend_from_slice(bytes);
        Ok((self.frame.bytes.len() >= self.full_bytes).then(|| self.take()).flatten())
    }

    /// Takes out what is there.
    pub fn take(&mut self) -> Option<RawFrame> {
        (!self.frame.blobs.is_empty()).then(|| std::mem::take(&mut self.frame))
    }
}

thread_local! {
    /// Made once per thread: making them costs about as much as a small frame.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(plain: &[u8], level: i32) -> Result<Vec<u8>> {
    COMPRESSOR
        .with_borrow_mut(|kept| {
            let compressor = match kept {
                Some(compressor) => compressor,
                none => none.insert(Compressor::new(level)?),
            };
            compressor.set_compression_level(level)?;
            compressor.compress(plain)
        })
        .map_err(|error| Error::bug("zstd failed").with_source(error))
}

fn decompress(packed: &[u8], length: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new()?),
        };
        decompressor.decompress(packed, length)
    })
}

/// Compresses a frame, opens it again and compares. Incompressible bytes are stored as they are.
pub fn encode_frame(plain: &[u8], level: i32) -> Result<Vec<u8>> {
    let length = u32::try_from(plain.len()).map_err(|_| Error::bug("a frame is too large"))?;
    let joined = |method: u8, body: &[u8]| [&[method], &length.to_le_bytes()[..], body].concat();
    if worth_compressing(plain)? {
        let packed = compress(plain, level)?;
        if packed.len() < plain.len() {
            if decompress(&packed, plain.len()).ok().as_deref() != Some(plain) {
                return Err(Error::bug(
                    "a compressed frame does not decompress to what it was: is this machine's memory sound?",
                ));
            }
            return Ok(joined(METHOD_ZSTD, &packed));
        }
    }
    Ok(joined(METHOD_STORED, plain))
}

/// A quick look at the middle of a large frame.
fn worth_compressing(plain: &[u8]) -> Result<bool> {
    if plain.len() < 4 * PROBE_BYTES {
        return Ok(true);
    }
    let middle = &plain[plain.len() / 2..][..PROBE_BYTES];
    let packed = compress(middle, 1)?;
    Ok(packed.len() < PROBE_BYTES - PROBE_BYTES / 32)
}

/// Takes a frame's blobs out again.
pub fn decode_frame(frame: &[u8]) -> Result<Vec<u8>> {
    decode_frame_up_to(frame, FRAME_PLAIN_BYTES_MAX)
}

/// [`decode_frame`] for what may have another number of plain bytes.
pub(super) fn decode_frame_up_to(frame: &[u8], plain_bytes_max: usize) -> Result<Vec<u8>> {
    let damaged = |why: &str| Error::new(ErrorKind::CorruptItem, format!("a frame is damaged: {why}"));
    let Some(([method, length @ ..], body)) = frame.split_first_chunk::<HEAD_BYTES>() else {
        return Err(damaged("it is too short"));
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > plain_bytes_max {
        return Err(damaged("its plain length is impossible"));
    }
    let plain = match *method {
        METHOD_STORED => body.to_vec(),
        METHOD_ZSTD => decompress(body, length).map_err(|error| damaged("zstd").with_source(error))?,
        _ => return Err(damaged("its compression method is unknown")),
    };
    if plain.len() == length { Ok(plain) } else { Err(damaged("its plain length is another")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_whatever_they_hold() {
        let noise: Vec<u8> =
            (0..200_000_u32).flat_map(|i| blake3::hash(&i.to_le_bytes()).as_bytes()[..1].to_vec()).collect();
        for plain in [Vec::new(), b"a".to_vec(), vec![0; 300_000], noise] {
            let frame = encode_frame(&plain, 3).unwrap();
            assert!(frame.len() <= plain.len() + HEAD_BYTES);
            assert_eq!(decode_frame(&frame).unwrap(), plain);
        }
    }

    #[test]
    fn small_blobs_share_a_frame_and_a_large_one_has_its_own() {
        let mut builder = FrameBuilder::new(TREE_FRAME_BYTES);
        let id = |number: u8| ShortId([number; 16]);
        assert!(builder.push(id(1), &[1; 1000]).unwrap().is_none());
        let large = builder.push(id(2), &vec![2; LARGE_BLOB_BYTES]).unwrap().unwrap();
        assert_eq!((large.blobs.len(), large.blobs[0].id, large.bytes.len()), (1, id(2), LARGE_BLOB_BYTES));
        let full = loop {
            if let Some(full) = builder.push(id(3), &vec![3; 60_000]).unwrap() {
                break full;
            }
        };
        assert_eq!(full.blobs.len(), 6, "the first one and five more");
        assert!(full.bytes.starts_with(&[1; 1000]) && full.bytes.len() == 301_000);
        assert!(builder.take().is_none());
        assert!(builder.push(id(4), &vec![0; FRAME_PLAIN_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn an_impossible_length_is_refused() {
        let mut frame = encode_frame(&[7; 1000], 3).unwrap();
        frame[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode_frame(&frame).is_err());
        assert!(decode_frame(&[1, 2]).is_err());
    }
}
