//! What a snapshot, a checkpoint and a session say. Records; pure.

mod record;

pub use record::{
    CheckpointRecord, ContainerOutcome, ContainerRecord, SessionRecord, SnapshotOutcome, SnapshotRecord,
    Totals,
};
