//! The only user of bincode: messages across the boundary and records of the repository.
//!
//! bincode is positional, so every record and message stands in an envelope: kind (u16), version (u16), length (u32), all little-endian,
//! then exactly that version's struct in bincode's standard configuration (variable-length integers, little-endian). A released
//! struct never changes; a new field is a new version.

use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, ErrorKind, Result, limits::MESSAGE_BYTES_MAX};

/// Bytes before the struct in an envelope.
pub const ENVELOPE_BYTES: usize = 8;

/// Something that is stored or sent, with the numbers that tell it.
pub trait Record: Serialize + DeserializeOwned {
    /// What it is.
    const KIND: u16;
    /// Which version of it.
    const VERSION: u16;
}

/// Encodes a record with its envelope.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>> {
    let mut bytes = vec![0; ENVELOPE_BYTES];
    encode_into(record, &mut bytes)?;
    let length = u32::try_from(bytes.len() - ENVELOPE_BYTES)
        .map_err(|_| Error::bug(format!("a record of kind {} is too large", R::KIND)))?;
    bytes[0..2].copy_from_slice(&R::KIND.to_le_bytes());
    bytes[2..4].copy_from_slice(&R::VERSION.to_le_bytes());
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Decodes a record with its envelope; all bytes must belong to it.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R> {
    let (kind, version, body) = open_envelope(bytes)?;
    if kind != R::KIND || version != R::VERSION {
        return Err(corrupt(format!(
            "kind {kind} version {version} where kind {} version {} was expected",
            R::KIND,
            R::VERSION
        )));
    }
    decode_plain(body)
}

/// Splits an envelope into kind, version and struct. All bytes must belong to it.
pub fn open_envelope(bytes: &[u8]) -> Result<(u16, u16, &[u8])> {
    let Some((head, body)) = bytes.split_first_chunk::<ENVELOPE_BYTES>() else {
        return Err(corrupt(format!("{} bytes are too few for an envelope", bytes.len())));
    };
    let [k0, k1, v0, v1, l0, l1, l2, l3] = *head;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length != body.len() {
        return Err(corrupt(format!("an envelope announces {length} bytes and holds {}", body.len())));
    }
    Ok((u16::from_le_bytes([k0, k1]), u16::from_le_bytes([v0, v1]), body))
}

/// Encodes a value without an envelope, for the inside of something that has one.
pub fn encode_plain<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes)?;
    Ok(bytes)
}

/// Appends a value without an envelope.
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<()> {
    bincode::serde::encode_into_std_write(value, bytes, bincode::config::standard())
        .map(drop)
        .map_err(|error| Error::bug("a value could not be encoded").with_source(error))
}

/// Decodes a value without an envelope; all bytes must belong to it.
pub fn decode_plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let (value, used) = decode_prefix(bytes)?;
    if used != bytes.len() {
        return Err(corrupt(format!("{} bytes follow the end of a value", bytes.len() - used)));
    }
    Ok(value)
}

/// Decodes a value from the front and says how many bytes it took.
pub fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize)> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(corrupt(format!("{} bytes are more than a value may have", bytes.len())));
    }
    bincode::serde::decode_from_slice(bytes, bincode::config::standard().with_limit::<MESSAGE_BYTES_MAX>())
        .map_err(|error| corrupt("bytes that do not decode").with_source(error))
}

fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::CorruptItem, message)
}
