//! Index segments of blobs that nobody stored: plausible ids and places, in packs that are holes of the right length.

use std::fs;

use larder::{
    hash::{BlobId, ObjectName, ShortId},
    index::{BlobKind, IndexEntry, encode_segment},
    pack::FramePlace,
    repository::{Repository, layout},
};

use crate::Outcome;

/// Blobs of a data pack: 10 kB each before compression.
const BLOBS_PER_PACK: u64 = 1_600;
const BLOBS_PER_FRAME: u64 = 25;
const BLOB_BYTES: u32 = 10_000;
const FRAME_SEALED_BYTES: u32 = 240_000;
/// Entries of a large segment, as runs and prune write them.
pub(crate) const SEGMENT_ENTRIES: u64 = 256 << 10;

/// The id of a made-up blob.
pub(crate) fn id(kind: BlobKind, number: u64) -> ShortId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind as u8]);
    hasher.update(&number.to_le_bytes());
    BlobId(*hasher.finalize().as_bytes()).short()
}

fn entry(kind: BlobKind, number: u64) -> IndexEntry {
    let pack = id(kind, u64::MAX - number / BLOBS_PER_PACK);
    let frame = (number % BLOBS_PER_PACK / BLOBS_PER_FRAME) as u32;
    IndexEntry {
        id: id(kind, number),
        pack: ObjectName(pack.0),
        frame: FramePlace {
            number: frame,
            offset: 48 + frame * FRAME_SEALED_BYTES,
            sealed_bytes: FRAME_SEALED_BYTES,
        },
        offset: (number % BLOBS_PER_FRAME) as u32 * BLOB_BYTES,
        bytes: BLOB_BYTES,
    }
}

/// Writes segments of blobs `from..to` with so many entries each, and their packs.
pub(crate) fn segments(
    repository: &Repository,
    folder: &std::path::Path,
    kind: BlobKind,
    numbers: std::ops::Range<u64>,
    entries_each: u64,
) -> Outcome<u64> {
    let mut count = 0;
    let mut from = numbers.start;
    while from < numbers.end {
        let to = (from + entries_each).min(numbers.end);
        let mut entries: Vec<IndexEntry> = (from..to).map(|number| entry(kind, number)).collect();
        for number in (from..to).filter(|number| number % BLOBS_PER_PACK == 0 || *number == from) {
            let path = folder.join(layout::pack_key(kind, entry(kind, number).pack)?.as_str());
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            let frames = BLOBS_PER_PACK.div_ceil(BLOBS_PER_FRAME) as u32;
            fs::File::create(path)?.set_len(u64::from(48 + frames * FRAME_SEALED_BYTES + 60_000))?;
        }
        let (name, bytes) =
            encode_segment(repository.keys(), repository.id(), layout::index_kind(kind), &mut entries, &[])?;
        repository.store().put(&layout::in_folder(layout::index_folder(kind), name)?, bytes)?;
        count += 1;
        from = to;
    }
    Ok(count)
}
