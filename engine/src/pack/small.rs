//! Small objects: a header and one sealed frame with one record in it.

use larder_sdk::{
    Error, ErrorKind, Result,
    codec::{self, Record},
};

use crate::{
    crypto::{HEADER_BYTES, Keys, OVERHEAD_BYTES, ObjectKind, ObjectSealer, padme},
    hash::{ObjectName, RepositoryId},
};

/// Seals one record as an object.
pub fn seal_small<R: Record>(
    keys: &Keys,
    repository: RepositoryId,
    kind: ObjectKind,
    name: ObjectName,
    record: &R,
) -> Result<Vec<u8>> {
    let sealer = ObjectSealer::create(keys, repository, kind, name)?;
    let mut frame = padded(&codec::encode(record)?, HEADER_BYTES + OVERHEAD_BYTES)?;
    sealer.seal(0, true, &mut frame)?;
    let mut object = sealer.header().as_bytes().to_vec();
    object.append(&mut frame);
    Ok(object)
}

/// Opens an object of one record.
pub fn open_small<R: Record>(
    keys: &Keys,
    repository: RepositoryId,
    kind: ObjectKind,
    name: ObjectName,
    object: &[u8],
) -> Result<R> {
    let what = || format!("{} {name}", kind.as_str());
    let sealer = ObjectSealer::open(keys, repository, kind, name, object)?;
    let mut frame = object[HEADER_BYTES..].to_vec();
    let plain = sealer.unseal(0, true, &mut frame).map_err(|error| error.context(what()))?;
    codec::decode(unpad(plain).map_err(|error| error.context(what()))?).map_err(|error| error.context(what()))
}

/// Length, bytes, then zeros so that these and `others` bytes together have a Padmé size.
pub(super) fn padded(bytes: &[u8], others: usize) -> Result<Vec<u8>> {
    let length = u32::try_from(bytes.len()).map_err(|_| Error::bug("a record is too large for an object"))?;
    let mut padded = Vec::with_capacity(4 + bytes.len());
    padded.extend_from_slice(&length.to_le_bytes());
    padded.extend_from_slice(bytes);
    padded.resize(padme((padded.len() + others) as u64) as usize - others, 0);
    Ok(padded)
}

/// Takes off what [`padded`] put around.
pub(super) fn unpad(plain: &[u8]) -> Result<&[u8]> {
    plain
        .split_first_chunk::<4>()
        .and_then(|(length, rest)| rest.get(..u32::from_le_bytes(*length) as usize))
        .ok_or_else(|| Error::new(ErrorKind::CorruptItem, "its length is impossible"))
}
