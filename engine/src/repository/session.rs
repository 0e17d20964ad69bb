//! Sessions: how writers, long readers and prunes keep out of each other's way. `docs/format.md` has the rules and why they hold.
//!
//! A session is announced with the roots it builds on, *then* the marks are listed, *then* the index is loaded. So either a prune sees the
//! session, or the session sees the prune's mark and takes what that condemns as not stored.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use larder_sdk::Time;

use super::{Repository, layout};
use crate::{
    crypto::ObjectKind,
    error::{EngineError, EngineErrorKind, Result},
    hash::ObjectName,
    planted::{Bug, planted},
    snapshot::{CheckpointRecord, EndRecord, Purpose, SessionRecord, SnapshotRecord},
};

/// A session that was not renewed for this long is taken as dead.
pub const SESSION_SECONDS_MAX: i64 = 24 * 3600;
/// A session is renewed after this long.
const RENEWAL_SECONDS: i64 = 3600;
/// A checkpoint older than this is no longer a root, and so not gone on from.
pub const CHECKPOINT_SECONDS_MAX: i64 = 14 * 24 * 3600;

/// An announced session. Dropping it leaves the announcement in place.
pub struct Session {
    repository: Arc<Repository>,
    name: ObjectName,
    record: SessionRecord,
    state: Mutex<State>,
}

struct State {
    renewed: Time,
    /// The last checkpoint.
    checkpoint: Option<(ObjectName, CheckpointRecord)>,
    /// A checkpoint or snapshot may be there, or may still come, whatever the store answered.
    in_doubt: bool,
}

/// What could not be removed. It does no harm: a prune finds it.
pub type Leftovers = Vec<EngineError>;

impl Session {
    /// Announces a session, looks at the marks, and condemns in the index what they do. The index must not be loaded yet; what the session
    /// builds on must be looked at again afterwards, for it may have gone before it was announced.
    pub fn open(repository: &Arc<Repository>, record: SessionRecord, now: Time) -> Result<Self> {
        let name = ObjectName::random()?;
        Self::open_as(repository, name, record, now).inspect_err(|_| {
            // Nothing was built on it: prunes need not wait for it. If it stays, they do, for a day at most.
            drop(repository.remove(layout::SESSIONS, name));
        })
    }

    fn open_as(
        repository: &Arc<Repository>,
        name: ObjectName,
        mut record: SessionRecord,
        now: Time,
    ) -> Result<Self> {
        repository.put_record(layout::SESSIONS, ObjectKind::Session, name, &record)?;
        let mut condemned = HashSet::new();
        for (mark, found) in repository.marks()? {
            let found = match found {
                Ok(found) => found,
                // It deletes nothing by a mark that it cannot read.
                Err(error)
                    if record.purpose == Purpose::Prune && error.kind() == EngineErrorKind::Damaged =>
                {
                    continue;
                }
                Err(error) => {
                    return Err(error
                        .with_hint("`larder prune` removes a mark that does not read once it is a day old"));
                }
            };
            condemned.extend(found.condemned.into_iter().map(|(_, pack)| pack));
            record.marks.push(mark);
        }
        if !planted(Bug::CondemnedTakenAsStored) {
            repository.index().condemn(condemned);
        }
        let state = Mutex::new(State { renewed: now, checkpoint: None, in_doubt: false });
        let session = Self { repository: Arc::clone(repository), name, record, state };
        if !session.record.marks.is_empty() {
            session.renew(now)?;
        }
        Ok(session)
    }

    /// Announces a long read. It need not see marks: what it reads is in use by its roots.
    pub(crate) fn read(repository: &Arc<Repository>, record: SessionRecord, now: Time) -> Result<Self> {
        let name = ObjectName::random()?;
        repository
            .put_record(layout::SESSIONS, ObjectKind::Session, name, &record)
            .inspect_err(|_| drop(repository.remove(layout::SESSIONS, name)))?;
        let state = Mutex::new(State { renewed: now, checkpoint: None, in_doubt: false });
        Ok(Self { repository: Arc::clone(repository), name, record, state })
    }

