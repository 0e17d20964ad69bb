//! A folder as a store that counts what it is asked and takes its time.

use std::{
    fs, io,
    ops::Range,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{
        Arc,
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
    requests: AtomicU64,
    read_bytes: AtomicU64,
}

impl Counts {
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Ordering::Relaxed)
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
    fn request(&self) {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
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
        self.request();
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
            self.request();
            return Err(Error::new(ErrorKind::AlreadyExists, format!("`{key}` is there already")));
        }
        self.put(key, data)
    }

    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.request();
        fs::read(self.path(key)).map(|bytes| self.read(bytes)).map_err(|error| failed(key, error))
    }

    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        self.request();
        let read = || {
            let file = fs::File::open(self.path(key))?;
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok(bytes)
        };
        read().map(|bytes| self.read(bytes)).map_err(|error| failed(key, error))
    }

    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.request();
        fs::metadata(self.path(key)).map(|found| info(&found)).map_err(|error| failed(key, error))
    }

    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        let mut objects = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            self.request();
            let Ok(entries) = fs::read_dir(self.folder.join(&folder)) else { continue };
            let mut entries_in = 0;
            for entry in entries.flatten() {
                entries_in += 1;
                if entries_in % PAGE_ENTRIES == 0 {
                    self.request();
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
        self.request();
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(key, error)),
            _ => Ok(()),
        }
    }
}
