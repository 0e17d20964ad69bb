//! Reading a pack whole: which of its frames are good.

use larder_sdk::{ObjectKey, codec};

use crate::{
    crypto::HEADER_BYTES,
    error::{EngineError, Result},
    hash::{Digest, ObjectName},
    index::{BlobKind, IndexEntry},
    pack::{FrameBlob, FramePlace, LargeReader, PackDirectory, Tail, decode_frame},
    repository::{Repository, layout},
};

/// A pack that was read.
pub(super) struct ReadPack {
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// The frames that are known, in order.
    pub(super) frames: Vec<ReadFrame>,
    /// What is wrong with it beside damaged frames.
    pub(super) wrong: Option<EngineError>,
}

/// One frame of it.
pub(super) struct ReadFrame {
    /// Where it is.
    pub(super) place: FramePlace,
    /// What it should hold.
    pub(super) blobs: Vec<FrameBlob>,
    /// Its bytes as they were before sealing, if every blob in it is the one it should be.
    pub(super) encoded: Result<Vec<u8>>,
}

impl ReadPack {
    /// The first thing that is wrong with it.
    pub(super) fn into_result(self) -> Result<()> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => self.frames.into_iter().try_for_each(|frame| frame.encoded.map(drop)),
        }
    }
}

/// Reads a pack and verifies every blob in it. If its directory does not read, the frames are those that the index knows (`indexed`).
pub(super) fn read_pack(
    repository: &Repository,
    kind: BlobKind,
    name: ObjectName,
    key: &ObjectKey,
    indexed: &[IndexEntry],
) -> Result<ReadPack> {
    let bytes = repository.store().get(key).map_err(EngineError::store)?;
    let mut pack = ReadPack { bytes: bytes.len() as u64, frames: Vec::new(), wrong: None };
    let opened = LargeReader::open(repository.keys(), repository.id(), layout::pack_kind(kind), name, &bytes);
    let reader = match opened {
        Ok(reader) => reader,
        Err(error) => {
            pack.wrong = Some(error.into());
            return Ok(pack);
        }
    };
    let frames = directory(&reader, &bytes).unwrap_or_else(|error| {
        pack.wrong = Some(error);
        from_index(indexed)
    });
    for (place, blobs) in frames {
        let encoded = read_frame(repository, &reader, &bytes, place, &blobs);
        pack.frames.push(ReadFrame { place, blobs, encoded });
    }
    Ok(pack)
}

type Frames = Vec<(FramePlace, Vec<FrameBlob>)>;

fn directory(reader: &LargeReader, bytes: &[u8]) -> Result<Frames> {
    let Tail::Directory(directory, frames) = reader.tail(bytes, bytes.len() as u64)? else {
        return Err(EngineError::damaged("its directory does not fit into it"));
    };
    let directory: PackDirectory = codec::decode(&directory)?;
    if directory.frames.len() != frames as usize {
        return Err(EngineError::damaged("its directory and trailer disagree"));
    }
    places(&directory)
}

/// Where the frames of a directory lie, and what is in them.
pub(super) fn places(directory: &PackDirectory) -> Result<Frames> {
    let mut offset = HEADER_BYTES as u32;
    let mut frames = Vec::with_capacity(directory.frames.len());
    for (number, frame) in directory.frames.iter().enumerate() {
        let place = FramePlace { number: number as u32, offset, sealed_bytes: frame.sealed_bytes };
        offset = offset
            .checked_add(frame.sealed_bytes)
            .ok_or_else(|| EngineError::damaged("its directory has an impossible length"))?;
        let blobs = frame.blobs.iter().map(|blob| FrameBlob { id: blob.id, bytes: blob.bytes }).collect();
        frames.push((place, blobs));
    }
    Ok(frames)
}

/// The frames that the index knows of a pack. A frame of which the index does not know every blob is left out: it cannot be verified.
fn from_index(indexed: &[IndexEntry]) -> Frames {
    let mut entries: Vec<&IndexEntry> = indexed.iter().collect();
    entries.sort_unstable_by_key(|entry| (entry.frame, entry.offset));
    entries.dedup();
    let mut frames = Frames::new();
    for frame in entries.chunk_by(|a, b| a.frame == b.frame) {
        let ends = frame.iter().map(|entry| entry.offset.checked_add(entry.bytes));
        let begins = frame.iter().skip(1).map(|entry| Some(entry.offset));
        if frame[0].offset == 0 && ends.zip(begins).all(|(end, begin)| end == begin) {
            let blobs = frame.iter().map(|entry| FrameBlob { id: entry.id, bytes: entry.bytes }).collect();
            frames.push((frame[0].frame, blobs));
        }
    }
    frames
}

fn read_frame(
    repository: &Repository,
    reader: &LargeReader,
    bytes: &[u8],
    place: FramePlace,
    blobs: &[FrameBlob],
) -> Result<Vec<u8>> {
    let start = place.offset as usize;
    let sealed = bytes.get(start..start.saturating_add(place.sealed_bytes as usize));
    let mut sealed = sealed.ok_or_else(|| EngineError::damaged("it is cut short"))?.to_vec();
    let encoded = reader.frame(place.number, &mut sealed)?;
    let plain = decode_frame(encoded)?;
    let mut rest = &plain[..];
    for blob in blobs {
        let Some((bytes, later)) = rest.split_at_checked(blob.bytes as usize) else {
            return Err(EngineError::damaged(format!(
                "frame {} is shorter than its directory says",
                place.number
            )));
        };
        rest = later;
        if repository.keys().blob_id(&Digest::of(bytes)).short() != blob.id {
            let text = format!("blob {} in frame {} is another blob", blob.id, place.number);
            return Err(EngineError::damaged(text));
        }
    }
    if rest.is_empty() {
        Ok(encoded.to_vec())
    } else {
        Err(EngineError::damaged(format!("frame {} is longer than what it should hold", place.number)))
    }
}
