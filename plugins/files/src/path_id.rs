//! Item ids: the path below the root with byte 0 between its parts.
//!
//! Byte 0 sorts before every byte a name can hold. So ids in raw order are folders in the order of a walk that visits
//! each folder before what it holds and siblings by name: `a`, `a/x`, `a!`.

use larder_sdk::ItemId;

/// Longest id, in bytes: the longest path a system call takes, without the zero byte at its end.
pub(crate) const ID_BYTES_MAX: usize = 4095;
const SEPARATOR: u8 = 0;

/// The id of an entry of a folder. The root's id is empty.
pub(crate) fn child(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        return name.to_vec();
    }
    let mut id = Vec::with_capacity(folder.len() + 1 + name.len());
    id.extend_from_slice(folder);
    id.push(SEPARATOR);
    id.extend_from_slice(name);
    id
}

/// Splits an id into the folder's id and the name.
pub(crate) fn split(id: &[u8]) -> (&[u8], &[u8]) {
    match id.iter().rposition(|&byte| byte == SEPARATOR) {
        Some(at) => (&id[..at], &id[at + 1..]),
        None => (&[], id),
    }
}

/// The path below the root: `/` where the id has byte 0.
pub(crate) fn relative_path(id: &[u8]) -> Vec<u8> {
    id.iter().map(|&byte| if byte == SEPARATOR { b'/' } else { byte }).collect()
}

/// An id for an entry whose own is too long, to name it in a report. No file can have the path it stands for, so the
/// next run finds it gone, and reports the entry anew.
pub(crate) fn stand_in(mut id: Vec<u8>) -> ItemId {
    const DIGEST_CHARS: usize = 32;
    let digest = blake3::hash(&id).to_hex();
    id.truncate(ID_BYTES_MAX - DIGEST_CHARS);
    id.extend_from_slice(&digest.as_bytes()[..DIGEST_CHARS]);
    ItemId::new(id)
}
