//! What a run builds on: the set's last snapshot, and a checkpoint after it.

use larder_sdk::Time;

use crate::{
    error::{EngineError, Result},
    hash::ObjectName,
    repository::{LocalState, Repository},
    snapshot::{CheckpointRecord, SnapshotRecord, missing_run},
};

/// A checkpoint older than this is no longer a root, and so not gone on from.
const CHECKPOINT_SECONDS_MAX: i64 = 14 * 24 * 3600;

/// What a run builds on.
pub(super) struct Base {
    /// The set's last snapshot.
    pub(super) snapshot: Option<(ObjectName, SnapshotRecord)>,
    /// The furthest checkpoint after it.
    pub(super) checkpoint: Option<(ObjectName, CheckpointRecord)>,
    /// This run's number.
    pub(super) run: u64,
}

/// Finds it.
pub(super) fn find(repository: &Repository, local: &LocalState, set: &str, now: Time) -> Result<Base> {
    let snapshot = latest_of_set(repository, local, set)?;
    let base = snapshot.as_ref().map(|(name, _)| *name);
    let run = snapshot.as_ref().map_or(0, |(_, snapshot)| snapshot.run) + 1;
    let checkpoint = repository
        .checkpoints()?
        .into_iter()
        .filter(|(_, checkpoint)| {
            checkpoint.set == set
                && checkpoint.base == base
                && now.seconds - checkpoint.taken.seconds <= CHECKPOINT_SECONDS_MAX
        })
        .max_by_key(|(_, checkpoint)| (checkpoint.taken, checkpoint.number));
    Ok(Base { snapshot, checkpoint, run })
}

/// A set's snapshot of the highest run number. A gap in the numbers, or a state behind what this machine has seen, is an error: someone
/// removed or rolled back what the store held.
pub fn latest_of_set(
    repository: &Repository,
    local: &LocalState,
    set: &str,
) -> Result<Option<(ObjectName, SnapshotRecord)>> {
    let mut snapshots = repository.snapshots_of(set)?;
    // A removal record that does not read says nothing: its numbers are then missing.
    let removed: Vec<_> = repository.removals()?.into_iter().filter_map(|(_, record)| record.ok()).collect();
    if let Some(why) = missing_run(&snapshots, &removed, set, local.highest_run(set)?) {
        return Err(missing(set, &why));
    }
    let last = snapshots.pop();
    if let Some((name, snapshot)) = &last {
        local.saw_run(set, snapshot.run, *name)?;
    }
    Ok(last)
}

fn missing(set: &str, why: &str) -> EngineError {
    EngineError::damaged(format!("a snapshot of set `{set}` is missing without a removal record: {why}"))
        .with_hint(
            "someone removed or rolled back objects in the store; compare with a copy of it. If that was you, remove this \
             machine's memory of the set (`SET.run` in the state folder)",
        )
        .with_code("snapshot-missing")
}
