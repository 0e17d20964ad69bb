//! The cache's file: all entries of a kind in one sorted table, found by one read of a block.
//!
//! ```text
//! blocks of rows │ filter │ first half of each block's first id │ packs │ segments │ footer
//! ```
//!
//! Blocks, filter and tables, and the footer, each verify under the file's own key.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use super::block::{
    BLOCK_BYTES, BLOCK_ROWS, BlockReader, CacheKey, FileKey, Medium, Stretch, damage, rows_of,
};
use crate::{
    hash::{ObjectName, ShortId},
    index::{BlobKind, Filter, PackTable, ROW_BYTES, Row},
};

const MAGIC: &[u8; 8] = b"larderix";
/// Counts up whenever the file's bytes change; files of another are not read.
const VERSION: u32 = 1;
pub(super) const FOOTER_BYTES: usize = 164;
const FOOTER_SIGNED: usize = FOOTER_BYTES - 32;
/// A pack: name and its segment's number.
const PACK_BYTES: usize = 20;

/// Counts and digests of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) nonce: [u8; 16],
    pub(super) rows: u64,
    pub(super) filter_bytes: u64,
    pub(super) packs: u64,
    pub(super) segments: u64,
    pub(super) filter_digest: [u8; 32],
    pub(super) tables_digest: [u8; 32],
}

impl Footer {
    pub(super) fn encode(&self, secret: &CacheKey, kind: BlobKind) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&[0; 8]);
        for count in [self.rows, self.filter_bytes, self.packs, self.segments] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes.extend_from_slice(&self.filter_digest);
        bytes.extend_from_slice(&self.tables_digest);
        let digest = secret.file(kind, &self.nonce).digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    fn decode(bytes: &[u8; FOOTER_BYTES], secret: &CacheKey, kind: BlobKind) -> io::Result<Self> {
        let (signed, digest) = bytes.split_at(FOOTER_SIGNED);
        if signed[..8] != *MAGIC || signed[8..12] != VERSION.to_le_bytes() {
            return Err(damage("it is of another version"));
        }
        let mut footer = Self::default();
        footer.nonce.copy_from_slice(&signed[12..28]);
        if secret.file(kind, &footer.nonce).digest(signed) != *digest {
            return Err(damage("its footer does not verify"));
        }
        let count = |place: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&signed[36 + 8 * place..][..8]);
            u64::from_le_bytes(number)
        };
        (footer.rows, footer.filter_bytes) = (count(0), count(1));
        (footer.packs, footer.segments) = (count(2), count(3));
        footer.filter_digest.copy_from_slice(&signed[68..100]);
        footer.tables_digest.copy_from_slice(&signed[100..132]);
        Ok(footer)
    }
}

/// The bytes of the tables behind the filter.
pub(super) fn encode_tables(firsts: &[u64], packs: &PackTable) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 * firsts.len() + PACK_BYTES * packs.packs().len());
    for first in firsts {
        bytes.extend_from_slice(&first.to_le_bytes());
    }
    for (pack, segment) in packs.packs() {
        bytes.extend_from_slice(&pack.0);
        bytes.extend_from_slice(&segment.to_le_bytes());
    }
    for segment in packs.segments() {
        bytes.extend_from_slice(&segment.0);
    }
    bytes
}

/// An open file. What is wrong with it shows as an I/O error from any of its methods.
pub(super) struct Table {
    medium: Medium,
    key: FileKey,
    stretch: Stretch,
    firsts: Vec<u64>,
    packs: Vec<(ObjectName, u32)>,
    segments: Vec<ObjectName>,
    filter: OnceLock<Filter>,
    filter_bytes: usize,
    filter_digest: [u8; 32],
}

