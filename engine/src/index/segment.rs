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
    pack::{FramePlace, LargeWriter, decode_frame, encode_frame},
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
    pack: Vec<u32>,
    frame: Vec<u32>,
    frame_offset: Vec<u32>,
    frame_bytes: Vec<u32>,
    offset: Vec<u32>,
    bytes: Vec<u32>,
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
    let mut page = Page::default();
    let mut places = HashMap::new();
    for entry in entries {
        let pack = *places.entry(entry.pack).or_insert_with(|| {
            page.packs.push(entry.pack);
            page.packs.len() as u32 - 1
        });
        page.ids.push(entry.id);
        page.pack.push(pack);
        page.frame.push(entry.frame.number);
        page.frame_offset.push(entry.frame.offset);
        page.frame_bytes.push(entry.frame.sealed_bytes);
        page.offset.push(entry.offset);
        page.bytes.push(entry.bytes);
    }
    codec::encode(&page)
}

/// Reads an opened page frame.
pub fn decode_page(frame: &[u8]) -> Result<Vec<IndexEntry>> {
    let page: Page = codec::decode(&decode_frame(frame)?)?;
    let count = page.ids.len();
    let columns = [&page.pack, &page.frame, &page.frame_offset, &page.frame_bytes, &page.offset, &page.bytes];
    if count > PAGE_ENTRIES_MAX || columns.iter().any(|column| column.len() != count) {
        return Err(Error::new(ErrorKind::CorruptItem, "an index page's columns do not match"));
    }
    (0..count)
        .map(|row| {
            let pack = *page.packs.get(page.pack[row] as usize).ok_or_else(|| {
                Error::new(ErrorKind::CorruptItem, "an index page names a pack that it does not list")
            })?;
            let frame = FramePlace {
                number: page.frame[row],
                offset: page.frame_offset[row],
                sealed_bytes: page.frame_bytes[row],
            };
            Ok(IndexEntry {
                id: page.ids[row],
                pack,
                frame,
                offset: page.offset[row],
                bytes: page.bytes[row],
            })
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
