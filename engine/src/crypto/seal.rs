//! Sealing of objects: a header with fresh random bytes, then frames under a key that is this object's alone.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use larder_sdk::{Error, ErrorKind, Result};

use super::{KeyRole, Keys};
use crate::hash::{ObjectName, RepositoryId, fill_random};

/// Bytes of an object's header.
pub const HEADER_BYTES: usize = 48;
/// Bytes that sealing adds to a frame.
pub const OVERHEAD_BYTES: usize = 16;

const MAGIC: &[u8; 6] = b"larder";
const FORMAT: u8 = 0;
const METHOD_KEYED_HASH: u8 = 1;

/// What an object is; the numbers stand in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// The repository's config.
    Config = 1,
    /// The note on a key slot; the slot itself is sealed by its password.
    KeySlot = 2,
    /// A pack of chunks.
    DataPack = 3,
    /// A pack of tree nodes and chunk lists.
    TreePack = 4,
    /// Where chunks lie.
    DataIndex = 5,
    /// Where tree blobs lie.
    TreeIndex = 6,
    /// A snapshot.
    Snapshot = 7,
    /// A writer's session.
    Session = 8,
    /// A checkpoint.
    Checkpoint = 9,
    /// What a prune means to delete.
    Mark = 10,
    /// A record of snapshots that were dropped.
    Removal = 11,
    /// How a session ended without a snapshot.
    End = 12,
}

impl ObjectKind {
    fn role(self) -> KeyRole {
        match self {
            Self::DataPack => KeyRole::Data,
            Self::TreePack => KeyRole::Trees,
            Self::DataIndex | Self::TreeIndex => KeyRole::Index,
            Self::Config
            | Self::KeySlot
            | Self::Snapshot
            | Self::Session
            | Self::Checkpoint
            | Self::Mark
            | Self::Removal
            | Self::End => KeyRole::Control,
        }
    }

    /// What people call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::KeySlot => "key slot",
            Self::DataPack => "data pack",
            Self::TreePack => "tree pack",
            Self::DataIndex => "data index segment",
            Self::TreeIndex => "tree index segment",
            Self::Snapshot => "snapshot",
            Self::Session => "session",
            Self::Checkpoint => "checkpoint",
            Self::Mark => "mark",
            Self::Removal => "removal record",
            Self::End => "end of a session",
        }
    }
}

/// True if an object's header says that it is of this kind. That is authenticated only when it is opened as such.
pub fn claims_kind(object: &[u8], kind: ObjectKind) -> bool {
    object.get(KIND_AT) == Some(&(kind as u8))
}

/// Where the kind stands in a header.
const KIND_AT: usize = 6;

/// An object's first bytes, in the clear.
#[derive(Clone, Debug)]
pub struct Header([u8; HEADER_BYTES]);

impl Header {
    /// The bytes as stored.
    pub fn as_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.0
    }
}

/// Seals or opens the frames of one object.
pub struct ObjectSealer {
    key: LessSafeKey,
    /// Header, repository, then room for n and the last flag, then the object's name.
    associated: Vec<u8>,
    header: Header,
}

/// Where n stands in the associated data.
const COUNTER_AT: usize = 16 + 16;

impl ObjectSealer {
    /// Starts a new object with fresh random bytes.
    pub fn create(keys: &Keys, repository: RepositoryId, kind: ObjectKind, name: ObjectName) -> Result<Self> {
        let mut header = [0; HEADER_BYTES];
        header[..6].copy_from_slice(MAGIC);
        header[KIND_AT] = kind as u8;
        header[7] = FORMAT;
        header[8..10].copy_from_slice(&keys.role(kind.role()).number.to_le_bytes());
        header[10] = METHOD_KEYED_HASH;
        fill_random(&mut header[16..])?;
        Self::with_header(keys, repository, kind, name, Header(header))
    }

