//! The bytes of an index segment: pages of sorted entries, and a directory with each page's first id.

use std::collections::HashMap;

use bytes::Bytes;
use larder_sdk::{
    Error, ErrorKind, Result,
    codec::{self, Record},
};
use serde::{Deserialize, Serialize};

use super::IndexEntry;
use crate::{
    crypto::{Keys, ObjectKind},
    hash::{ObjectName, RepositoryId, ShortId},
    pack::{Column, FramePlace, LargeWriter, decode_frame, encode_frame},
};

/// Entries in a page: one lookup on a machine without a cache reads one page of each large segment.
pub const PAGE_ENTRIES: usize = 1024;
/// Most entries that a page may have.
const PAGE_ENTRIES_MAX: usize = 4096;
const LEVEL: i32 = 3;

/// Which pages a segment has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SegmentDirectory {
    /// The pages in ascending order of ids.
    pub pages: Vec<SegmentPage>,
    /// Segments that this one was merged from and stands for: snapshots may name them.
    pub replaces: Vec<ObjectName>,
}

/// One page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SegmentPage {
    /// The first id in it.
    pub first: ShortId,
    /// Where its frame begins in the segment.
    pub offset: u32,
    /// The frame's sealed length.
    pub sealed_bytes: u32,
}

impl Record for SegmentDirectory {
    const KIND: u16 = 23;
    const VERSION: u16 = 1;
}

/// A page as stored: columns compress better than rows.
#[derive(Default, Serialize, Deserialize)]
struct Page {
    ids: Vec<ShortId>,
    packs: Vec<ObjectName>,
    /// Of each frame that the rows name: its pack's place in `packs`, number, offset and sealed length.
    frame_pack: Column,
    frame_number: Column,
    frame_offset: Column,
    frame_bytes: Column,
    /// Of each row: its frame's place in the columns above, the blob's offset in the frame, its length.
    frame: Column,
    offset: Column,
    bytes: Column,
}

impl Record for Page {
    const KIND: u16 = 22;
    const VERSION: u16 = 1;
}

/// Builds a segment that stands for others, if any; sorts the entries. Returns its name and bytes.
pub fn encode_segment(
    keys: &Keys,
    repository: RepositoryId,
    kind: ObjectKind,
    entries: &mut [IndexEntry],
    replaces: &[ObjectName],
) -> Result<(ObjectName, Bytes)> {
    entries.sort_unstable_by_key(|entry| entry.id);
    let mut writer = LargeWriter::create(keys, repository, kind, 0)?;
    let name = writer.name();
    let mut directory = SegmentDirectory { replaces: replaces.to_vec(), ..SegmentDirectory::default() };
    for page in entries.chunks(PAGE_ENTRIES) {
        let place = writer.push(&encode_frame(&encode_page(page)?, LEVEL)?)?;
        directory.pages.push(SegmentPage {
            first: page[0].id,
            offset: place.offset,
            sealed_bytes: place.sealed_bytes,
        });
    }
    Ok((name, writer.finish(&codec::encode(&directory)?)?))
}

fn encode_page(entries: &[IndexEntry]) -> Result<Vec<u8>> {
    let mut frames: Vec<_> = entries.iter().map(|entry| (entry.pack, entry.frame)).collect();
    frames.sort_unstable();
    frames.dedup();
    let mut packs: Vec<_> = frames.iter().map(|(pack, _)| *pack).collect();
    packs.dedup();
    let frame_at: HashMap<_, _> = frames.iter().zip(0..).collect();
    let pack_at: HashMap<_, _> = packs.iter().zip(0..).collect();
    codec::encode(&Page {
        ids: entries.iter().map(|entry| entry.id).collect(),
        frame_pack: frames.iter().map(|(pack, _)| pack_at[pack]).collect(),
        frame_number: frames.iter().map(|(_, frame)| frame.number).collect(),
        frame_offset: frames.iter().map(|(_, frame)| frame.offset).collect(),
        frame_bytes: frames.iter().map(|(_, frame)| frame.sealed_bytes).collect(),
        frame: entries.iter().map(|entry| frame_at[&(entry.pack, entry.frame)]).collect(),
        offset: entries.iter().map(|entry| entry.offset).collect(),
        bytes: entries.iter().map(|entry| entry.bytes).collect(),
        packs,
    })
}

