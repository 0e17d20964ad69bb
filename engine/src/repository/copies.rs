//! Copies of small objects that never change, in the local cache: snapshots and removal records. They are sealed as in the store and opened as from
//! there, and count only for what a listing shows with the same size and time.

use std::sync::Arc;

use bytes::Bytes;
use larder_sdk::ObjectInfo;

use super::layout;
use crate::{cache::Cache, hash::ObjectName};

/// Largest object that is kept, in bytes.
const OBJECT_BYTES_MAX: u64 = 8 << 20;
/// The cache's folder of them.
const FOLDER: &str = "records";

/// Keeps copies.
pub(super) struct Copies(Arc<Cache>);

impl Copies {
    pub(super) fn new(cache: Arc<Cache>) -> Self {
        Self(cache)
    }

    /// The copy of an object as it is listed.
    pub(super) fn read(&self, folder: &str, name: ObjectName, listed: &ObjectInfo) -> Option<Bytes> {
        let bytes = self.0.read(&path(folder, name, listed)?, OBJECT_BYTES_MAX)?;
        Some(bytes.into())
    }

    /// Keeps an object that was opened.
    pub(super) fn keep(&self, folder: &str, name: ObjectName, listed: &ObjectInfo, bytes: &Bytes) {
        if bytes.len() as u64 == listed.size
            && listed.size <= OBJECT_BYTES_MAX
            && let Some(path) = path(folder, name, listed)
        {
            self.0.write(&path, bytes);
        }
    }

    /// Removes the copies of objects of a folder that are not listed as they were.
    pub(super) fn retain(&self, folder: &str, listed: &[(ObjectName, ObjectInfo)]) {
        if !is_lasting(folder) {
            return;
        }
        let wanted: std::collections::HashSet<String> =
            listed.iter().filter_map(|(name, info)| file_name(*name, info)).collect();
        self.0.retain(&format!("{FOLDER}/{folder}"), |name| wanted.contains(name));
    }
}

/// What lies in it is never put again and stays for long.
fn is_lasting(folder: &str) -> bool {
    [layout::SNAPSHOTS, layout::REMOVED].contains(&folder)
}

/// Where a copy lies. None of what a store tells no time of: it might have been put again.
fn path(folder: &str, name: ObjectName, listed: &ObjectInfo) -> Option<String> {
    let file = file_name(name, listed).filter(|_| is_lasting(folder))?;
    Some(format!("{FOLDER}/{folder}/{file}"))
}

fn file_name(name: ObjectName, listed: &ObjectInfo) -> Option<String> {
    let modified = listed.modified?;
    Some(format!("{name}.{}-{}-{}", listed.size, modified.seconds, modified.nanos))
}

#[cfg(test)]
mod tests {
    use std::{
        ops::Range,
        path::PathBuf,
        sync::atomic::{AtomicI64, AtomicUsize, Ordering},
    };

    use larder_sdk::{Capabilities, ObjectKey, Result, Time};

    use super::*;
    use crate::{
        crypto::{Keys, ObjectKind},
        events::NoEvents,
        hash::RepositoryId,
        repository::{ConfigRecord, DRAFT, Repository},
        snapshot::RemovalRecord,
        store::{Store, memory::MemoryStore},
    };

    /// Tells when objects were put, the same of all, and counts what is got.
    #[derive(Default)]
    struct Dated {
        inner: MemoryStore,
        seconds: AtomicI64,
        gets: AtomicUsize,
    }

