//! What lives short: sessions, how they end, checkpoints, and prune's marks.

use larder_sdk::{Time, codec::Record};
use serde::{Deserialize, Serialize};

use crate::{hash::ObjectName, index::BlobKind, tree::Root};

/// The announcement of someone who builds on what is stored, or reads it for long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// What for.
    pub purpose: Purpose,
    /// The set it writes or reads; empty if it is about no single one.
    pub set: String,
    /// The machine it runs on.
    pub host: String,
    /// The state folder it runs with: whoever holds that folder's lock of the set knows that an older session is dead.
    pub machine: ObjectName,
    /// When it began.
    pub started: Time,
    /// The roots it builds on.
    pub roots: Vec<Root>,
    /// The marks it saw before it looked a blob up: what they condemn it takes as not stored.
    pub marks: Vec<ObjectName>,
}

impl Record for SessionRecord {
    const KIND: u16 = 8;
    const VERSION: u16 = 1;
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// A run, or a copy: it ends with a snapshot.
    Write,
    /// A long restore or mount.
    Read,
    /// A prune.
    Prune,
}

/// How a session ended, if not with a snapshot. It is put only if nothing of its name is there: in the snapshots' folder for a writer,
/// which then can no longer commit; beside the sessions for a prune, which then can no longer delete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndRecord {
    /// The session that ended it: a prune's own, once what it copied is durable, or another's.
    pub by: ObjectName,
    /// When.
    pub ended: Time,
    /// The machine that ended it.
    pub host: String,
    /// Its checkpoint that still counts, if it was a writer's.
    pub keeps: Option<ObjectName>,
}

impl Record for EndRecord {
    const KIND: u16 = 12;
    const VERSION: u16 = 1;
}

/// What a run has reached, durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// The set's name.
    pub set: String,
    /// The run it is part of.
    pub run: u64,
    /// The session that wrote it.
    pub session: ObjectName,
    /// 1, 2, 3 … within the session.
    pub number: u64,
    /// The snapshot that the run builds on.
    pub base: Option<ObjectName>,
    /// When it was taken.
    pub taken: Time,
    /// The tree of containers so far.
    pub root: Option<Root>,
    /// The index segments written so far.
    pub segments: Vec<(BlobKind, ObjectName)>,
}

impl Record for CheckpointRecord {
    const KIND: u16 = 9;
    const VERSION: u16 = 1;
}

/// Packs that a prune means to delete. Whoever has seen it takes what only they hold as not stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarkRecord {
    /// The packs.
    pub condemned: Vec<(BlobKind, ObjectName)>,
    /// When it was made.
    pub made: Time,
    /// The machine that made it.
    pub host: String,
}

impl Record for MarkRecord {
    const KIND: u16 = 10;
    const VERSION: u16 = 1;
}