    /// Opens a stored object by its first bytes.
    pub fn open(
        keys: &Keys,
        repository: RepositoryId,
        kind: ObjectKind,
        name: ObjectName,
        bytes: &[u8],
    ) -> Result<Self> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(damaged(kind, name, "it is too short for a header"));
        };
        let mut expected = [0; 16];
        expected[..6].copy_from_slice(MAGIC);
        expected[KIND_AT] = kind as u8;
        expected[7] = FORMAT;
        expected[8..10].copy_from_slice(&keys.role(kind.role()).number.to_le_bytes());
        expected[10] = METHOD_KEYED_HASH;
        if header[..16] != expected {
            return Err(damaged(kind, name, "its header is not one of this repository's format"));
        }
        Self::with_header(keys, repository, kind, name, Header(*header))
    }

    fn with_header(
        keys: &Keys,
        repository: RepositoryId,
        kind: ObjectKind,
        name: ObjectName,
        header: Header,
    ) -> Result<Self> {
        let key = blake3::keyed_hash(&keys.role(kind.role()).bytes, &header.0[16..]);
        let key = UnboundKey::new(&AES_256_GCM, key.as_bytes())
            .map_err(|_| Error::bug("an object's key has the wrong length"))?;
        let mut associated = Vec::with_capacity(COUNTER_AT + 9 + 16);
        associated.extend_from_slice(&header.0[..16]);
        associated.extend_from_slice(&repository.0);
        associated.extend_from_slice(&[0; 9]);
        associated.extend_from_slice(&name.0);
        Ok(Self { key: LessSafeKey::new(key), associated, header })
    }

    /// The header as stored.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Seals a frame in place; the tag is appended. Each n is used once.
    pub fn seal(&self, n: u64, last: bool, frame: &mut Vec<u8>) -> Result<()> {
        self.key
            .seal_in_place_append_tag(nonce(n), Aad::from(self.associated(n, last)), frame)
            .map_err(|_| Error::bug("a frame could not be sealed"))
    }

    /// Opens a frame in place and returns its plain bytes. Fails if a bit, the place, the name or the repository is another.
    pub fn unseal<'frame>(&self, n: u64, last: bool, frame: &'frame mut [u8]) -> Result<&'frame mut [u8]> {
        self.key.open_in_place(nonce(n), Aad::from(self.associated(n, last)), frame).map_err(|_| {
            Error::new(ErrorKind::CorruptItem, "a sealed frame does not open: its bytes were altered")
        })
    }

    fn associated(&self, n: u64, last: bool) -> Vec<u8> {
        let mut associated = self.associated.clone();
        associated[COUNTER_AT..COUNTER_AT + 8].copy_from_slice(&n.to_le_bytes());
        associated[COUNTER_AT + 8] = u8::from(last);
        associated
    }
}

fn nonce(n: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&n.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn damaged(kind: ObjectKind, name: ObjectName, why: &str) -> Error {
    Error::new(ErrorKind::CorruptItem, format!("{} {name} is damaged: {why}", kind.as_str()))
}

/// The next Padmé size: at most 12 % more, and sizes fall into few classes.
pub fn padme(size: u64) -> u64 {
    if size < 2 {
        return size;
    }
    let exponent = size.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1_u64 << exponent.saturating_sub(kept)) - 1;
    (size + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(keys: &Keys) -> ObjectSealer {
        ObjectSealer::create(keys, RepositoryId([1; 16]), ObjectKind::DataPack, ObjectName([2; 16])).unwrap()
    }

    #[test]
    fn a_frame_opens_only_in_its_own_place() {
        let keys = Keys::generate().unwrap();
        let sealer = sealer(&keys);
        let mut frame = b"plain".to_vec();
        sealer.seal(3, false, &mut frame).unwrap();
        assert_eq!(frame.len(), 5 + OVERHEAD_BYTES);
        let open = |sealer: &ObjectSealer, n, last| {
            sealer.unseal(n, last, &mut frame.clone()).map(|plain| plain.to_vec())
        };
        assert_eq!(open(&sealer, 3, false).unwrap(), b"plain");
        assert!(open(&sealer, 4, false).is_err());
        assert!(open(&sealer, 3, true).is_err());
        let header = sealer.header().as_bytes();
        for (repository, kind, name) in [
            (RepositoryId([9; 16]), ObjectKind::DataPack, ObjectName([2; 16])),
            (RepositoryId([1; 16]), ObjectKind::DataPack, ObjectName([9; 16])),
        ] {
            let other = ObjectSealer::open(&keys, repository, kind, name, header).unwrap();
            assert!(open(&other, 3, false).is_err());
        }
        assert!(
            ObjectSealer::open(
                &keys,
                RepositoryId([1; 16]),
                ObjectKind::TreePack,
                ObjectName([2; 16]),
                header
            )
            .is_err()
        );
    }

    #[test]
    fn padding_is_small_and_never_shrinks() {
        for size in (0..5_000).chain([1 << 20, (1 << 24) + 1, u64::from(u32::MAX)]) {
            let padded = padme(size);
            assert!(padded >= size && padded - size <= size / 8, "{size} → {padded}");
            assert_eq!(padme(padded), padded);
        }
    }
}