    impl Store for Dated {
        fn capabilities(&self) -> Capabilities {
            self.inner.capabilities()
        }
        fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
            self.inner.put(key, data)
        }
        fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
            self.inner.put_if_absent(key, data)
        }
        fn get(&self, key: &ObjectKey) -> Result<Bytes> {
            self.gets.fetch_add(1, Ordering::Relaxed);
            self.inner.get(key)
        }
        fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
            self.inner.get_range(key, range)
        }
        fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
            self.inner.head(key)
        }
        fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
            let modified = Some(Time::from_seconds(self.seconds.load(Ordering::Relaxed)));
            let listed = self.inner.list_all(folder)?;
            Ok(listed.into_iter().map(|(key, info)| (key, ObjectInfo { modified, ..info })).collect())
        }
        fn delete(&self, key: &ObjectKey) -> Result<()> {
            self.inner.delete(key)
        }
    }

    struct World {
        store: Arc<Dated>,
        keys: Keys,
        folder: tempfile::TempDir,
    }

    const REPOSITORY: RepositoryId = RepositoryId([9; 16]);

    impl World {
        fn with_records(count: u8) -> Self {
            let world = Self {
                store: Arc::default(),
                keys: Keys::generate().unwrap(),
                folder: tempfile::tempdir().unwrap(),
            };
            for number in 0..count {
                let record = RemovalRecord {
                    set: number.to_string(),
                    removed: Vec::new(),
                    removed_at: Time::from_seconds(1),
                    host: String::new(),
                };
                let name = ObjectName([number; 16]);
                let repository = world.repository(false);
                repository.put_record(layout::REMOVED, ObjectKind::Removal, name, &record).unwrap();
            }
            world
        }

        /// As another process opens it.
        fn repository(&self, objects: bool) -> Repository {
            let config = ConfigRecord {
                id: REPOSITORY,
                draft: DRAFT,
                created: Time::from_seconds(1),
                put_if_absent: true,
                list_after_put: true,
            };
            let store: Arc<dyn Store> = self.store.clone();
            let cache = Cache::open(self.folder.path(), REPOSITORY, Arc::new(NoEvents)).unwrap();
            Repository::with_keys(store, self.keys.clone(), config).with_cache(Arc::new(cache), objects)
        }

        /// The sets that records are of, errors by their words, and how many were got from the store.
        fn read(&self, objects: bool) -> (Vec<String>, usize) {
            self.store.gets.store(0, Ordering::Relaxed);
            let removals = self.repository(objects).removals().unwrap();
            let words = removals.into_iter().map(|(_, record)| match record {
                Ok(record) => record.set,
                Err(error) => error.kind().as_str().to_owned(),
            });
            (words.collect(), self.store.gets.load(Ordering::Relaxed))
        }

        fn copies(&self) -> Vec<PathBuf> {
            let folder = self.folder.path().join(REPOSITORY.to_string()).join(FOLDER).join(layout::REMOVED);
            let mut copies: Vec<_> =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            copies.sort();
            copies
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_record_is_fetched_once_as_long_as_it_is_listed_as_it_was() {
        let world = World::with_records(20);
        let all: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(world.read(true), (all.clone(), 20));
        assert_eq!(world.read(true), (all.clone(), 0));
        // Who verifies the store reads the store.
        assert_eq!(world.read(false), (all.clone(), 20));
        // What is no longer listed is not there, whatever was kept.
        let removed = layout::in_folder(layout::REMOVED, ObjectName([3; 16])).unwrap();
        world.store.delete(&removed).unwrap();
        let mut rest = all;
        rest.remove(3);
        assert_eq!(world.read(true), (rest.clone(), 0));
        assert_eq!(world.copies().len(), 19);
        // Everything was put again, as after a restore of the store.
        world.store.seconds.store(7, Ordering::Relaxed);
        assert_eq!(world.read(true), (rest, 19));
        assert_eq!(world.copies().len(), 19);
    }

    #[test]
    fn damage_is_neither_believed_nor_kept() {
        let world = World::with_records(2);
        world.read(true);
        let damaged = world.copies();
        let mut bytes = std::fs::read(&damaged[0]).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&damaged[0], &bytes).unwrap();
        std::fs::write(&damaged[1], b"cut").unwrap();
        assert_eq!(world.read(true), (words(&["0", "1"]), 2));
        assert_eq!(world.read(true), (words(&["0", "1"]), 0));
        // In the store as well: that is told each time it is looked at anew.
        world.store.seconds.store(7, Ordering::Relaxed);
        let key = layout::in_folder(layout::REMOVED, ObjectName([1; 16])).unwrap();
        world.store.inner.objects().insert(key, Bytes::from(bytes));
        assert_eq!(world.read(true), (words(&["0", "damaged"]), 2));
        assert_eq!(world.read(true), (words(&["0", "damaged"]), 1));
    }
}