impl Table {
    /// Opens a file by its footer.
    pub(super) fn open(medium: Medium, secret: &CacheKey, kind: BlobKind) -> io::Result<Self> {
        let size = medium.len()?;
        let mut footer = [0; FOOTER_BYTES];
        let footer_at =
            size.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damage("it is too short for a footer"))?;
        medium.read_exact_at(&mut footer, footer_at)?;
        let footer = Footer::decode(&footer, secret, kind)?;
        let key = secret.file(kind, &footer.nonce);
        let stretch = Stretch { offset: 0, rows: footer.rows };
        // The footer is ours, so the counts are as they were written.
        let filter_at = stretch.blocks() * BLOCK_BYTES as u64;
        let tables_at = filter_at + footer.filter_bytes;
        let tables_bytes = 8 * stretch.blocks() + PACK_BYTES as u64 * footer.packs + 16 * footer.segments;
        if tables_at + tables_bytes != footer_at {
            return Err(damage("its size is another than its footer says"));
        }
        let tables = medium.read_vec_at(tables_bytes as usize, tables_at)?;
        if key.digest(&tables) != footer.tables_digest {
            return Err(damage("its tables do not verify"));
        }
        let (firsts, rest) = tables.split_at(8 * stretch.blocks() as usize);
        let (packs, segments) = rest.split_at(PACK_BYTES * footer.packs as usize);
        let (firsts, _) = firsts.as_chunks::<8>();
        let (packs, _) = packs.as_chunks::<PACK_BYTES>();
        let (segments, _) = segments.as_chunks::<16>();
        let pack = |bytes: &[u8; PACK_BYTES]| {
            let mut name = [0; 16];
            name.copy_from_slice(&bytes[..16]);
            (ObjectName(name), u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]))
        };
        Ok(Self {
            firsts: firsts.iter().map(|first| u64::from_le_bytes(*first)).collect(),
            packs: packs.iter().map(pack).collect(),
            segments: segments.iter().map(|name| ObjectName(*name)).collect(),
            medium,
            key,
            stretch,
            filter: OnceLock::new(),
            filter_bytes: footer.filter_bytes as usize,
            filter_digest: footer.filter_digest,
        })
    }

    /// Rows in it.
    pub(super) fn len(&self) -> u64 {
        self.stretch.rows
    }

    /// The segments whose entries it holds.
    pub(super) fn segments(&self) -> &[ObjectName] {
        &self.segments
    }

    /// Packs by number, each with its segment's number.
    pub(super) fn packs(&self) -> &[(ObjectName, u32)] {
        &self.packs
    }

    /// False if a blob is in no row. The filter is read when it is first needed.
    pub(super) fn may_hold(&self, id: &ShortId) -> io::Result<bool> {
        if let Some(filter) = self.filter.get() {
            return Ok(filter.may_hold(id));
        }
        let at = self.stretch.blocks() * BLOCK_BYTES as u64;
        let bytes = self.medium.read_vec_at(self.filter_bytes, at)?;
        if self.key.digest(&bytes) != self.filter_digest {
            return Err(damage("its filter does not verify"));
        }
        let filter = Filter::from_bytes(bytes).ok_or_else(|| damage("its filter is cut"))?;
        Ok(self.filter.get_or_init(|| filter).may_hold(id))
    }

    /// Shows a blob's rows and their places until one is taken.
    pub(super) fn find<T>(
        &self,
        id: &ShortId,
        take: impl FnMut(u64, &Row) -> Option<T>,
    ) -> io::Result<Option<T>> {
        self.find_from(&mut Lookup::default(), id, take)
    }

    /// [`Table::find`] of many blobs: of those that are asked for in order, each block is read once.
    pub(super) fn find_from<T>(
        &self,
        lookup: &mut Lookup,
        id: &ShortId,
        mut take: impl FnMut(u64, &Row) -> Option<T>,
    ) -> io::Result<Option<T>> {
        let first_half = (u128::from_be_bytes(id.0) >> 64) as u64;
        // Blocks are short, so the place follows from their firsts; rows of one id may go over a border.
        let mut number = self.firsts.partition_point(|first| *first < first_half).saturating_sub(1) as u64;
        while number < self.stretch.blocks() {
            let rows = lookup.rows(self, number)?;
            let from = rows.partition_point(|row| row[..16] < id.0[..]);
            for (place, bytes) in rows.iter().enumerate().skip(from) {
                if bytes[..16] != id.0 {
                    return Ok(None);
                }
                let ordinal = number * BLOCK_ROWS as u64 + place as u64;
                if let Some(taken) = take(ordinal, &Row::from_bytes(bytes)) {
                    return Ok(Some(taken));
                }
            }
            number += 1;
        }
        Ok(None)
    }

    /// All rows in order.
    pub(super) fn rows(&self) -> BlockReader<'_> {
        BlockReader::new(&self.medium, self.key.clone(), self.stretch)
    }
}

/// The block of a table that was read last, so that what lies in it is not read again. Of one table.
pub(super) struct Lookup {
    number: Option<u64>,
    block: [u8; BLOCK_BYTES],
}

impl Default for Lookup {
    fn default() -> Self {
        Self { number: None, block: [0; BLOCK_BYTES] }
    }
}

impl Lookup {
    /// The rows of a block, verified when it is read.
    fn rows(&mut self, table: &Table, number: u64) -> io::Result<&[[u8; ROW_BYTES]]> {
        let rows = table.stretch.rows_in(number);
        if self.number.replace(number) == Some(number) {
            return rows_of(rows, &self.block);
        }
        let read = table.medium.read_exact_at(&mut self.block, number * BLOCK_BYTES as u64);
        let opened = read.and_then(|()| table.key.open(number, rows, &self.block));
        if opened.is_err() {
            self.number = None;
        }
        opened
    }
}

/// A table, and which of its segments still count.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) table: Arc<Table>,
    /// By number; nothing if all count.
    counts: Option<Arc<Vec<bool>>>,
}

impl Base {
    pub(super) fn new(table: Arc<Table>) -> Self {
        Self { table, counts: None }
    }

    /// Of a table of which only some segments count.
    pub(super) fn of_segments(table: Arc<Table>, counts: impl Fn(&ObjectName) -> bool) -> Self {
        let counts: Vec<bool> = table.segments().iter().map(counts).collect();
        let all = counts.iter().all(|counts| *counts);
        Self { table, counts: (!all).then(|| Arc::new(counts)) }
    }

    /// True if it holds segments that are no longer listed.
    pub(super) fn is_stale(&self) -> bool {
        self.counts.is_some()
    }

    /// The pack of a number, and its segment's number, if it counts.
    pub(super) fn pack(&self, number: u32) -> Option<(ObjectName, u32)> {
        let (pack, segment) = *self.table.packs().get(number as usize)?;
        self.counts(segment).then_some((pack, segment))
    }

    /// The segments that count.
    pub(super) fn segments(&self) -> impl Iterator<Item = ObjectName> {
        let segments = self.table.segments().iter().enumerate();
        segments.filter(|(number, _)| self.counts(*number as u32)).map(|(_, name)| *name)
    }

    fn counts(&self, segment: u32) -> bool {
        self.counts.as_ref().is_none_or(|counts| counts.get(segment as usize) == Some(&true))
    }
}
