//! Deterministic content: numbers, names, words and file bodies, all from a seed. A body is made as it is sent, at
//! any offset, so its size costs no memory.

mod body;
mod names;

use serde::{Deserialize, Serialize};

pub use body::{BodyError, BodyKind, BodyWriter, FileBody};
pub use names::{file_name, sentence, word};

/// How much a generated tenant holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// A few hundred items per service.
    #[default]
    Small,
    /// Ten times that.
    Medium,
}

impl Size {
    /// `small` items at [`Size::Small`], ten times as many at [`Size::Medium`].
    pub fn scale(self, small: usize) -> usize {
        match self {
            Self::Small => small,
            Self::Medium => small * 10,
        }
    }
}

/// A small generator of numbers (SplitMix64): the same seed, the same numbers, on every machine.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64 }
    }

    /// An index below `length`.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// One of `choices`, or none if there are none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.index(choices.len()))
    }

    /// True with this chance (0 to 1).
    pub fn chance(&mut self, chance: f64) -> bool {
        ((self.next_u64() >> 11) as f64) < chance * (1u64 << 53) as f64
    }

    /// A GUID in lower case, with the marks of a random one.
    pub fn guid(&mut self) -> String {
        let (high, low) = (self.next_u64(), self.next_u64());
        let (first, second, third) = (high >> 32, (high >> 16) & 0xFFFF, (high & 0x0FFF) | 0x4000);
        let (fourth, fifth) = ((low >> 48) & 0x3FFF | 0x8000, low & 0xFFFF_FFFF_FFFF);
        format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}")
    }

    /// A generator of its own for a part named `name`, so that a change in one part does not move the others.
    #[must_use]
    pub fn fork(&self, name: &str) -> Self {
        let digest = blake3::keyed_hash(blake3::hash(&self.state.to_le_bytes()).as_bytes(), name.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        Self::new(u64::from_le_bytes(first))
    }
}
