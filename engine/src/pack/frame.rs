//! Frames: blobs of one container and one kind, compressed together.

use std::{cell::RefCell, io};

use larder_sdk::{Error, ErrorKind, Result};
use zstd::bulk::{Compressor, Decompressor};

use crate::hash::ShortId;

/// A frame is closed once its blobs have this many plain bytes.
pub const FRAME_BYTES: usize = 256 << 10;
/// No frame has more plain bytes than this: one frame's worth and the largest chunk.
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
#[derive(Debug, Default)]
pub struct FrameBuilder {
    frame: RawFrame,
}

impl FrameBuilder {
    /// Adds a blob; returns the frame if it is now full. A frame that would grow past its limit is closed before.
    pub fn push(&mut self, id: ShortId, bytes: &[u8]) -> Result<(Option<RawFrame>, Option<RawFrame>)> {
        let length = u32::try_from(bytes.len())
            .ok()
            .filter(|_| bytes.len() <= FRAME_PLAIN_BYTES_MAX)
            .ok_or_else(|| Error::bug(format!("a blob of {} bytes is larger than a frame", bytes.len())))?;
        let before =
            (self.frame.bytes.len() + bytes.len() > FRAME_PLAIN_BYTES_MAX).then(|| self.take()).flatten();
        self.frame.blobs.push(FrameBlob { id, bytes: length });
        self.frame.bytes.extend_from_slice(bytes);
        let full = (self.frame.bytes.len() >= FRAME_BYTES).then(|| self.take()).flatten();
        Ok((before, full))
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
    let damaged = |why: &str| Error::new(ErrorKind::CorruptItem, format!("a frame is damaged: {why}"));
    let Some(([method, length @ ..], body)) = frame.split_first_chunk::<HEAD_BYTES>() else {
        return Err(damaged("it is too short"));
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > FRAME_PLAIN_BYTES_MAX {
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
    fn an_impossible_length_is_refused() {
        let mut frame = encode_frame(&[7; 1000], 3).unwrap();
        frame[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode_frame(&frame).is_err());
        assert!(decode_frame(&[1, 2]).is_err());
    }
}
