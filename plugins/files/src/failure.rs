//! The system's error numbers as the SDK's error classes.

use std::path::Path;

use larder_sdk::{Error, ErrorKind};
use rustix::io::Errno;

/// An error that says what was done to which path, with its class.
pub(crate) fn failed(errno: Errno, doing: &str, path: &Path) -> Error {
    Error::new(kind(errno), format!("{doing} {}: {errno}", quoted(path)))
        .with_source(std::io::Error::from(errno))
}

/// A path for messages: in quotes, with control characters escaped, whatever bytes it is made of.
pub(crate) fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

fn kind(errno: Errno) -> ErrorKind {
    match errno {
        Errno::ACCESS | Errno::PERM => ErrorKind::Denied,
        // A folder that became a file, or anything that became a symbolic link, is no longer what was listed.
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => ErrorKind::NotFound,
        Errno::IO => ErrorKind::CorruptItem,
        Errno::NAMETOOLONG | Errno::OPNOTSUPP | Errno::NXIO | Errno::OVERFLOW => ErrorKind::Unsupported,
        _ => ErrorKind::Unavailable,
    }
}

/// True if nothing is there, or can be there, under the path that was asked for.
pub(crate) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
}
