//! The store as the engine sees it: a destination with blocking calls, and decorators over it.

use std::ops::Range;

use bytes::Bytes;
use larder_sdk::{Capabilities, ObjectInfo, ObjectKey, Result};

/// A place for objects. The contract is [`larder_sdk::Destination`]'s; calls block and may be made from many threads at once.
pub trait Store: Send + Sync {
    /// What the store can do. No request is made.
    fn capabilities(&self) -> Capabilities;
    /// Writes an object; durable when it returns.
    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()>;
    /// Writes an object unless it is there.
    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()>;
    /// Reads a whole object.
    fn get(&self, key: &ObjectKey) -> Result<Bytes>;
    /// Reads a range; never short.
    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes>;
    /// An object's size and time.
    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo>;
    /// Every object below a folder, all pages, folders within included, in no order.
    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>>;
    /// Removes an object; a missing one is no error.
    fn delete(&self, key: &ObjectKey) -> Result<()>;

    /// Says which ranges will be read soon. A store that keeps what it reads fetches those it lacks, together where they lie close; any
    /// other does nothing. What cannot be had is found out when it is read.
    fn prefetch(&self, _ranges: &[(ObjectKey, Range<u64>)]) {}
}

mod cached;
pub use cached::CachedStore;

#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
pub(crate) mod memory;
