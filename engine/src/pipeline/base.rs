//! What a run builds on: the set's last snapshot, and a checkpoint after it.

use std::sync::Arc;

use larder_sdk::Time;

use crate::{
    clock::Clock,
    error::{EngineError, EngineErrorKind, Result},
    hash::ObjectName,
    planted::{Bug, planted},
    repository::{
        LocalState, Repository, Session, layout,
        session::{CHECKPOINT_SECONDS_MAX, Ender, counting, end_left_behind, readable},
    },
    snapshot::{CheckpointRecord, Purpose, SessionRecord, SnapshotRecord, missing_run},
    tree::Root,
};

/// How often a run tries to find something to build on that stays.
const ANNOUNCEMENTS_MAX: usize = 5;
/// How often snapshots are listed before one is said to be missing.
const LISTINGS_MAX: usize = 3;
/// What a run builds on.
pub(crate) struct Base {
    /// The set's last snapshot.
    pub(crate) snapshot: Option<(ObjectName, SnapshotRecord)>,
    /// The furthest checkpoint after it.
    pub(crate) checkpoint: Option<(ObjectName, CheckpointRecord)>,
    /// This run's number.
    pub(crate) run: u64,
}

/// Finds it.
pub(super) fn find(repository: &Repository, local: &LocalState, set: &str, now: Time) -> Result<Base> {
    let snapshot = latest_of_set(repository, local, set)?;
    let base = snapshot.as_ref().map(|(name, _)| *name);
    let run = snapshot.as_ref().map_or(0, |(_, snapshot)| snapshot.run) + 1;
    let mut checkpoints = readable(repository.checkpoints()?);
    checkpoints.retain(|(_, checkpoint)| {
        checkpoint.set == set
            && checkpoint.base == base
            && now.seconds - checkpoint.taken.seconds <= CHECKPOINT_SECONDS_MAX
    });
    let checkpoint = counting(repository, checkpoints)?
        .into_iter()
        .max_by_key(|(_, checkpoint)| (checkpoint.taken, checkpoint.number));
    Ok(Base { snapshot, checkpoint, run })
}

/// Who announces a run of which set.
pub(crate) struct Opening<'run> {
    pub(crate) repository: &'run Arc<Repository>,
    pub(crate) local: &'run LocalState,
    pub(crate) set: &'run str,
    pub(crate) host: &'run str,
    pub(crate) clock: &'run dyn Clock,
}

/// Finds what the run builds on and announces it. What was there when it was found may have gone before it was announced: then all begins again.
pub(crate) fn announce(opening: &Opening<'_>, started: Time) -> Result<(Base, Session)> {
    let Opening { repository, local, set, host, clock } = *opening;
    let machine = local.machine()?;
    let ender = Ender { by: ObjectName::random()?, now: started, host };
    end_left_behind(repository, set, machine, ender)?;
    for _ in 0..ANNOUNCEMENTS_MAX {
        let base = find(repository, local, set, started)?;
        let record = SessionRecord {
            purpose: Purpose::Write,
            set: set.to_owned(),
            host: host.to_owned(),
            machine,
            started,
            roots: if planted(Bug::BaseNotPinned) { Vec::new() } else { base.roots() },
            marks: Vec::new(),
        };
        let session = Session::open(repository, record, clock.now())?;
        let there = if planted(Bug::BaseNotPinned) { Ok(true) } else { base.is_there(repository) };
        match there {
            Ok(true) => return Ok((base, session)),
            Ok(false) => session.end()?,
            Err(error) => {
                drop(session.end());
                return Err(error);
            }
        }
    }
    Err(EngineError::new(
        EngineErrorKind::Busy,
        "what this run would build on was removed again and again while it began",
    )
    .with_hint("is the same set run or forgotten by another machine all the time? try again later"))
}

impl Base {
    fn roots(&self) -> Vec<Root> {
        let snapshot = self.snapshot.iter().filter_map(|(_, snapshot)| snapshot.root);
        snapshot.chain(self.checkpoint.iter().filter_map(|(_, checkpoint)| checkpoint.root)).collect()
    }

    /// True if it still stands in the repository.
    fn is_there(&self, repository: &Repository) -> Result<bool> {
        if let Some((name, _)) = &self.snapshot
            && !repository.names(layout::SNAPSHOTS)?.contains(name)
        {
            return Ok(false);
        }
        if let Some((name, checkpoint)) = &self.checkpoint {
            return Ok(repository.names(layout::CHECKPOINTS)?.contains(name)
                && !counting(repository, vec![(*name, checkpoint.clone())])?.is_empty());
        }
        Ok(true)
    }
}

/// A set's snapshot of the highest run number. A gap in the numbers, or a state behind what this machine has seen, is an error: someone
/// removed or rolled back what the store held.
pub fn latest_of_set(
    repository: &Repository,
    local: &LocalState,
    set: &str,
) -> Result<Option<(ObjectName, SnapshotRecord)>> {
    let mut snapshots = present(repository, local, set)?;
    let last = snapshots.pop();
    if let Some((name, snapshot)) = &last {
        local.saw_run(set, snapshot.run, *name)?;
    }
    Ok(last)
}

/// A set's snapshots, of which none may be missing.
fn present(
    repository: &Repository,
    local: &LocalState,
    set: &str,
) -> Result<Vec<(ObjectName, SnapshotRecord)>> {
    let mut tries = LISTINGS_MAX;
    loop {
        let snapshots = repository.snapshots_of(set)?;
        // A removal record that does not read says nothing: its numbers are then missing.
        let removed: Vec<_> =
            repository.removals()?.into_iter().filter_map(|(_, record)| record.ok()).collect();
        tries -= 1;
        match missing_run(&snapshots, &removed, set, local.highest_run(set)?) {
            None => return Ok(snapshots),
            Some(why) if tries == 0 => return Err(missing(set, &why)),
            // A listing of many pages is no picture of one moment: what is missing may have come while it was made.
            Some(_) => {}
        }
    }
}

fn missing(set: &str, why: &str) -> EngineError {
    EngineError::damaged(format!("a snapshot of set `{set}` is missing without a removal record: {why}"))
        .with_hint(
            "someone removed or rolled back objects in the store; compare with a copy of it. If that was you, remove this \
             machine's memory of the set (`SET.run` in the state folder)",
        )
        .with_code("snapshot-missing")
}
