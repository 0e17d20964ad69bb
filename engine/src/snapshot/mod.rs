//! What snapshots, removals, sessions, checkpoints and marks say, and which snapshots must be there. Pure.

mod live;
mod record;
mod runs;

pub use live::{CheckpointRecord, EndRecord, MarkRecord, Purpose, SessionRecord};
pub use record::{
    ContainerOutcome, ContainerRecord, ContainerWork, RemovalRecord, RemovedSnapshot, SnapshotOutcome,
    SnapshotRecord, Totals,
};
pub use runs::{missing_run, missing_runs};