/// Reads an opened page frame.
pub fn decode_page(frame: &[u8]) -> Result<Vec<IndexEntry>> {
    let page: Page = codec::decode(&decode_frame(frame)?)?;
    let (frame, offset, bytes) = (page.frame.numbers(), page.offset.numbers(), page.bytes.numbers());
    let rows = page.ids.len();
    if rows > PAGE_ENTRIES_MAX || [frame, offset, bytes].iter().any(|column| column.len() != rows) {
        return Err(Error::new(ErrorKind::CorruptItem, "an index page's columns do not match"));
    }
    let frames = frames_of(&page)?;
    (0..rows)
        .map(|row| {
            let (pack, frame) = *frames.get(frame[row] as usize).ok_or_else(|| {
                Error::new(ErrorKind::CorruptItem, "an index page names a frame that it does not list")
            })?;
            Ok(IndexEntry { id: page.ids[row], pack, frame, offset: offset[row], bytes: bytes[row] })
        })
        .collect()
}

/// The frames that a page lists, each with its pack.
fn frames_of(page: &Page) -> Result<Vec<(ObjectName, FramePlace)>> {
    let columns @ [pack, number, offset, sealed_bytes] =
        [&page.frame_pack, &page.frame_number, &page.frame_offset, &page.frame_bytes].map(Column::numbers);
    if columns.iter().any(|column| column.len() != pack.len()) {
        return Err(Error::new(ErrorKind::CorruptItem, "an index page's columns of frames do not match"));
    }
    (0..pack.len())
        .map(|at| {
            let pack = *page.packs.get(pack[at] as usize).ok_or_else(|| {
                Error::new(ErrorKind::CorruptItem, "an index page names a pack that it does not list")
            })?;
            let frame = FramePlace { number: number[at], offset: offset[at], sealed_bytes: sealed_bytes[at] };
            Ok((pack, frame))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{LargeReader, Tail};

    #[test]
    fn a_segment_gives_back_its_entries_in_order() {
        let keys = Keys::generate().unwrap();
        let repository = RepositoryId([1; 16]);
        let entry = |i: u32| IndexEntry {
            id: crate::hash::BlobId(*blake3::hash(&i.to_le_bytes()).as_bytes()).short(),
            pack: ObjectName([i as u8 % 3; 16]),
            frame: FramePlace { number: i / 9, offset: i * 7, sealed_bytes: 1000 + i },
            offset: i,
            bytes: i * 2,
        };
        let mut entries: Vec<_> = (0..10_000).map(entry).collect();
        let (name, bytes) =
            encode_segment(&keys, repository, ObjectKind::DataIndex, &mut entries, &[]).unwrap();
        let reader = LargeReader::open(&keys, repository, ObjectKind::DataIndex, name, &bytes).unwrap();
        let Tail::Directory(directory, 10) = reader.tail(&bytes, bytes.len() as u64).unwrap() else {
            panic!("ten pages expected");
        };
        let directory: SegmentDirectory = codec::decode(&directory).unwrap();
        let mut read = Vec::new();
        for (number, page) in directory.pages.iter().enumerate() {
            let mut sealed = bytes[page.offset as usize..][..page.sealed_bytes as usize].to_vec();
            let page_entries = decode_page(reader.frame(number as u32, &mut sealed).unwrap()).unwrap();
            assert_eq!(page_entries[0].id, page.first);
            read.extend(page_entries);
        }
        assert_eq!(read, entries);
    }
}
