//! The records themselves.

use larder_sdk::{Container, Finding, Time, codec::Record};
use serde::{Deserialize, Serialize};

use crate::{hash::ObjectName, index::BlobKind, tree::Root};

/// One set's state at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// The set's name.
    pub set: String,
    /// The set's run number: 1, 2, 3 … A missing number without a removal record is an error.
    pub run: u64,
    /// The snapshot it was built on.
    pub base: Option<ObjectName>,
    /// When the run began.
    pub started: Time,
    /// When the snapshot was taken.
    pub finished: Time,
    /// The machine that took it.
    pub host: String,
    /// The program that took it.
    pub program: String,
    /// Words that the run was given, by which snapshots are found and kept.
    pub tags: Vec<String>,
    /// The tree of containers; `None` if there are none.
    pub root: Option<Root>,
    /// How it went.
    pub outcome: SnapshotOutcome,
    /// What is in it.
    pub totals: Totals,
    /// The index segments that the run wrote, so that a missing one is noticed and named.
    pub segments: Vec<(BlobKind, ObjectName)>,
    /// What discovery found wrong, the first few of it.
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub more_findings: u64,
}

impl Record for SnapshotRecord {
    const KIND: u16 = 7;
    const VERSION: u16 = 1;
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotOutcome {
    /// Everything there was to read was read.
    Complete,
    /// Something could not be read: it is owed, or a container stayed as it was.
    Incomplete,
}

/// What is in a snapshot, and what the run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Containers.
    pub containers: u64,
    /// Items.
    pub items: u64,
    /// Items owed.
    pub owed: u64,
    /// Items whose streams were read in this run.
    pub read_items: u64,
    /// Bytes of streams read in this run.
    pub read_bytes: u64,
    /// Items removed in this run.
    pub deleted: u64,
    /// Bytes sent to the store in this run, before the snapshot itself.
    pub stored_bytes: u64,
}

/// One container in a snapshot's tree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// The container as discovered.
    pub container: Container,
    /// Its tree; `None` if it is empty.
    pub root: Option<Root>,
    /// Items in it.
    pub items: u64,
    /// Items owed.
    pub owed: u64,
    /// When it was last read to its end.
    pub read: Option<Time>,
    /// How the last run went here.
    pub outcome: ContainerOutcome,
    /// Since when discovery no longer finds it.
    pub gone_since: Option<Time>,
    /// Items removed since the last snapshot, for runs that go on from a checkpoint.
    pub deleted: u64,
    /// What was done here last.
    pub work: ContainerWork,
}

impl Record for ContainerRecord {
    const KIND: u16 = 33;
    const VERSION: u16 = 1;
}

/// What the last run that read a container did there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerWork {
    /// That run's number; 0 if none has.
    pub run: u64,
    /// Items that the source listed or reported.
    pub listed: u64,
    /// Items whose streams were read.
    pub read_items: u64,
    /// Bytes of them.
    pub read_bytes: u64,
    /// Items removed.
    pub deleted: u64,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// Items left out on purpose, by cause.
    pub skipped: Vec<(String, u64)>,
    /// For how many milliseconds the source waited for someone's leave to go on, by whose: an account, a limit of the tenant.
    /// Requests wait side by side, so that it may be more than `millis`.
    pub waited_millis: Vec<(String, u64)>,
}

/// How a run went in one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerOutcome {
    /// Read to its end.
    Done,
    /// Still being read: only in checkpoints.
    Unfinished,
    /// Could not be read to its end, and why. What was read is kept.
    Failed(String),
    /// More would have been dropped than `max_loss` allows: the old state was kept. How many items of how many.
    HeldBack(u64, u64),
}

/// Snapshots that were dropped by rule. It is there before they go, so that their numbers are not missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovalRecord {
    /// The set's name.
    pub set: String,
    /// Which ones.
    pub removed: Vec<RemovedSnapshot>,
    /// When they were dropped.
    pub removed_at: Time,
    /// The machine that dropped them.
    pub host: String,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemovedSnapshot {
    /// Its run number.
    pub run: u64,
    /// Its id.
    pub id: ObjectName,
    /// Its tree, which a prune that is under way still takes as in use: a writer may just have begun to build on it.
    pub root: Option<Root>,
}

impl Record for RemovalRecord {
    const KIND: u16 = 11;
    const VERSION: u16 = 1;
}