    /// Its id, which its snapshot will have.
    pub fn name(&self) -> ObjectName {
        self.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces it again, so that it is not taken as dead. To be called at least every hour.
    pub fn renew(&self, now: Time) -> Result<()> {
        if self.slept(now) {
            return Err(dead());
        }
        self.repository.put_record(layout::SESSIONS, ObjectKind::Session, self.name, &self.record)?;
        self.state().renewed = now;
        Ok(())
    }

    /// When it was last announced, by this machine's clock.
    pub fn renewed(&self) -> Time {
        self.state().renewed
    }

    /// What an error means that came of a session's being taken for dead: what it built on may then be gone.
    pub fn explain(&self, error: EngineError, now: Time) -> EngineError {
        if self.slept(now) { dead().with_source(error) } else { error }
    }

    /// Announces it again if that was last done an hour ago.
    pub fn renew_if_due(&self, now: Time) -> Result<()> {
        let due = now.seconds - self.state().renewed.seconds >= RENEWAL_SECONDS;
        if due { self.renew(now) } else { Ok(()) }
    }

    /// True if it was not renewed for so long that others may take it as dead.
    pub fn slept(&self, now: Time) -> bool {
        now.seconds - self.state().renewed.seconds > SESSION_SECONDS_MAX
    }

    /// The last checkpoint.
    pub fn last_checkpoint(&self) -> Option<CheckpointRecord> {
        self.state().checkpoint.as_ref().map(|(_, checkpoint)| checkpoint.clone())
    }

    /// Puts a checkpoint in place of the last one. Everything it needs must be durable.
    pub fn checkpoint(&self, record: CheckpointRecord) -> Result<Leftovers> {
        let name = ObjectName::random()?;
        self.state().in_doubt = true;
        self.repository.put_record(layout::CHECKPOINTS, ObjectKind::Checkpoint, name, &record)?;
        let old = {
            let mut state = self.state();
            state.in_doubt = false;
            state.checkpoint.replace((name, record))
        };
        let removed = old.map(|(old, _)| self.repository.remove(layout::CHECKPOINTS, old));
        Ok(removed.into_iter().filter_map(Result::err).collect())
    }

    /// Ends it with its snapshot, in one put. Everything the snapshot needs must be durable. After an error nobody knows whether the snapshot is
    /// there, so the announcement stays.
    pub fn commit(&self, snapshot: &SnapshotRecord, now: Time) -> Result<Leftovers> {
        self.state().in_doubt = true;
        let committed = !self.slept(now)
            && self.repository.put_record_once(
                layout::SNAPSHOTS,
                ObjectKind::Snapshot,
                self.name,
                snapshot,
            )?;
        if !committed {
            return Err(dead());
        }
        let checkpoints = match self.repository.checkpoints() {
            Ok(checkpoints) => readable(checkpoints),
            Err(error) => return Ok(vec![error]),
        };
        // One of a later run counts on. If it went and then came again, put twice on its way, a prune in between would have taken its blobs.
        let served = checkpoints
            .into_iter()
            .filter(|(_, checkpoint)| checkpoint.set == snapshot.set && checkpoint.run <= snapshot.run);
        let removed = served.map(|(name, _)| self.repository.remove(layout::CHECKPOINTS, name));
        Ok(removed.chain([self.end()]).filter_map(Result::err).collect())
    }

    /// After an error: takes the announcement back, so that nothing waits for this session. Its last checkpoint counts on. If a checkpoint or snapshot
    /// may still come, the announcement stays until its time is up, or until the set's next run on this machine ends it.
    pub fn stand_down(&self) -> Result<()> {
        if self.state().in_doubt && !planted(Bug::LostAnswerTakenForFailure) { Ok(()) } else { self.end() }
    }

    /// Removes the announcement: nothing of the session is on its way any more.
    pub fn end(&self) -> Result<()> {
        self.repository.remove(layout::SESSIONS, self.name)
    }
}

/// Others took the session for dead.
pub(crate) fn dead() -> EngineError {
    EngineError::failed("this session was not renewed for a day, so that others take it for dead")
        .with_hint("did the machine sleep? start again: a run goes on from its last checkpoint")
}

/// Of these checkpoints those that count. Those do not whose set has a snapshot of their run's number, or had one that was forgotten; nor those of a
/// session that was ended by another, except the one that was kept: what a session wrote after its end is nothing to build on. Nor any but a
/// session's furthest: one that went and came again, put twice on its way, may name blobs that are gone.
pub fn counting(
    repository: &Repository,
    mut checkpoints: Vec<(ObjectName, CheckpointRecord)>,
) -> Result<Vec<(ObjectName, CheckpointRecord)>> {
    if checkpoints.is_empty() || planted(Bug::CheckpointOfTheDead) {
        return Ok(checkpoints);
    }
    let ended: HashSet<_> = repository.names(layout::SNAPSHOTS)?.into_iter().collect();
    let mut runs: HashMap<String, u64> = HashMap::new();
    let mut ran = |set: String, run: u64| {
        let highest = runs.entry(set).or_default();
        *highest = run.max(*highest);
    };
    for (_, snapshot) in repository.snapshots()? {
        let snapshot = snapshot?;
        ran(snapshot.set, snapshot.run);
    }
    for (_, removal) in repository.removals()? {
        let removal = removal?;
        removal.removed.iter().for_each(|removed| ran(removal.set.clone(), removed.run));
    }
    let mut kept = HashSet::new();
    for (_, checkpoint) in &checkpoints {
        if ended.contains(&checkpoint.session) {
            kept.extend(repository.end_of(checkpoint.session)?.and_then(|end| end.keeps));
        }
    }
    let mut furthest: HashMap<ObjectName, u64> = HashMap::new();
    for (_, checkpoint) in &checkpoints {
        let number = furthest.entry(checkpoint.session).or_default();
        *number = checkpoint.number.max(*number);
    }
    checkpoints.retain(|(name, checkpoint)| {
        furthest.get(&checkpoint.session) == Some(&checkpoint.number)
            && runs.get(&checkpoint.set).is_none_or(|run| *run < checkpoint.run)
            && (!ended.contains(&checkpoint.session) || kept.contains(name))
    });
    Ok(checkpoints)
}

/// Who ends somebody else's session.
#[derive(Clone, Copy, Debug)]
pub struct Ender<'host> {
    /// The session that does it; a fresh name if it has none.
    pub by: ObjectName,
    /// The time.
    pub now: Time,
    /// The machine.
    pub host: &'host str,
}

