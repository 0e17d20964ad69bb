//! A folder as a store that counts what it is asked and takes its time.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use larder::store::Store;
use larder_sdk::{Bytes, Capabilities, Error, ErrorKind, ObjectInfo, ObjectKey, Result, Time};

/// Entries in a page of a listing.
const PAGE_ENTRIES: usize = 1000;

/// What was asked.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// By what is done and the folder: requests.
    requests: Mutex<BTreeMap<(&'static str, String), u64>>,
    read_bytes: AtomicU64,
}

impl Counts {
    pub(crate) fn requests(&self) -> u64 {
        self.table().values().sum()
    }
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
    }
    /// Requests of each sort.
    pub(crate) fn table(&self) -> BTreeMap<(&'static str, String), u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn count(&self, what: &'static str, key: &str) {
        let parts = if key.starts_with("live/") || key.starts_with("index/") { 2 } else { 1 };
        let folder = key.split('/').take(parts).collect::<Vec<_>>().join("/");
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((what, folder)).or_default() += 1;
    }
}

/// Objects as files. Writes are not synced: it is not the disk that is measured.
pub(crate) struct FolderStore {
    pub(crate) folder: PathBuf,
    /// What every request takes beside its work.
    pub(crate) delay: Duration,
    pub(crate) counts: Arc<Counts>,
}

impl FolderStore {
    fn request(&self, what: &'static str, key: &str) {
        self.counts.count(what, key);
        thread::sleep(self.delay);
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.folder.join(key.as_str())
    }

    fn read(&self, bytes: Vec<u8>) -> Bytes {
        self.counts.read_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        bytes.into()
    }
}

fn failed(key: &ObjectKey, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::UnexpectedEof => ErrorKind::CorruptItem,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("`{key}`")).with_source(error)
}

fn info(metadata: &fs::Metadata) -> ObjectInfo {
    let seconds = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = seconds.map(|since| Time::from_seconds(since.as_secs().cast_signed()));
    ObjectInfo { size: metadata.len(), modified }
}

impl Store for FolderStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: self.folder.display().to_string(),
            put_if_absent: true,
            list_after_put: true,
            ranges: true,
            object_bytes_max: None,
            concurrency: 8,
        }
    }

    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.request("put", key.as_str());
        let path = self.path(key);
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
            let unfinished = path.with_extension("new");
            fs::write(&unfinished, &data)?;
            fs::rename(&unfinished, &path)
        };
        write().map_err(|error| failed(key, error))
    }

    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        if self.path(key).exists() {
            self.request("put", key.as_str());
            return Err(Error::new(ErrorKind::AlreadyExists, format!("`{key}` is there already")));
        }
        self.put(key, data)
    }

    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.request("get", key.as_str());
        fs::read(self.path(key)).map(|bytes| self.read(bytes)).map_err(|error| failed(key, error))
    }

    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        self.request("get range", key.as_str());
        let read = || {
            let file = fs::File::open(self.path(key))?;
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes)
        };
        read().map(|bytes| self.read(bytes)).map_err(|error| failed(key, error))
    }

    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.request("head", key.as_str());
        fs::metadata(self.path(key)).map(|found| info(&found)).map_err(|error| failed(key, error))
    }

    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        let mut objects = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            self.request("list", &folder);
            let Ok(entries) = fs::read_dir(self.folder.join(&folder)) else { continue };
            let mut entries_in = 0;
            for entry in entries.flatten() {
                entries_in += 1;
                if entries_in % PAGE_ENTRIES == 0 {
                    self.request("list", &folder);
                }
                let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => folders.push(name),
                    Ok(metadata) => objects.push((ObjectKey::new(name)?, info(&metadata))),
                    Err(_) => {}
                }
            }
        }
        Ok(objects)
    }

    fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.request("delete", key.as_str());
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(key, error)),
            _ => Ok(()),
        }
    }
}
