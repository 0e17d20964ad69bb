//! A node: its entries and its bytes.

use larder_sdk::{Error, ErrorKind, Result};

use crate::hash::BlobId;

/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 20 << 10;
/// Longest value in a leaf in bytes: larger records go to blobs of their own.
pub const VALUE_BYTES_MAX: usize = 4 << 10;

const VERSION: u8 = 1;
/// A node ends once it has this many bytes.
pub(super) const NODE_BYTES: usize = 48 << 10;
/// And at this many entries.
pub(super) const NODE_ENTRIES_MAX: usize = 512;
/// But never before it has this many, so that a tree always gets narrower upwards.
pub(super) const NODE_ENTRIES_MIN: usize = 4;
/// One entry in this many ends a node.
pub(super) const NODE_ENTRIES_MEAN: u32 = 64;
/// Most bytes a stored node may have.
const ENCODED_BYTES_MAX: usize = NODE_BYTES + KEY_BYTES_MAX + VALUE_BYTES_MAX + 1024;

/// A child of an inner node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its blob.
    pub id: BlobId,
    /// Leaf entries below it.
    pub entries: u64,
}

/// A node's entries, in ascending order of keys. An inner node's keys are the last keys below each child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Keys and values.
    Leaf(Vec<(Vec<u8>, Vec<u8>)>),
    /// Level (1 or more), last keys and children.
    Inner(u8, Vec<(Vec<u8>, Child)>),
}

impl Node {
    /// Its level.
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner(level, _) => *level,
        }
    }

    /// The bytes as stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.level()];
        let mut before: &[u8] = &[];
        match self {
            Self::Leaf(entries) => {
                put_varint(&mut bytes, entries.len() as u64);
                for (key, value) in entries {
                    put_key(&mut bytes, before, key);
                    put_varint(&mut bytes, value.len() as u64);
                    bytes.extend_from_slice(value);
                    before = key;
                }
            }
            Self::Inner(_, children) => {
                put_varint(&mut bytes, children.len() as u64);
                for (key, child) in children {
                    put_key(&mut bytes, before, key);
                    bytes.extend_from_slice(&child.id.0);
                    put_varint(&mut bytes, child.entries);
                    before = key;
                }
            }
        }
        bytes
    }

    /// Reads a node's bytes; everything about them is checked.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes).ok_or_else(|| Error::new(ErrorKind::CorruptItem, "a tree node does not decode"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > ENCODED_BYTES_MAX {
            return None;
        }
        let (&[version, level], mut rest) = bytes.split_first_chunk::<2>()?;
        let count = take_varint(&mut rest)? as usize;
        if version != VERSION || count == 0 || count > NODE_ENTRIES_MAX {
            return None;
        }
        let mut before = Vec::new();
        let node = if level == 0 {
            let mut entries = Vec::with_capacity(count);
            for _ in 0..count {
                let key = take_key(&mut rest, &before)?;
                let length = take_varint(&mut rest)? as usize;
                let value = take(&mut rest, length)?.to_vec();
                before.clone_from(&key);
                entries.push((key, value));
            }
            Self::Leaf(entries)
        } else {
            let mut children = Vec::with_capacity(count);
            for _ in 0..count {
                let key = take_key(&mut rest, &before)?;
                let mut id = [0; 32];
                id.copy_from_slice(take(&mut rest, 32)?);
                let entries = take_varint(&mut rest)?;
                before.clone_from(&key);
                children.push((key, Child { id: BlobId(id), entries }));
            }
            Self::Inner(level, children)
        };
        rest.is_empty().then_some(node)
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_key(bytes: &mut Vec<u8>, before: &[u8], key: &[u8]) {
    let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    put_varint(bytes, shared as u64);
    put_varint(bytes, (key.len() - shared) as u64);
    bytes.extend_from_slice(&key[shared..]);
}

fn take<'bytes>(rest: &mut &'bytes [u8], length: usize) -> Option<&'bytes [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Reads a key, which must come after the one before.
fn take_key(rest: &mut &[u8], before: &[u8]) -> Option<Vec<u8>> {
    let shared = take_varint(rest)? as usize;
    let length = take_varint(rest)? as usize;
    let own = take(rest, length)?;
    let mut key = before.get(..shared)?.to_vec();
    key.extend_from_slice(own);
    (key.len() <= KEY_BYTES_MAX && (before.is_empty() || *key > *before)).then_some(key)
}
