//! `memory://`: objects in this process's memory, for tests and trials.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use larder_sdk::{
    Bytes, Capabilities, Destination, Error, ErrorKind, ListPage, ObjectInfo, ObjectKey, Result, Time,
    async_trait, limits,
};

use crate::names;

type Objects = BTreeMap<String, (Bytes, Time)>;

/// Every store by name: who opens `memory:///NAME` twice means the same one. They live as long as the process.
static STORES: Mutex<BTreeMap<String, Arc<Mutex<Objects>>>> = Mutex::new(BTreeMap::new());

/// One store.
pub(crate) struct MemoryStore {
    place: String,
    objects: Arc<Mutex<Objects>>,
}

impl MemoryStore {
    /// Opens a store; it is made if there is none of that name.
    pub(crate) fn open(name: &str, place: String) -> Self {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        Self { place, objects: Arc::clone(stores.entry(name.to_owned()).or_default()) }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        // Every change is one insertion or removal, so that a panic elsewhere leaves nothing half done.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &ObjectKey) -> Result<(Bytes, Time)> {
        let missing =
            || Error::new(ErrorKind::NotFound, format!("reading `{key}` in {}: it is not there", self.place));
        self.objects().get(key.as_str()).cloned().ok_or_else(missing)
    }
}

#[async_trait]
impl Destination for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: self.place.clone(),
            put_if_absent: true,
            list_after_put: true,
            ranges: true,
            object_bytes_max: None,
            concurrency: 16,
        }
    }

    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.objects().insert(key.to_string(), (data, SystemTime::now().into()));
        Ok(())
    }

    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        let mut objects = self.objects();
        if objects.contains_key(key.as_str()) {
            let message = format!("writing `{key}` in {}: it is there already", self.place);
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        objects.insert(key.to_string(), (data, SystemTime::now().into()));
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.find(key).map(|(data, _)| data)
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        let (data, _) = self.find(key)?;
        names::check_range(key, &range, data.len() as u64, &self.place)?;
        Ok(data.slice(range.start as usize..range.end as usize))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.find(key).map(|(data, time)| info(&data, time))
    }

    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        names::check_folder(folder)?;
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let objects = self.objects();
        let mut page = ListPage::default();
        // A token is the first name that may come next.
        let mut from = token.unwrap_or_else(|| prefix.clone());
        while let Some((name, (data, time))) =
            objects.range(from.clone()..).next().filter(|(name, _)| name.starts_with(&prefix))
        {
            if page.objects.len() + page.folders.len() == limits::LIST_PAGE_MAX {
                page.next = Some(from);
                break;
            }
            if let Some((part, _)) = name[prefix.len()..].split_once('/') {
                // `0` is the byte after `/`: on behind everything in that folder.
                from = format!("{prefix}{part}0");
                page.folders.push(format!("{prefix}{part}"));
            } else {
                from = format!("{name}\0");
                page.objects.push((ObjectKey::new(name.clone())?, info(data, *time)));
            }
        }
        Ok(page)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.objects().remove(key.as_str());
        Ok(())
    }
}

fn info(data: &Bytes, time: Time) -> ObjectInfo {
    ObjectInfo { size: data.len() as u64, modified: Some(time) }
}
