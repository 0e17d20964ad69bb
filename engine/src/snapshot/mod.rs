//! What a snapshot, a checkpoint, a session and a removal say, and which snapshots must be there. Pure.

mod record;
mod runs;

pub use record::{
    CheckpointRecord, ContainerOutcome, ContainerRecord, RemovalRecord, SessionRecord, SnapshotOutcome,
    SnapshotRecord, Totals,
};
pub use runs::missing_run;
