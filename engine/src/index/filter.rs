//! A filter that answers "not stored": a Bloom filter whose seven bits for a blob lie within 64 bytes, so that a look costs one miss of
//! the processor's cache. Of blobs that are not stored, about one in eighty is taken as "perhaps", which costs one read of a block.

use crate::hash::ShortId;

/// Bits for a blob.
const BITS_PER_BLOB: u64 = 10;
/// Bytes within which all bits of a blob lie.
const LINE_BYTES: usize = 64;
/// Bits set for a blob; nine bits of the id choose each.
const BITS_SET: u32 = 7;

/// Which blobs may be stored. The ids are keyed hashes, so their own bits are as good as random.
#[derive(Debug)]
pub struct Filter(Vec<u8>);

impl Filter {
    /// For about this many blobs.
    pub fn for_blobs(blobs: u64) -> Self {
        let lines = (blobs * BITS_PER_BLOB).div_ceil(8 * LINE_BYTES as u64).max(1);
        Self(vec![0; lines as usize * LINE_BYTES])
    }

    /// Reads its bytes; `None` if there are none, or not whole lines.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(LINE_BYTES)).then_some(Self(bytes))
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a blob.
    pub fn insert(&mut self, id: &ShortId) {
        let (line, bits) = self.place(id);
        for bit in bits {
            self.0[line + bit / 8] |= 1 << (bit % 8);
        }
    }

    /// False if the blob was never added.
    pub fn may_hold(&self, id: &ShortId) -> bool {
        let (line, mut bits) = self.place(id);
        bits.all(|bit| self.0[line + bit / 8] & (1 << (bit % 8)) != 0)
    }

    /// The line comes from the id's first half, the bits from its second. In sorted order lines follow one another.
    fn place(&self, id: &ShortId) -> (usize, impl Iterator<Item = usize> + use<>) {
        let number = u128::from_be_bytes(id.0);
        let lines = (self.0.len() / LINE_BYTES) as u128;
        let line = ((number >> 64) * lines) >> 64;
        let low = number as u64;
        (line as usize * LINE_BYTES, (0..BITS_SET).map(move |place| (low >> (9 * place)) as usize & 511))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ShortId {
        crate::hash::BlobId(*blake3::hash(&number.to_le_bytes()).as_bytes()).short()
    }

    #[test]
    fn what_was_added_is_found_and_little_else() {
        let mut filter = Filter::for_blobs(20_000);
        (0..20_000).for_each(|number| filter.insert(&id(number)));
        assert!((0..20_000).all(|number| filter.may_hold(&id(number))));
        let perhaps = (20_000..40_000).filter(|number| filter.may_hold(&id(*number))).count();
        assert!(perhaps < 20_000 / 50, "{perhaps} of 20,000 taken for stored");
    }

    #[test]
    fn its_bytes_make_it_again() {
        let mut filter = Filter::for_blobs(3);
        filter.insert(&id(1));
        let again = Filter::from_bytes(filter.as_bytes().to_vec()).unwrap();
        assert!(again.may_hold(&id(1)) && !again.may_hold(&id(2)));
        assert!(Filter::from_bytes(Vec::new()).is_none());
        assert!(Filter::from_bytes(vec![0; 65]).is_none());
    }
}
