//! What a destination implements: a place for opaque objects.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result, Time};

/// A place for opaque objects. Methods may be called at the same time, and any of them may be called again after an error.
///
/// An object is written whole or not at all; readers never see half of one. Transient trouble (the network, a busy server) is
/// retried inside, within a bound; what comes out is meant. Missing objects are [`ErrorKind::NotFound`], a full store is
/// [`ErrorKind::Full`], a refused write is [`ErrorKind::Denied`], an unreachable store is [`ErrorKind::Unavailable`].
#[async_trait]
pub trait Destination: Send + Sync + 'static {
    /// What this store can do. No request is made.
    fn capabilities(&self) -> Capabilities;

    /// Writes an object, replacing any of that name. Durable when it returns.
    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()>;

    /// Writes an object unless one of that name is there: then [`ErrorKind::AlreadyExists`], and nothing is changed. After a
    /// lost answer and a retry it may report `AlreadyExists` for its own write: callers settle that by reading back.
    ///
    /// Where [`Capabilities::put_if_absent`] is false this is a look followed by a put, and two writers may both succeed.
    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()>;

    /// Reads a whole object of at most [`crate::limits::OBJECT_BYTES_MAX`] bytes.
    async fn get(&self, key: &ObjectKey) -> Result<Bytes>;

    /// Reads a range of an object. A range past the end is an error of kind [`ErrorKind::CorruptItem`], never a short answer.
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes>;

    /// An object's size and time.
    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo>;

    /// One page of a folder's listing: the objects and folders directly in `folder` (empty for the top), at most
    /// [`crate::limits::LIST_PAGE_MAX`]. `token` is what the page before returned; `None` for the first. A missing folder is empty.
    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage>;

    /// Removes an object. A missing object is no error.
    async fn delete(&self, key: &ObjectKey) -> Result<()>;
}

/// What a store can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Where it is, for people, without secrets.
    pub location: String,
    /// `put_if_absent` is atomic.
    pub put_if_absent: bool,
    /// A listing shows every object whose put has returned.
    pub list_after_put: bool,
    /// Ranges are read as ranges, not cut from a whole download.
    pub ranges: bool,
    /// Largest object in bytes, if there is a limit under [`crate::limits::OBJECT_BYTES_MAX`].
    pub object_bytes_max: Option<u64>,
    /// How many calls at once make sense.
    pub concurrency: u32,
}

/// A checked object name: parts of letters, digits, `.`, `-` and `_`, joined by `/`; no part is empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Longest name in bytes.
    pub const BYTES_MAX: usize = 512;

    /// Checks a name.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let part_ok = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        if text.len() <= Self::BYTES_MAX && text.split('/').all(part_ok) {
            Ok(Self(text))
        } else {
            Err(Error::new(ErrorKind::Bug, format!("`{}` is no object name", text.escape_debug())))
        }
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.0
    }
}

/// An object's outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// Size in bytes.
    pub size: u64,
    /// When it was written, by the store's own clock.
    pub modified: Option<Time>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// The objects directly in the folder.
    pub objects: Vec<(ObjectKey, ObjectInfo)>,
    /// The folders directly in the folder: full names without a trailing `/`.
    pub folders: Vec<String>,
    /// What to ask for next; `None` at the end.
    pub next: Option<String>,
}
