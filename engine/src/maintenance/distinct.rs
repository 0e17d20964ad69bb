//! Counts distinct things and their bytes in bounded memory: exactly while they are few, and by a fair sample once they are many.

use std::collections::HashMap;

/// Most things remembered. With more, only every second, fourth … is, by its id, which is as good as random.
const REMEMBERED_MAX: usize = 1 << 19;

/// Distinct things, each with its bytes and the first snapshot that has it.
#[derive(Default)]
pub(super) struct Distinct {
    seen: HashMap<u64, (u32, u32)>,
    /// Of 2 to this power things, one is remembered.
    halvings: u32,
    most: Option<usize>,
}

impl Distinct {
    /// Notes a thing: its id, evenly distributed, its bytes, and a snapshot that has it.
    pub(super) fn add(&mut self, id: u64, bytes: u32, snapshot: u32) {
        if !self.is_sampled(id) {
            return;
        }
        let (_, first) = self.seen.entry(id).or_insert((bytes, snapshot));
        *first = snapshot.min(*first);
        while self.seen.len() > self.most.unwrap_or(REMEMBERED_MAX) {
            self.halvings += 1;
            let halvings = self.halvings;
            self.seen.retain(|id, _| id.leading_zeros() >= halvings);
        }
    }

    fn is_sampled(&self, id: u64) -> bool {
        id.leading_zeros() >= self.halvings
    }

    /// True if nothing was left out.
    pub(super) fn is_exact(&self) -> bool {
        self.halvings == 0
    }

    /// All bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.scaled(self.seen.values().map(|(bytes, _)| u64::from(*bytes)).sum())
    }

    /// For each snapshot, the bytes that it is the first to have.
    pub(super) fn first_bytes(&self, snapshots: usize) -> Vec<u64> {
        let mut sums = vec![0_u64; snapshots];
        for (bytes, first) in self.seen.values() {
            if let Some(sum) = sums.get_mut(*first as usize) {
                *sum += u64::from(*bytes);
            }
        }
        sums.into_iter().map(|sum| self.scaled(sum)).collect()
    }

    fn scaled(&self, sum: u64) -> u64 {
        u64::try_from(u128::from(sum) << self.halvings.min(64)).unwrap_or(u64::MAX)
    }
}

/// Mixes two halves of an id into one that is evenly distributed.
pub(super) fn mixed(a: u64, b: u64) -> u64 {
    let mut mixed = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2 {
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_exactly() {
        let mut distinct = Distinct::default();
        for round in [1, 0, 2] {
            (0..1000).for_each(|n| distinct.add(mixed(n, 0), 10, round));
        }
        distinct.add(u64::MAX, 5, 2);
        assert!(distinct.is_exact());
        assert_eq!(distinct.bytes(), 10_005);
        assert_eq!(distinct.first_bytes(3), [10_000, 0, 5]);
    }

    #[test]
    fn many_are_estimated_well_in_little_memory() {
        let mut distinct = Distinct { most: Some(10_000), ..Distinct::default() };
        for round in 0..2 {
            (0..1_000_000).for_each(|n| distinct.add(mixed(n, 7), 100 + n as u32 % 100, round));
        }
        assert!(!distinct.is_exact() && distinct.seen.len() <= 10_000);
        let off = distinct.bytes().abs_diff(149_500_000);
        assert!(off < 149_500_000 / 20, "off by {off}");
        assert_eq!(distinct.first_bytes(2)[1], 0);
    }
}
