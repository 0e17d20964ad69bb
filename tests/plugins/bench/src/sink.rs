//! A destination that reads what it is given and forgets it.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use larder_sdk::{
    Bytes, Capabilities, Destination, Error, ErrorKind, ListPage, ObjectInfo, ObjectKey, Result, async_trait,
};

use crate::read_every_byte;

/// Keeps a sum of what it was given, so that reading it cannot be optimised away.
#[derive(Default)]
pub(crate) struct Sink(AtomicU64);

fn forgotten<T>() -> Result<T> {
    Err(Error::new(ErrorKind::NotFound, "it was forgotten"))
}

#[async_trait]
impl Destination for Sink {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: "nowhere".to_owned(),
            put_if_absent: false,
            list_after_put: false,
            ranges: false,
            object_bytes_max: None,
            concurrency: 1,
        }
    }
    async fn put(&self, _key: &ObjectKey, data: Bytes) -> Result<()> {
        self.0.fetch_add(read_every_byte(&data), Ordering::Relaxed);
        Ok(())
    }
    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.put(key, data).await
    }
    async fn get(&self, _key: &ObjectKey) -> Result<Bytes> {
        forgotten()
    }
    async fn get_range(&self, _key: &ObjectKey, _range: Range<u64>) -> Result<Bytes> {
        forgotten()
    }
    async fn head(&self, _key: &ObjectKey) -> Result<ObjectInfo> {
        Ok(ObjectInfo { size: self.0.load(Ordering::Relaxed), modified: None })
    }
    async fn list(&self, _folder: &str, _token: Option<String>) -> Result<ListPage> {
        Ok(ListPage::default())
    }
    async fn delete(&self, _key: &ObjectKey) -> Result<()> {
        Ok(())
    }
}
