//! Writes items into a directory. Blocking; one target may be used by many threads.
//!
//! Nothing is ever written outside the directory: every step goes from a folder held open to one name in it, never through a
//! symbolic link ([`places`]), and a name that could lead elsewhere, or that no file system holds, is escaped ([`name`]). A
//! link that stands where a folder should be is replaced or refused, as [`Overwrite`] says.
//!
//! Files are written without a name, or under a temporary one, and then take their own, so that what was there stays whole until it is
//! replaced. In a folder that this restore made there is nothing to replace, and a file is written under its own name at once; what a
//! killed restore leaves of it has another time, by which the next one knows that it must write it again. With
//! [`Overwrite::Never`], which would keep such a piece, that is not done. Folders get owner, mode and time at the end ([`DirectoryTarget::finish`]). What has to be remembered until
//! then, folders and the names of files with several, lies in a nameless file in the target, so that memory is bounded.

mod attributes;
mod container;
mod error;
mod existing;
mod folders;
mod layout;
mod links;
mod name;
mod places;
mod scratch;
mod shared;
mod special;
mod temporary;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_sdk::Name;

use self::shared::Shared;
pub use self::{
    container::ContainerTarget,
    error::{RestoreError, RestoreErrorKind, Result},
    writer::{FilePlan, FileWriter},
};
pub use super::Overwrite;
pub(crate) use layout::member_path;

/// How a target is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DirectoryOptions {
    /// What becomes of what is there already.
    pub overwrite: Overwrite,
    /// Whether owners are restored; if not said, they are if the process runs as root.
    pub owners: Option<bool>,
}

impl DirectoryOptions {
    /// Says what becomes of what is there already.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: Overwrite) -> Self {
        self.overwrite = overwrite;
        self
    }
    /// Says whether owners are restored.
    #[must_use]
    pub fn with_owners(mut self, owners: bool) -> Self {
        self.owners = Some(owners);
        self
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Written,
    /// It is, or will be once the file's first name is written, another name of a file restored in this run.
    Linked,
    /// What was there stays.
    Kept,
}

/// A file to be written, or what became of it at once.
pub enum FileTarget {
    /// Begin it, write the stream's bytes and finish.
    Write(FilePlan),
    /// The stream need not be read.
    Done(Outcome),
}

/// What [`DirectoryTarget::finish`] tells.
#[derive(Debug, Default)]
pub struct Finished {
    /// How many folders got their owner, mode and time.
    pub folders: u64,
    /// What failed and was not told to a caller, at most 1000: folders' attributes, names whose file could not be written.
    pub problems: Vec<RestoreError>,
    /// How many problems are not among them.
    pub problems_more: u64,
    /// Names that could not stand as they are, at most 1000, and the paths they got.
    pub renamed: Vec<(Name, PathBuf)>,
    /// How many such names are not among them.
    pub renamed_more: u64,
}

/// A directory that items are restored to.
pub struct DirectoryTarget {
    shared: Arc<Shared>,
}

impl DirectoryTarget {
    /// Makes the directory if it is missing.
    pub fn create(root: &Path, options: &DirectoryOptions) -> Result<Self> {
        Shared::new(root, options).map(|shared| Self { shared: Arc::new(shared) })
    }

    /// The target of one container's items.
    pub fn container(&self) -> ContainerTarget {
        ContainerTarget::new(Arc::clone(&self.shared))
    }

    /// Gives the folders their owner, mode and time, deepest first. Call it when all writers are done.
    pub fn finish(self) -> Finished {
        self.shared.finish()
    }
}
