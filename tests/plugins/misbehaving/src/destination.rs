//! A destination that breaks the rules of its trait.

use std::ops::Range;

use larder_sdk::{
    Bytes, Capabilities, Destination, ListPage, ObjectInfo, ObjectKey, Result, async_trait,
    testing::MemoryDestination,
};

use crate::mode::Mode;

/// A destination in memory with one rule broken.
pub(crate) struct Broken {
    mode: Mode,
    memory: MemoryDestination,
}

impl Broken {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, memory: MemoryDestination::new() }
    }
}

#[async_trait]
impl Destination for Broken {
    fn capabilities(&self) -> Capabilities {
        assert!(self.mode != Mode::PanicCapabilities, "as told");
        self.memory.capabilities()
    }

    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        assert!(self.mode != Mode::PanicPut, "as told");
        self.memory.put(key, data).await
    }

    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.memory.put_if_absent(key, data).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.memory.get(key).await
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        let data = self.memory.get_range(key, range).await?;
        let kept = if self.mode == Mode::ShortRange { data.len() / 2 } else { data.len() };
        Ok(data.slice(..kept))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.memory.head(key).await
    }

    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        let mut page = self.memory.list(folder, token).await?;
        match self.mode {
            // A folder that holds itself.
            Mode::OutsideList => page.folders.push(folder.to_owned()),
            Mode::EndlessList => page.next = Some("again".to_owned()),
            _ => {}
        }
        Ok(page)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.memory.delete(key).await
    }
}
