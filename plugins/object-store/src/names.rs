//! What every store checks alike: folder names and ranges.

use std::ops::Range;

use larder_sdk::{Error, ErrorKind, ObjectKey, Result, limits};

/// A folder's name is empty or built like an object's.
pub(crate) fn check_folder(folder: &str) -> Result<()> {
    if folder.is_empty() { Ok(()) } else { ObjectKey::new(folder).map(drop) }
}

/// A range must run forwards and be no longer than an object may be.
pub(crate) fn check_order(range: &Range<u64>) -> Result<()> {
    if range.start <= range.end && range.end - range.start <= limits::OBJECT_BYTES_MAX {
        Ok(())
    } else {
        Err(Error::bug(format!("{}..{} is no range that can be read", range.start, range.end)))
    }
}

/// A range must also end inside its object.
pub(crate) fn check_range(key: &ObjectKey, range: &Range<u64>, size: u64, place: &str) -> Result<()> {
    check_order(range)?;
    if range.end <= size {
        return Ok(());
    }
    let Range { start, end } = range;
    let message = format!("reading bytes {start} to {end} of `{key}` in {place}: it has only {size}");
    Err(Error::new(ErrorKind::CorruptItem, message).with_code("store-range"))
}
