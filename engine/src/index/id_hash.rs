//! Hash tables keyed by ids and random names: these are evenly spread already, so their own bytes are the hash.

use std::hash::{BuildHasherDefault, Hasher};

/// For tables keyed by ids or object names, and by nothing that an outsider chooses.
pub type IdHash = BuildHasherDefault<IdHasher>;

/// Takes the first eight bytes of what is hashed; numbers beside them are mixed in.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        let length = bytes.len().min(8);
        first[..length].copy_from_slice(&bytes[..length]);
        self.0 ^= u64::from_le_bytes(first);
    }
    fn write_u32(&mut self, number: u32) {
        self.0 ^= u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }
    /// Lengths of arrays are the same for all keys of a table.
    fn write_usize(&mut self, _: usize) {}
}
