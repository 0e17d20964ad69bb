//! What the host does for a plugin.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{Cursor, Error, ErrorKind, Item, ItemId, Name, Result, ScopeId, Secret, SecretRef};

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// Something is wrong.
    Error,
    /// Something may be wrong.
    Warning,
    /// Worth knowing.
    Info,
    /// For finding faults.
    Debug,
}

/// The host's side of [`Host`]. Plugins see [`Host`]; engines and tests implement this. Calls may block, but never on the plugin.
pub trait HostServices: Send + Sync + 'static {
    /// Writes a log line. Holds no secret.
    fn log(&self, level: LogLevel, text: &str);
    /// Finds a secret's value.
    fn secret(&self, reference: &SecretRef) -> Result<Secret>;
}

/// The host's side of [`ReaderHost`]. Calls may block, but never on the plugin.
pub trait ReaderServices: Send + Sync + 'static {
    /// The scopes that have a cursor.
    fn scopes(&self) -> Result<Vec<ScopeId>>;
    /// A scope's cursor, as last settled.
    fn cursor(&self, scope: &ScopeId) -> Result<Option<Cursor>>;
    /// The last state of an item.
    fn item(&self, id: &ItemId) -> Result<Option<Item>>;
    /// Up to `most` items owed with ids after `after`, in order of id.
    fn owed(&self, after: Option<&ItemId>, most: usize) -> Result<Vec<Owed>>;
    /// Tells what the reader is doing, for the progress shown: `waiting 30 s for backup1@contoso.com`.
    fn progress(&self, text: &str);
    /// Tells that the reader has waited for somebody's leave to go on, for the report: an account, a limit of the tenant.
    fn waited(&self, on: &str, time: Duration) {
        let _ = (on, time);
    }
}

/// An item that an earlier run reported and could not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Its id.
    pub id: ItemId,
    /// Its parent as last known.
    pub parent: ItemId,
    /// Its name as last known.
    pub name: Name,
    /// The scope it was listed in.
    pub scope: ScopeId,
    /// How often it was tried.
    pub tries: u32,
}

/// What the host does for an instance of a plugin. Cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<dyn HostServices>);

impl Host {
    /// Wraps the services.
    pub fn new(services: impl HostServices) -> Self {
        Self(Arc::new(services))
    }
    /// Writes a log line. Put no secret in it.
    pub fn log(&self, level: LogLevel, text: &str) {
        self.0.log(level, text);
    }
    /// Finds a secret's value. May block for as long as the command or keyring behind it takes.
    pub fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        self.0.secret(reference)
    }
}

/// What the host does for a reader. Cheap to clone. Calls run aside, so they may be awaited on any runtime thread.
#[derive(Clone)]
pub struct ReaderHost(Arc<dyn ReaderServices>);

impl ReaderHost {
    /// Wraps the services.
    pub fn new(services: impl ReaderServices) -> Self {
        Self(Arc::new(services))
    }
    /// The services themselves, for hosts that pass them on.
    #[doc(hidden)]
    pub fn services(&self) -> Arc<dyn ReaderServices> {
        Arc::clone(&self.0)
    }
    /// The scopes that have a cursor.
    pub async fn scopes(&self) -> Result<Vec<ScopeId>> {
        self.aside(ReaderServices::scopes).await
    }
    /// A scope's cursor, as last settled.
    pub async fn cursor(&self, scope: &ScopeId) -> Result<Option<Cursor>> {
        let scope = scope.clone();
        self.aside(move |services| services.cursor(&scope)).await
    }
    /// The last state of an item.
    pub async fn item(&self, id: &ItemId) -> Result<Option<Item>> {
        let id = id.clone();
        self.aside(move |services| services.item(&id)).await
    }
    /// Up to `most` items owed with ids after `after`, in order of id. Fewer than `most` means that there are no more.
    pub async fn owed(&self, after: Option<ItemId>, most: usize) -> Result<Vec<Owed>> {
        self.aside(move |services| services.owed(after.as_ref(), most)).await
    }
    /// Tells what the reader is doing, for the progress shown.
    pub fn progress(&self, text: &str) {
        self.0.progress(text);
    }
    /// Tells that the reader has waited for somebody's leave to go on: an account that was throttled, a limit of the tenant. Reports sum
    /// these up by `on`, which people read; requests that waited side by side are told each.
    pub fn waited(&self, on: &str, time: Duration) {
        self.0.waited(on, time);
    }

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn ReaderServices) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let services = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&*services)).await.unwrap_or_else(|stopped| {
            Err(Error::new(ErrorKind::Bug, "a host service stopped").with_source(stopped))
        })
    }
}
