//! Host services in memory.

use std::{
    collections::BTreeMap,
    env, fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Cursor, Error, ErrorKind, HostServices, Item, ItemId, LogLevel, Owed, ReaderServices, Result, ScopeId,
    Secret, SecretRef,
};

/// A host that keeps log lines, and finds secrets in the environment and in files.
#[derive(Clone, Debug, Default)]
pub struct TestHost(Arc<Mutex<Vec<(LogLevel, String)>>>);

impl TestHost {
    /// A host without log lines.
    pub fn new() -> Self {
        Self::default()
    }
    /// The log lines so far.
    pub fn lines(&self) -> Vec<(LogLevel, String)> {
        lock(&self.0).clone()
    }
}

impl HostServices for TestHost {
    fn log(&self, level: LogLevel, text: &str) {
        lock(&self.0).push((level, text.to_owned()));
    }

    fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        let missing =
            |what: &str| Error::new(ErrorKind::Configuration, format!("there is no secret in {what}"));
        match reference {
            SecretRef::Env(name) => env::var(name).map(Secret::new).map_err(|_| missing(name)),
            SecretRef::File(path) => fs::read_to_string(path)
                .map(|text| Secret::new(text.lines().next().unwrap_or_default()))
                .map_err(|error| missing(path).with_source(error)),
            SecretRef::Command(_) | SecretRef::Keyring(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "the test host finds secrets in `env` and `file` only",
            )),
        }
    }
}

/// What a host remembers of a container between two readings: cursors, items and what is owed. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct ReaderMemory(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    cursors: BTreeMap<ScopeId, Cursor>,
    items: BTreeMap<ItemId, Item>,
    owed: BTreeMap<ItemId, Owed>,
    progress: Vec<String>,
    waited: Vec<(String, Duration)>,
}

impl ReaderMemory {
    /// Nothing was ever read.
    pub fn new() -> Self {
        Self::default()
    }
    /// Keeps a scope's cursor.
    pub fn settle(&self, scope: ScopeId, cursor: Cursor) {
        lock(&self.0).cursors.insert(scope, cursor);
    }
    /// Keeps an item's state.
    pub fn keep(&self, item: Item) {
        lock(&self.0).items.insert(item.id.clone(), item);
    }
    /// Forgets an item.
    pub fn forget(&self, id: &ItemId) {
        lock(&self.0).items.remove(id);
    }
    /// Owes an item.
    pub fn owe(&self, owed: Owed) {
        lock(&self.0).owed.insert(owed.id.clone(), owed);
    }
    /// The item is owed no more.
    pub fn paid(&self, id: &ItemId) {
        lock(&self.0).owed.remove(id);
    }
    /// How many scopes have a cursor.
    pub fn cursors(&self) -> usize {
        lock(&self.0).cursors.len()
    }
    /// For whom the reader waited, and how long.
    pub fn waited(&self) -> Vec<(String, Duration)> {
        lock(&self.0).waited.clone()
    }
    /// What progress was told.
    pub fn progress(&self) -> Vec<String> {
        lock(&self.0).progress.clone()
    }
}

impl ReaderServices for ReaderMemory {
    fn scopes(&self) -> Result<Vec<ScopeId>> {
        Ok(lock(&self.0).cursors.keys().cloned().collect())
    }
    fn cursor(&self, scope: &ScopeId) -> Result<Option<Cursor>> {
        Ok(lock(&self.0).cursors.get(scope).cloned())
    }
    fn item(&self, id: &ItemId) -> Result<Option<Item>> {
        Ok(lock(&self.0).items.get(id).cloned())
    }
    fn owed(&self, after: Option<&ItemId>, most: usize) -> Result<Vec<Owed>> {
        let memory = lock(&self.0);
        let later = memory.owed.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        Ok(later.take(most).map(|(_, owed)| owed.clone()).collect())
    }
    fn waited(&self, on: &str, time: Duration) {
        lock(&self.0).waited.push((on.to_owned(), time));
    }
    fn progress(&self, text: &str) {
        lock(&self.0).progress.push(text.to_owned());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
