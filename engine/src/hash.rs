//! Names of things by their bytes: blob ids, object names, digests.

use std::fmt;

use larder_sdk::{Error, Result};
use serde::{Deserialize, Serialize};

/// Defines a fixed-size id that prints as hexadecimal digits.
macro_rules! fixed_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; $length]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

fixed_id!(
    /// A blob's whole id: the keyed hash of the digest of its plain bytes.
    BlobId, 32);
fixed_id!(
    /// The first half of a blob's id, by which the index finds it.
    ShortId, 16);
fixed_id!(
    /// The unkeyed BLAKE3 of a stream's plain bytes.
    Digest, 32);
fixed_id!(
    /// An object's random name.
    ObjectName, 16);
fixed_id!(
    /// The repository's id.
    RepositoryId, 16);

impl BlobId {
    /// What the index knows it by.
    pub fn short(&self) -> ShortId {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        ShortId(short)
    }
}

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl ObjectName {
    /// A name never used before.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 32 || digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Fills a buffer with the system's random bytes.
pub fn fill_random(bytes: &mut [u8]) -> Result<()> {
    #[cfg(test)]
    if seeded::fill(bytes) {
        return Ok(());
    }
    getrandom::fill(bytes).map_err(|error| Error::bug("the system gives no random bytes").with_source(error))
}

/// Random bytes that a test can have again.
#[cfg(test)]
pub(crate) mod seeded {
    use std::cell::RefCell;

    thread_local! {
        static SOURCE: RefCell<Option<blake3::OutputReader>> = const { RefCell::new(None) };
    }

    /// From now on this thread's random bytes follow from a seed and the thread's part in the test.
    pub(crate) fn seed(seed: u64, part: u64) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&part.to_le_bytes());
        SOURCE.set(Some(hasher.finalize_xof()));
    }

    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        SOURCE.with_borrow_mut(|source| source.as_mut().map(|source| source.fill(bytes)).is_some())
    }
}
