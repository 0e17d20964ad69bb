//! What can go wrong with one entry of a target directory.

use std::{fmt, io, path::PathBuf};

use rustix::io::Errno;

/// A result with [`RestoreError`].
pub type Result<T> = std::result::Result<T, RestoreError>;

/// What went wrong, by what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreErrorKind {
    /// The file system or a quota is full. Nothing more will fit.
    Full,
    /// Not allowed: rights, or a file system that is read only.
    Denied,
    /// Something else stands under this name and may not, or cannot, be replaced.
    InTheWay,
    /// The file system cannot hold this: a special file, a long target, a size.
    Unsupported,
    /// The entry is there with its content, but not with its owner, mode or time.
    Attributes,
    /// Anything else that the system reports.
    Io,
}

/// What failed, on which path of the target, and why.
#[derive(Debug)]
pub struct RestoreError {
    kind: RestoreErrorKind,
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl RestoreError {
    pub(super) fn new(doing: &'static str, path: PathBuf, errno: Errno) -> Self {
        let kind = match errno {
            Errno::NOSPC | Errno::DQUOT => RestoreErrorKind::Full,
            Errno::ACCESS | Errno::PERM | Errno::ROFS => RestoreErrorKind::Denied,
            Errno::EXIST | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::NOTEMPTY => {
                RestoreErrorKind::InTheWay
            }
            Errno::INVAL
            | Errno::OPNOTSUPP
            | Errno::NAMETOOLONG
            | Errno::FBIG
            | Errno::MLINK
            | Errno::NODEV => RestoreErrorKind::Unsupported,
            _ => RestoreErrorKind::Io,
        };
        Self { kind, doing, path, source: errno.into() }
    }

    /// The same error, where only owner, mode or time are concerned.
    pub(super) fn of_attributes(mut self) -> Self {
        if self.kind != RestoreErrorKind::Full {
            self.kind = RestoreErrorKind::Attributes;
        }
        self
    }

    /// The class.
    pub fn kind(&self) -> RestoreErrorKind {
        self.kind
    }

    /// The whole path, as it stands in the target.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In quotes, with control characters escaped: the names come from whoever was backed up.
        write!(f, "{} {:?}: {}", self.doing, self.path.to_string_lossy(), self.source)
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
