//! Opening a repository: its keys, its config, its index.

use std::sync::Arc;

use bytes::Bytes;
use larder_sdk::{ObjectKey, Secret, Time, codec::Record};
use serde::{Deserialize, Serialize};

use super::{Index, copies::Copies, keys, layout};
use crate::{
    cache::Cache,
    crypto::{HEADER_BYTES, Keys, ObjectKind},
    error::{EngineError, EngineErrorKind, Result},
    hash::{ObjectName, RepositoryId},
    pack::open_small,
    process::Interrupt,
    store::{CachedStore, Store},
};

/// The draft of format 0 that this program writes and reads. Counts up whenever stored bytes change.
pub const DRAFT: u32 = 6;

/// What the config says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// The repository's id.
    pub id: RepositoryId,
    /// The draft of format 0 it is written in.
    pub draft: u32,
    /// When it was made.
    pub created: Time,
    /// Whether the store was seen to refuse a second put of a name.
    pub put_if_absent: bool,
    /// Whether a listing was seen to show what had just been put.
    pub list_after_put: bool,
}

impl Record for ConfigRecord {
    const KIND: u16 = 1;
    const VERSION: u16 = 1;
}

/// The id that seals the config, which tells the real one.
pub(super) const CONFIG_REPOSITORY: RepositoryId = RepositoryId([0; 16]);
/// The config's object name in its seal.
pub(super) const CONFIG_NAME: ObjectName = ObjectName([0; 16]);

/// An open repository. Shared by all threads.
pub struct Repository {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
    /// The slot that the password opened.
    slot: ObjectName,
    config: ConfigRecord,
    index: Index,
    copies: Option<Copies>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repository({})", self.config.id)
    }
}

impl Repository {
    /// Opens the repository in a store. Reads keys and config, not yet the index.
    pub fn open(store: Arc<dyn Store>, password: &Secret) -> Result<Self> {
        let slots = store.list_all(layout::KEYS).map_err(EngineError::store)?;
        if slots.is_empty() {
            return Err(Self::missing(&*store));
        }
        let (keys, slot) = keys::unlock(&*store, &slots, password)?;
        let config = read_config(&*store, &keys)?;
        if config.draft != DRAFT {
            return Err(EngineError::failed(format!(
                "the repository at {} is in draft {} of format 0, this program reads draft {DRAFT}",
                store.capabilities().location,
                config.draft
            ))
            .with_hint("format 0 is a draft: use the build that made the repository, or make a new one"));
        }
        let keys = Arc::new(keys);
        let index = Index::new(Arc::clone(&store), Arc::clone(&keys), config.id);
        Ok(Self { store, keys, slot, config, index, copies: None })
    }

    /// A repository whose keys are known: deriving them takes as long as everything else that a test does.
    #[cfg(test)]
    pub(crate) fn with_keys(store: Arc<dyn Store>, keys: Keys, config: ConfigRecord) -> Self {
        let keys = Arc::new(keys);
        let index = Index::new(Arc::clone(&store), Arc::clone(&keys), config.id);
        Self { store, keys, slot: ObjectName([0; 16]), config, index, copies: None }
    }

    fn missing(store: &dyn Store) -> EngineError {
        let location = store.capabilities().location;
        let config_there =
            layout::config_keys().is_ok_and(|keys| keys.iter().any(|key| store.head(key).is_ok()));
        if config_there {
            EngineError::damaged(format!("the repository at {location} has lost all its key slots"))
                .with_hint(
                    "bring `keys/` back from a copy of the store; without a key slot nothing can be read",
                )
        } else {
            EngineError::new(EngineErrorKind::NoRepository, format!("there is no repository at {location}"))
                .with_hint("make one with `larder init`")
        }
    }

    /// The store below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }
    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
    /// The key slot that the password opened.
    pub fn slot_in_use(&self) -> ObjectName {
        self.slot
    }
    /// The repository's id.
    pub fn id(&self) -> RepositoryId {
        self.config.id
    }
    /// The config.
    pub fn config(&self) -> &ConfigRecord {
        &self.config
    }
    /// The index, as far as it is loaded.
    pub fn index(&self) -> &Index {
        &self.index
    }
    /// Copies of small objects that never change.
    pub(super) fn copies(&self) -> Option<&Copies> {
        self.copies.as_ref()
    }
    /// From now on a request to stop ends a load of the index, however long that takes, with an error of kind
    /// [`EngineErrorKind::Interrupted`].
    #[must_use]
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.index.set_interrupt(interrupt);
        self
    }
    /// Keeps what can be had again in a folder of this machine: the index and, with `objects`, what is read and written of tree packs,
    /// and read of snapshots and removal records. Call it before anything is loaded. Who verifies the store does not want `objects`.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<Cache>, objects: bool) -> Self {
        if objects {
            self.store = Arc::new(CachedStore::new(self.store, Arc::clone(&cache), self.index.packs_key()));
            self.copies = Some(Copies::new(Arc::clone(&cache)));
        }
        self.index.set_cache(cache);
        self
    }
}

fn read_config(store: &dyn Store, keys: &Keys) -> Result<ConfigRecord> {
    let mut first_error = None;
    for key in layout::config_keys()? {
        let config = store.get(&key).and_then(|bytes| open_config(keys, &bytes));
        match config {
            Ok(config) => return Ok(config),
            Err(error) => {
                first_error.get_or_insert_with(|| EngineError::store(error).context(format_args!("`{key}`")));
            }
        }
    }
    Err(first_error.unwrap_or_else(|| EngineError::damaged("the repository has no config")))
}

/// Opens one copy of the config.
pub(crate) fn open_config(keys: &Keys, bytes: &[u8]) -> larder_sdk::Result<ConfigRecord> {
    open_small(keys, CONFIG_REPOSITORY, ObjectKind::Config, CONFIG_NAME, bytes)
}

/// The config and its copy: the bytes, or what is wrong with them.
pub fn control_copies(repository: &Repository) -> Result<Vec<(ObjectKey, Result<Bytes>)>> {
    let read = |key: &ObjectKey| {
        let bytes = repository.store().get(key).map_err(EngineError::store)?;
        match open_config(repository.keys(), &bytes) {
            Ok(config) if config == *repository.config() => Ok(bytes),
            Ok(_) => Err(EngineError::damaged("the two copies of the config differ")),
            Err(error) => Err(EngineError::store(error)),
        }
    };
    let copies = layout::config_keys()?.into_iter().map(|key| {
        let read = read(&key);
        (key, read)
    });
    Ok(copies.collect())
}

/// Looks at both copies of the config and of every key slot: what is damaged, and how. Copies must say the same.
pub fn check_control_objects(repository: &Repository) -> Result<Vec<(String, String)>> {
    let mut problems = Vec::new();
    for (key, read) in control_copies(repository)? {
        problems.extend(read.err().map(|error| (key.to_string(), error.full_message())));
    }
    for slot in repository.slots()? {
        for (key, wrong) in slot.copies {
            problems.extend(wrong.map(|error| (key.to_string(), error.full_message())));
        }
    }
    Ok(problems)
}

/// Bytes of a pack's header, which a reader needs for its frames.
pub(super) const PACK_HEADER_BYTES: u64 = HEADER_BYTES as u64;
