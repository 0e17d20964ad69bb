//! Entries as the local cache holds them: rows of one width, with packs and segments by number.

use std::collections::HashMap;

use super::{BlobKind, IdHash, IndexEntry, Location};
use crate::{
    hash::{ObjectName, ShortId},
    pack::FramePlace,
};

/// Bytes of a row.
pub const ROW_BYTES: usize = 40;

/// An entry whose pack is a number in a [`PackTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The first half of the blob's id.
    pub id: ShortId,
    /// The pack's number.
    pub pack: u32,
    /// The frame in the pack.
    pub frame: FramePlace,
    /// The blob's offset in the frame's plain blobs, in bytes.
    pub offset: u32,
    /// The blob's length in bytes.
    pub bytes: u32,
}

impl Row {
    /// Of an entry whose pack has this number.
    pub fn new(entry: &IndexEntry, pack: u32) -> Self {
        Self { id: entry.id, pack, frame: entry.frame, offset: entry.offset, bytes: entry.bytes }
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[..16].copy_from_slice(&self.id.0);
        let numbers = [
            self.pack,
            self.frame.number,
            self.frame.offset,
            self.frame.sealed_bytes,
            self.offset,
            self.bytes,
        ];
        for (slot, number) in bytes[16..].chunks_exact_mut(4).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads its bytes.
    pub fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[..16]);
        let number = |place: usize| {
            let at = 16 + 4 * place;
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let frame = FramePlace { number: number(1), offset: number(2), sealed_bytes: number(3) };
        Self { id: ShortId(id), pack: number(0), frame, offset: number(4), bytes: number(5) }
    }

    /// What rows are sorted by.
    pub fn key(&self) -> u128 {
        u128::from_be_bytes(self.id.0)
    }

    /// Where the blob lies.
    pub fn location(&self, kind: BlobKind, pack: ObjectName) -> Location {
        Location { kind, pack, frame: self.frame, offset: self.offset, bytes: self.bytes }
    }
}

/// Numbers for packs. A pack that two segments name has two, so that a row tells which segment it came from.
#[derive(Clone, Debug, Default)]
pub struct PackTable {
    segments: Vec<ObjectName>,
    packs: Vec<(ObjectName, u32)>,
    numbers: HashMap<(ObjectName, u32), u32, IdHash>,
}

impl PackTable {
    /// A segment's number.
    pub fn add_segment(&mut self, name: ObjectName) -> u32 {
        if let Some(place) = self.segments.iter().rposition(|known| *known == name) {
            return place as u32;
        }
        self.segments.push(name);
        self.segments.len() as u32 - 1
    }

    /// The number of a pack that a segment names.
    pub fn add(&mut self, pack: ObjectName, segment: u32) -> u32 {
        if let Some((last, of)) = self.packs.last()
            && (*last, *of) == (pack, segment)
        {
            return self.packs.len() as u32 - 1;
        }
        let packs = &mut self.packs;
        *self.numbers.entry((pack, segment)).or_insert_with(|| {
            packs.push((pack, segment));
            packs.len() as u32 - 1
        })
    }

    /// The pack of a number.
    pub fn pack(&self, number: u32) -> Option<ObjectName> {
        self.packs.get(number as usize).map(|(pack, _)| *pack)
    }

    /// Packs by number, each with its segment's number.
    pub fn packs(&self) -> &[(ObjectName, u32)] {
        &self.packs
    }

    /// Segments by number.
    pub fn segments(&self) -> &[ObjectName] {
        &self.segments
    }
}
