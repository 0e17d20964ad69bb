//! A store in memory, for tests.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use larder_sdk::{Capabilities, Error, ErrorKind, ObjectInfo, ObjectKey, Result, Time};

use super::Store;
use crate::clock::Clock;

/// Objects in a map.
#[derive(Default)]
pub(crate) struct MemoryStore {
    objects: Mutex<BTreeMap<ObjectKey, Bytes>>,
    /// Its own clock, and when objects were written by it. Without one it tells no times.
    times: Mutex<Option<Times>>,
}

struct Times {
    clock: Arc<dyn Clock>,
    written: BTreeMap<ObjectKey, Time>,
}

impl MemoryStore {
    /// The objects, to look at and to damage.
    pub(crate) fn objects(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it tells when objects were written. What is there already is older than anything.
    pub(crate) fn tell_times(&self, clock: Arc<dyn Clock>) {
        *self.times() = Some(Times { clock, written: BTreeMap::new() });
    }

    fn times(&self) -> MutexGuard<'_, Option<Times>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wrote(&self, key: &ObjectKey) {
        if let Some(times) = &mut *self.times() {
            times.written.insert(key.clone(), times.clock.now());
        }
    }

    fn info(&self, key: &ObjectKey, object: &Bytes) -> ObjectInfo {
        let written = |times: &Times| times.written.get(key).copied().unwrap_or_default();
        ObjectInfo { size: object.len() as u64, modified: self.times().as_ref().map(written) }
    }
}

impl Store for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: "memory".to_owned(),
            put_if_absent: true,
            list_after_put: true,
            ranges: true,
            object_bytes_max: None,
            concurrency: 4,
        }
    }
    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.objects().insert(key.clone(), data);
        self.wrote(key);
        Ok(())
    }
    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        match self.objects().entry(key.clone()) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(data);
                self.wrote(key);
                Ok(())
            }
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(Error::new(ErrorKind::AlreadyExists, format!("`{key}` is there already")))
            }
        }
    }
    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        let found = self.objects().get(key).cloned();
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("`{key}` is not there")))
    }
    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        let object = self.get(key)?;
        if range.end > object.len() as u64 || range.start > range.end {
            return Err(Error::new(ErrorKind::CorruptItem, format!("`{key}` is too short")));
        }
        Ok(object.slice(range.start as usize..range.end as usize))
    }
    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.get(key).map(|object| self.info(key, &object))
    }
    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        let prefix = format!("{folder}/");
        let inside = |key: &ObjectKey| key.as_str().starts_with(&prefix);
        Ok(self
            .objects()
            .iter()
            .filter(|(key, _)| inside(key))
            .map(|(key, object)| (key.clone(), self.info(key, object)))
            .collect())
    }
    fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.objects().remove(key);
        Ok(())
    }
}
