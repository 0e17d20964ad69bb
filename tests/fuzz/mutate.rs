//! Changes to valid bytes: those that find most in decoders of lengths, counts and variants.

/// Numbers that follow from a text and a round, so that every case can be had again.
pub(crate) struct Random(blake3::OutputReader);

impl Random {
    /// The numbers of one case.
    pub(crate) fn new(name: &str, round: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(name.as_bytes()).update(&round.to_le_bytes());
        Self(hasher.finalize_xof())
    }

    fn next(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Below `limit`; 0 if that is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.next() % limit as u64) as usize }
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 14] = [0, 1, 2, 3, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, b'/', b'-'];
        if self.below(2) == 0 { TELLING[self.below(TELLING.len())] } else { self.below(256) as u8 }
    }
}

/// Longest input that grows by mutation, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// Longest run of one byte that is put in: deep enough nesting to use up a stack that has no bound.
const RUN_BYTES: usize = 200_000;

/// Some bytes after one to eight changes.
pub(crate) fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(8) {
        change(&mut bytes, seeds, random);
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = at + random.below(bytes.len().saturating_sub(at).min(64));
    match random.below(10) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => bytes[at] = random.byte(),
        2 => bytes.insert(at, random.byte()),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
        5 => bytes.truncate(at),
        // A length or a count that is too large, in each form that a varint has.
        6 => {
            let width = [0_u8, 2, 4, 8][random.below(4)];
            let mut number = vec![random.byte(); usize::from(width)];
            if width > 0 {
                number.insert(0, 250 + width.ilog2() as u8);
            }
            drop(bytes.splice(at..end.min(at + 1), number));
        }
        7 => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len());
            drop(bytes.splice(at..end, other[from..].iter().copied().take(64)));
        }
        8 if random.below(32) == 0 => {
            let byte = random.byte();
            drop(bytes.splice(at..at, std::iter::repeat_n(byte, RUN_BYTES)));
        }
        _ => bytes.push(random.byte()),
    }
}
