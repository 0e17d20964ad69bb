//! `file://`: objects as files of a folder, durable when a put returns.
//!
//! An object is written under a passing name in the folder `~tmp`, flushed, given its own name in one step, and then its folder is
//! flushed. `~` stands in no object's name, so nothing passing is ever taken for an object. The whole store must lie in one file
//! system.

mod folder;

use std::{io, ops::Range, path::PathBuf, sync::Arc};

use larder_sdk::{
    Bytes, Capabilities, Destination, Error, ErrorKind, ListPage, ObjectInfo, ObjectKey, Result, async_trait,
};

use crate::names;
use folder::{Folder, Mode};

/// A folder of this machine.
pub(crate) struct LocalStore {
    folder: Arc<Folder>,
    place: Arc<str>,
}

impl LocalStore {
    /// Names a folder. It is made by the first put.
    pub(crate) fn open(root: PathBuf, place: String) -> Self {
        Self { folder: Arc::new(Folder::new(root)), place: place.into() }
    }

    /// Runs file work on a thread that may block, and puts what fails into words.
    async fn aside<T: Send + 'static>(
        &self,
        doing: &'static str,
        name: &str,
        work: impl FnOnce(&Folder) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = Arc::clone(&self.folder);
        let done = tokio::task::spawn_blocking(move || work(&folder)).await;
        let done = done.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        done.map_err(|error| explain(error, doing, name, &self.place))
    }

    async fn write(&self, key: &ObjectKey, data: Bytes, mode: Mode) -> Result<()> {
        let name = key.clone();
        self.aside("writing", key.as_str(), move |folder| folder.put(&name, &data, mode)).await
    }
}

#[async_trait]
impl Destination for LocalStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: self.place.to_string(),
            put_if_absent: true,
            list_after_put: true,
            ranges: true,
            object_bytes_max: None,
            concurrency: 8,
        }
    }

    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.write(key, data, Mode::Replace).await
    }

    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.write(key, data, Mode::Create).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        let name = key.clone();
        self.aside("reading", key.as_str(), move |folder| folder.get(&name)).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        names::check_order(&range)?;
        let name = key.clone();
        self.aside("reading a part of", key.as_str(), move |folder| folder.get_range(&name, &range)).await
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let name = key.clone();
        self.aside("looking for", key.as_str(), move |folder| folder.head(&name)).await
    }

    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        names::check_folder(folder)?;
        let name = folder.to_owned();
        self.aside("listing", folder, move |folder| folder.list(&name, token.as_deref())).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let name = key.clone();
        self.aside("deleting", key.as_str(), move |folder| folder.delete(&name)).await
    }
}

/// An error of the file system in words.
fn explain(error: io::Error, doing: &str, name: &str, place: &str) -> Error {
    let subject = if name.is_empty() { place.to_owned() } else { format!("`{name}` in {place}") };
    let (kind, code, hint) = class(&error);
    let why = match kind {
        ErrorKind::NotFound => "it is not there".to_owned(),
        ErrorKind::AlreadyExists => "it is there already".to_owned(),
        _ => error.to_string(),
    };
    let words = Error::new(kind, format!("{doing} {subject}: {why}")).with_code(code).with_source(error);
    if hint.is_empty() { words } else { words.with_hint(hint) }
}

fn class(error: &io::Error) -> (ErrorKind, &'static str, &'static str) {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => (ErrorKind::NotFound, "store-missing", ""),
        Io::AlreadyExists => (ErrorKind::AlreadyExists, "store-exists", ""),
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => {
            (ErrorKind::Full, "store-full", "free room on that disk, or raise the quota")
        }
        Io::PermissionDenied => {
            (ErrorKind::Denied, "store-denied", "let this user read and write that folder and all in it")
        }
        Io::ReadOnlyFilesystem => {
            (ErrorKind::Denied, "store-read-only", "that file system is mounted read-only")
        }
        Io::NotADirectory | Io::IsADirectory | Io::DirectoryNotEmpty => (
            ErrorKind::Unsupported,
            "store-refused",
            "a file stands where a folder should be, or the other way round",
        ),
        Io::CrossesDevices => {
            (ErrorKind::Unsupported, "store-refused", "the whole repository must lie in one file system")
        }
        Io::InvalidData | Io::UnexpectedEof => (ErrorKind::CorruptItem, "store-range", ""),
        Io::Unsupported => (
            ErrorKind::Unsupported,
            "store-refused",
            "that file system can neither rename without replacing nor link",
        ),
        Io::Other => (ErrorKind::Bug, "store-bug", ""),
        _ => (ErrorKind::Unavailable, "store-unreachable", "is that disk or share in order?"),
    }
}

#[cfg(test)]
mod tests;