/// Ends a writer's session that is known to be dead, and keeps its furthest checkpoint. If it turns out to have ended with a snapshot, or to have been
/// ended by another, it is no longer announced and nothing else changes.
pub fn end_dead_writer(
    repository: &Repository,
    dead: ObjectName,
    checkpoints: &[(ObjectName, CheckpointRecord)],
    ender: Ender<'_>,
) -> Result<()> {
    let its_own = checkpoints.iter().filter(|(_, checkpoint)| checkpoint.session == dead);
    let keeps = its_own.max_by_key(|(_, checkpoint)| checkpoint.number).map(|(name, _)| *name);
    let end = EndRecord { by: ender.by, ended: ender.now, host: ender.host.to_owned(), keeps };
    repository.put_record_once(layout::SNAPSHOTS, ObjectKind::End, dead, &end)?;
    repository.remove(layout::SESSIONS, dead)
}

/// Ends what sessions this machine left behind in a set whose lock is held: no process of theirs can live.
pub fn end_left_behind(
    repository: &Repository,
    set: &str,
    machine: ObjectName,
    ender: Ender<'_>,
) -> Result<()> {
    let mut checkpoints = None;
    for (name, session) in repository.sessions()? {
        let ours = match session {
            Ok(session) => {
                session.purpose == Purpose::Write && session.set == set && session.machine == machine
            }
            // Whose it was cannot be told: it ends when its time is up.
            Err(error) if error.kind() == EngineErrorKind::Damaged => false,
            Err(error) => return Err(error),
        };
        if ours {
            let checkpoints = match &checkpoints {
                Some(known) => known,
                None => checkpoints.insert(readable(repository.checkpoints()?)),
            };
            end_dead_writer(repository, name, checkpoints, ender)?;
        }
    }
    Ok(())
}

/// Those checkpoints that read. One that does not is no loss to a run, which then goes on from an earlier state.
pub fn readable(
    checkpoints: Vec<(ObjectName, Result<CheckpointRecord>)>,
) -> Vec<(ObjectName, CheckpointRecord)> {
    checkpoints.into_iter().filter_map(|(name, checkpoint)| Some((name, checkpoint.ok()?))).collect()
}
