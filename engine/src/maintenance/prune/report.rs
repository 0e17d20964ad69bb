//! What goes into a prune and what comes out.

use std::sync::Arc;

use larder_sdk::Time;

use crate::{clock::Clock, events::Events, hash::ObjectName, process::Interrupt, repository::Repository};

/// What a prune works with.
pub struct PruneSetup<'run> {
    /// The repository; its index must not be loaded yet.
    pub repository: &'run Arc<Repository>,
    /// The state folder's name. Its lock for prunes must be held, so that no other prune of this machine lives.
    pub machine: ObjectName,
    /// This machine's name.
    pub host: &'run str,
    /// Tells the time.
    pub clock: &'run dyn Clock,
    /// Takes what happens.
    pub events: &'run dyn Events,
    /// Tells when to stop.
    pub interrupt: &'run Interrupt,
}

/// How a prune is made.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// Only look.
    pub dry_run: bool,
    /// The share of what stays, in a hundred, that may be waste: less frees more and copies more.
    pub waste_percent: u8,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self { dry_run: false, waste_percent: 5 }
    }
}

/// What a prune found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Packs in the store, and their bytes.
    pub packs: u64,
    /// Bytes of all packs.
    pub bytes: u64,
    /// About how many of them nothing needs.
    pub waste_bytes: u64,
    /// Packs chosen to be deleted by this prune.
    pub condemned_packs: u64,
    /// Their bytes.
    pub condemned_bytes: u64,
    /// Packs deleted, also those that an earlier prune chose.
    pub deleted_packs: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Bytes written: copies of what is still in use, and segments.
    pub copied_bytes: u64,
    /// Index segments that were put together or left out.
    pub replaced_segments: u64,
    /// Packs that wait for sessions to end.
    pub waiting_packs: u64,
    /// The sessions that they wait for.
    pub waiting_for: Vec<WaitingFor>,
    /// Objects that the store refused to delete, and why.
    pub refused: Vec<(String, String)>,
}

impl PruneReport {
    /// Bytes that the store holds less than before.
    pub fn freed_bytes(&self) -> u64 {
        self.deleted_bytes.saturating_sub(self.copied_bytes)
    }
}

/// A session that began before a mark and has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFor {
    /// The set it writes; empty if that cannot be told.
    pub set: String,
    /// The machine it runs on.
    pub host: String,
    /// When it began.
    pub started: Option<Time>,
}
