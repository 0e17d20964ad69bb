//! Which packs are worth their while to delete. Pure.

use crate::{hash::ObjectName, index::BlobKind, repository::packer::PACK_BYTES};

/// A pack smaller than this is copied together with others like it.
const SMALL_BYTES: u64 = PACK_BYTES as u64 / 8;
/// As soon as there are so many of a kind.
const SMALL_MAX: usize = 16;

/// How much of a pack is in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackUse {
    /// What it holds.
    pub(super) kind: BlobKind,
    /// Its name.
    pub(super) name: ObjectName,
    /// Its size in the store in bytes.
    pub(super) bytes: u64,
    /// The plain bytes of its blobs in the index; zero for a pack that no segment names.
    pub(super) plain_bytes: u64,
    /// Of those, how many are in use.
    pub(super) used_bytes: u64,
}

impl PackUse {
    /// About how many of its bytes nothing needs.
    pub(super) fn waste(&self) -> u64 {
        self.bytes - self.needed()
    }

    fn needed(&self) -> u64 {
        let share = u128::from(self.bytes) * u128::from(self.used_bytes);
        // At most `bytes`, since what is used is part of what is there.
        share.checked_div(u128::from(self.plain_bytes)).map_or(0, |needed| needed as u64).min(self.bytes)
    }
}

/// The packs to delete, after what is in use was copied out of them: those of which nothing is in use, then the most wasteful until no more than
/// `waste_percent` of what stays is waste, then small ones if there are many.
pub(super) fn select(packs: &[PackUse], waste_percent: u8) -> Vec<PackUse> {
    let (unused, mut partly): (Vec<_>, Vec<_>) = packs.iter().copied().partition(|pack| pack.used_bytes == 0);
    let mut condemned = unused;
    // The largest share of waste first; names decide between equals, so that the choice can be told in advance.
    partly.sort_by(|a, b| {
        let (left, right) = (
            u128::from(a.waste()) * u128::from(b.bytes.max(1)),
            u128::from(b.waste()) * u128::from(a.bytes.max(1)),
        );
        right.cmp(&left).then(a.name.cmp(&b.name))
    });
    let needed: u64 = partly.iter().map(PackUse::needed).sum();
    let mut waste: u64 = partly.iter().map(PackUse::waste).sum();
    let mut kept = Vec::new();
    for pack in partly {
        if u128::from(waste) * 100 > u128::from(needed + waste) * u128::from(waste_percent) {
            waste -= pack.waste();
            condemned.push(pack);
        } else {
            kept.push(pack);
        }
    }
    for kind in BlobKind::ALL {
        let small = || kept.iter().filter(|pack| pack.kind == kind && pack.bytes < SMALL_BYTES);
        if small().count() >= SMALL_MAX {
            condemned.extend(small());
        }
    }
    condemned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(number: u8, bytes: u64, used_percent: u64) -> PackUse {
        PackUse {
            kind: BlobKind::Data,
            name: ObjectName([number; 16]),
            bytes,
            plain_bytes: 100,
            used_bytes: used_percent,
        }
    }

    fn names(packs: &[PackUse]) -> Vec<u8> {
        packs.iter().map(|pack| pack.name.0[0]).collect()
    }

    #[test]
    fn unused_packs_go_first_and_then_the_most_wasteful() {
        let large = PACK_BYTES as u64;
        let packs = [pack(1, large, 100), pack(2, large, 0), pack(3, large, 99), pack(4, large, 10)];
        assert_eq!(names(&select(&packs, 5)), [2, 4]);
        // Nothing may be wasted: the rest goes too, but never what is wholly in use.
        assert_eq!(names(&select(&packs, 0)), [2, 4, 3]);
        // Anything may be wasted: only what nothing needs.
        assert_eq!(names(&select(&packs, 100)), [2]);
    }

    #[test]
    fn small_packs_are_put_together_once_they_are_many() {
        let few: Vec<_> = (0..SMALL_MAX as u8 - 1).map(|number| pack(number, 1000, 100)).collect();
        assert!(select(&few, 5).is_empty());
        let many: Vec<_> = (0..SMALL_MAX as u8).map(|number| pack(number, 1000, 100)).collect();
        assert_eq!(select(&many, 5).len(), SMALL_MAX);
    }

    #[test]
    fn a_pack_that_no_segment_names_is_waste() {
        let unnamed = PackUse { plain_bytes: 0, ..pack(7, 500, 0) };
        assert_eq!(unnamed.waste(), 500);
        assert_eq!(names(&select(&[unnamed], 5)), [7]);
    }
}
