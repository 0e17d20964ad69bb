//! Entries in memory: those of this run, and of segments that the cache's file does not cover yet.

use std::collections::HashMap;

use super::{IdHash, IndexEntry, PackTable, Row};
use crate::hash::{ObjectName, ShortId};

/// No further row.
const END: u32 = u32::MAX;

/// A hash table of rows. Several rows may have one id.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// From the id's first half to its newest row.
    heads: HashMap<u64, u32, IdHash>,
    rows: Vec<Row>,
    /// For each row the one before it with the same first half.
    next: Vec<u32>,
    packs: PackTable,
}

fn half(id: &ShortId) -> u64 {
    (u128::from_be_bytes(id.0) >> 64) as u64
}

impl Delta {
    /// Adds a segment's entries.
    pub fn add(&mut self, segment: ObjectName, entries: &[IndexEntry]) {
        let segment = self.packs.add_segment(segment);
        for entry in entries {
            let pack = self.packs.add(entry.pack, segment);
            self.push(Row::new(entry, pack));
        }
    }

    fn push(&mut self, row: Row) {
        let place = self.rows.len() as u32;
        let before = self.heads.insert(half(&row.id), place);
        self.rows.push(row);
        self.next.push(before.unwrap_or(END));
    }

    /// Shows the rows of a blob until one is taken.
    pub fn find<T>(&self, id: &ShortId, mut take: impl FnMut(&Row) -> Option<T>) -> Option<T> {
        let mut place = *self.heads.get(&half(id))?;
        while let Some(row) = self.rows.get(place as usize) {
            if row.id == *id
                && let Some(taken) = take(row)
            {
                return Some(taken);
            }
            place = *self.next.get(place as usize)?;
        }
        None
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True if it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its packs and segments.
    pub fn packs(&self) -> &PackTable {
        &self.packs
    }

    /// Its rows in the order they came in.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Its rows in order of id.
    pub fn sorted(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        rows.sort_unstable_by_key(Row::key);
        rows
    }

    /// Takes over another's rows, of the segments that are wanted.
    pub fn absorb(&mut self, other: &Delta, wanted: impl Fn(&ObjectName) -> bool) {
        let numbers: Vec<Option<u32>> = other
            .packs
            .segments()
            .iter()
            .map(|segment| wanted(segment).then(|| self.packs.add_segment(*segment)))
            .collect();
        for row in &other.rows {
            let Some((pack, segment)) = other.packs.packs().get(row.pack as usize) else { continue };
            if let Some(Some(segment)) = numbers.get(*segment as usize) {
                let pack = self.packs.add(*pack, *segment);
                self.push(Row { pack, ..*row });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::FramePlace;

    fn entry(id: u8, pack: u8) -> IndexEntry {
        // All ids share their first half: the rows of several blobs stand in one chain.
        let mut short = [7; 16];
        short[15] = id;
        let frame = FramePlace { number: 0, offset: 48, sealed_bytes: 100 };
        IndexEntry {
            id: ShortId(short),
            pack: ObjectName([pack; 16]),
            frame,
            offset: 0,
            bytes: u32::from(id),
        }
    }

    #[test]
    fn every_row_of_an_id_is_found_and_segments_can_be_left_out() {
        let mut delta = Delta::default();
        delta.add(ObjectName([1; 16]), &[entry(1, 10), entry(2, 10), entry(1, 11)]);
        delta.add(ObjectName([2; 16]), &[entry(1, 12)]);
        let packs = |delta: &Delta, id: u8| {
            let mut packs = Vec::new();
            let none: Option<()> = delta.find(&entry(id, 0).id, |row| {
                packs.extend(delta.packs().pack(row.pack).map(|pack| pack.0[0]));
                None
            });
            assert!(none.is_none());
            packs.sort_unstable();
            packs
        };
        assert_eq!(packs(&delta, 1), [10, 11, 12]);
        assert_eq!(packs(&delta, 2), [10]);
        assert!(packs(&delta, 3).is_empty());

        let mut other = Delta::default();
        other.absorb(&delta, |segment| segment.0[0] == 1);
        assert_eq!(packs(&other, 1), [10, 11]);
        assert_eq!(other.packs().segments(), [ObjectName([1; 16])]);
        assert_eq!(other.sorted().len(), 3);
    }
}
