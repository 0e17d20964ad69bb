//! A destination in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Capabilities, Destination, Error, ErrorKind, ListPage, ObjectInfo, ObjectKey, Result,
    limits::LIST_PAGE_MAX,
};

/// A destination in memory. Clones share the objects.
#[derive(Clone, Debug, Default)]
pub struct MemoryDestination(Arc<Mutex<Objects>>);

type Objects = BTreeMap<ObjectKey, (Bytes, ObjectInfo)>;

impl MemoryDestination {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects().len()
    }
    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.objects().is_empty()
    }
    /// Changes an object behind everybody's back, as a broken store would. False if there is none.
    pub fn tamper(&self, key: &ObjectKey, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut objects = self.objects();
        let Some((data, info)) = objects.get_mut(key) else {
            return false;
        };
        let mut bytes = data.to_vec();
        change(&mut bytes);
        info.size = bytes.len() as u64;
        *data = bytes.into();
        true
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(data: Bytes) -> (Bytes, ObjectInfo) {
    let info = ObjectInfo { size: data.len() as u64, modified: Some(SystemTime::now().into()) };
    (data, info)
}

fn missing(key: &ObjectKey) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no object {key}"))
}

#[async_trait]
impl Destination for MemoryDestination {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: "memory".to_owned(),
            put_if_absent: true,
            list_after_put: true,
            ranges: true,
            object_bytes_max: None,
            concurrency: 16,
        }
    }

    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.objects().insert(key.clone(), entry(data));
        Ok(())
    }

    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("object {key} is there already")));
        }
        objects.insert(key.clone(), entry(data));
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        let objects = self.objects();
        objects.get(key).map(|(data, _)| data.clone()).ok_or_else(|| missing(key))
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        let data = self.get(key).await?;
        if range.start > range.end || range.end > data.len() as u64 {
            let message = format!("object {key} has {} bytes, asked for {range:?}", data.len());
            return Err(Error::new(ErrorKind::CorruptItem, message));
        }
        Ok(data.slice(range.start as usize..range.end as usize))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let objects = self.objects();
        objects.get(key).map(|(_, info)| info.clone()).ok_or_else(|| missing(key))
    }

    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut page = ListPage::default();
        let mut folders = BTreeSet::new();
        let mut last = None;
        for (key, (_, info)) in self.objects().iter() {
            let Some(inside) = key.as_str().strip_prefix(&prefix) else {
                continue;
            };
            // An entry is named by what stands directly in the folder; the token is the last entry of the page before.
            let part = inside.split('/').next().unwrap_or_default();
            let name = format!("{prefix}{part}");
            if token.as_ref().is_some_and(|token| name <= *token) || folders.contains(&name) {
                continue;
            }
            if page.objects.len() + folders.len() == LIST_PAGE_MAX {
                page.next = last;
                break;
            }
            if part.len() == inside.len() {
                page.objects.push((key.clone(), info.clone()));
            } else {
                folders.insert(name.clone());
            }
            last = Some(name);
        }
        page.folders = folders.into_iter().collect();
        Ok(page)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.objects().remove(key);
        Ok(())
    }
}
