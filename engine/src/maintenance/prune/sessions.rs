//! The other sessions: which ones are dead, and which ones a prune must wait for.

use std::collections::{HashMap, HashSet};

use larder_sdk::Time;

use super::{PruneSetup, WaitingFor};
use crate::{
    crypto::ObjectKind,
    error::{EngineError, EngineErrorKind, Result},
    hash::ObjectName,
    repository::{
        Repository, Session, layout,
        session::{CHECKPOINT_SECONDS_MAX, Ender, SESSION_SECONDS_MAX, counting, end_dead_writer, readable},
    },
    snapshot::{EndRecord, Purpose, SessionRecord},
};

/// This machine's clock and the store's may differ by this much.
const SKEW_SECONDS_MAX: i64 = 600;
/// A pack that is not older than a session by this much may be that session's.
const YOUNG_SECONDS: i64 = 3600;

/// The sessions of others, as they were listed. One that does not read is a writer's as far as one can tell.
pub(super) struct Others {
    /// The store's own time, if it tells.
    now: Option<Time>,
    open: Vec<Other>,
    /// Ended, though still announced.
    ended: Vec<Other>,
}

struct Other {
    name: ObjectName,
    record: Option<SessionRecord>,
    /// Not renewed for so long that it counts as dead once it is ended for it.
    silent: bool,
    /// A prune of this machine, whose lock is held: no process of it lives, so that nothing need keep it from going on.
    dead: bool,
}

/// Lists them. Which ones are silent is told by the store's own clock, against this prune's own announcement; on a dry run none is.
pub(super) fn look(setup: &PruneSetup<'_>, own: Option<&Session>) -> Result<Others> {
    let repository = setup.repository;
    let modified = modified(repository, layout::SESSIONS)?;
    let now = own.and_then(|own| modified.get(&own.name())).copied();
    if let (Some(own), Some(now)) = (own, now) {
        refuse_skew(now, own.renewed())?;
    }
    let mut ended: HashSet<ObjectName> = repository.names(layout::SNAPSHOTS)?.into_iter().collect();
    ended.extend(repository.names(layout::ENDED)?);
    let mut others = Others { now, open: Vec::new(), ended: Vec::new() };
    for (name, session) in repository.sessions()? {
        if own.is_some_and(|own| own.name() == name) {
            continue;
        }
        let record = match session {
            Ok(session) => Some(session),
            Err(error) if error.kind() == EngineErrorKind::Damaged => None,
            Err(error) => return Err(error),
        };
        let silent = match (now, modified.get(&name)) {
            (Some(now), Some(renewed)) => is_silent(now, *renewed),
            _ => false,
        };
        let of_a_dead_prune = own.is_some()
            && record
                .as_ref()
                .is_some_and(|record| record.purpose == Purpose::Prune && record.machine == setup.machine);
        let list = if ended.contains(&name) { &mut others.ended } else { &mut others.open };
        list.push(Other { name, record, silent: silent || of_a_dead_prune, dead: of_a_dead_prune });
    }
    Ok(others)
}

/// When the objects of a folder were last written, by the store's clock.
pub(super) fn modified(repository: &Repository, folder: &str) -> Result<HashMap<ObjectName, Time>> {
    let objects = repository.store().list_all(folder).map_err(EngineError::store)?;
    Ok(objects.into_iter().filter_map(|(key, info)| Some((layout::name_of(&key)?, info.modified?))).collect())
}

fn is_silent(now: Time, renewed: Time) -> bool {
    now.seconds - renewed.seconds > SESSION_SECONDS_MAX
}

fn refuse_skew(store: Time, local: Time) -> Result<()> {
    let skew = local.seconds - store.seconds;
    if skew.abs() <= SKEW_SECONDS_MAX {
        return Ok(());
    }
    let which = if skew > 0 { "ahead of" } else { "behind" };
    Err(EngineError::failed(format!(
        "this machine's clock is {} minutes {which} the store's, so that it cannot be told which sessions are dead",
        skew.abs() / 60
    ))
    .with_hint("nothing was deleted; set the clock (`timedatectl set-ntp true`) and prune again"))
}

/// Only one prune at a time rewrites the index: if another is at work, this one goes.
pub(super) fn stand_back(others: &Others) -> Result<()> {
    let prune = others
        .open
        .iter()
        .filter(|other| !other.silent)
        .find_map(|other| other.record.as_ref().filter(|record| record.purpose == Purpose::Prune));
    match prune {
        Some(prune) => Err(EngineError::new(
            EngineErrorKind::Busy,
            format!("`{}` is pruning this repository", prune.host),
        )
        .with_hint("wait until it ends; if it died, its session ends by itself after a day")),
        None => Ok(()),
    }
}

/// Ends sessions that are dead, so that nothing waits for them, and removes what counts no more.
pub(super) fn bury(setup: &PruneSetup<'_>, by: ObjectName, others: &Others) -> Result<()> {
    let repository = setup.repository;
    let now = setup.clock.now();
    let ender = Ender { by, now, host: setup.host };
    for other in others.open.iter().filter(|other| other.silent) {
        match other.record.as_ref().map(|record| record.purpose) {
            Some(Purpose::Read) => {}
            Some(Purpose::Prune) if other.dead => {}
            Some(Purpose::Prune) => {
                let end = EndRecord { by, ended: now, host: setup.host.to_owned(), keeps: None };
                repository.put_record_once(layout::ENDED, ObjectKind::End, other.name, &end)?;
            }
            Some(Purpose::Write) | None => {
                end_dead_writer(repository, other.name, &readable(repository.checkpoints()?), ender)?;
            }
        }
        repository.remove(layout::SESSIONS, other.name)?;
    }
    for other in others.ended.iter().filter(|other| other.silent) {
        if other.dead {
            // First its end: without its session nobody would know that this can go.
            repository.remove(layout::ENDED, other.name)?;
        }
        repository.remove(layout::SESSIONS, other.name)?;
    }
    forget_ends(repository, others)?;
    let marked = modified(repository, layout::MARKS)?;
    for (name, mark) in repository.marks()? {
        // Runs stop at a mark that does not read, and no prune goes on with it: its packs are found again.
        let old = others.now.zip(marked.get(&name)).is_some_and(|(now, made)| is_silent(now, *made));
        if old && mark.is_err_and(|error| error.kind() == EngineErrorKind::Damaged) {
            repository.remove(layout::MARKS, name)?;
        }
    }
    let checkpoints = readable(repository.checkpoints()?);
    let count: HashSet<_> =
        counting(repository, checkpoints.clone())?.into_iter().map(|(name, _)| name).collect();
    for (name, checkpoint) in checkpoints {
        let old = now.seconds - checkpoint.taken.seconds > CHECKPOINT_SECONDS_MAX + SKEW_SECONDS_MAX;
        if old || !count.contains(&name) {
            repository.remove(layout::CHECKPOINTS, name)?;
        }
    }
    Ok(())
}

/// Removes ends of prunes that are no longer announced. One that ended itself only had to delete; one that was ended by another gives up by its own
/// clock after a day, so that nothing need keep it from going on after as long as a checkpoint counts.
fn forget_ends(repository: &Repository, others: &Others) -> Result<()> {
    let announced: HashSet<_> = others.open.iter().chain(&others.ended).map(|other| other.name).collect();
    for (name, ended) in modified(repository, layout::ENDED)? {
        if announced.contains(&name) {
            continue;
        }
        let old = others.now.is_some_and(|now| now.seconds - ended.seconds > CHECKPOINT_SECONDS_MAX);
        let its_own = match repository.find_record::<EndRecord>(layout::ENDED, ObjectKind::End, name) {
            Ok(end) => end.is_none_or(|end| end.by == name),
            Err(error) if error.kind() == EngineErrorKind::Damaged => false,
            Err(error) => return Err(error),
        };
        if old || its_own {
            repository.remove(layout::ENDED, name)?;
        }
    }
    Ok(())
}

impl Others {
    /// True if nobody else has a session.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The sessions that have not seen a mark. A reader needs not: what it reads is in use by its roots.
    pub(super) fn blocking(&self, mark: ObjectName) -> impl Iterator<Item = WaitingFor> + '_ {
        self.open.iter().filter_map(move |other| match &other.record {
            Some(record) => {
                let blocks = record.purpose != Purpose::Read && !record.marks.contains(&mark);
                blocks.then(|| WaitingFor {
                    set: record.set.clone(),
                    host: record.host.clone(),
                    started: Some(record.started),
                })
            }
            None => Some(WaitingFor { set: String::new(), host: String::new(), started: None }),
        })
    }

    /// True if an object was written more than a day ago, by the store's clock.
    pub(super) fn is_a_day_old(&self, modified: Option<Time>) -> bool {
        self.now.zip(modified).is_some_and(|(now, modified)| is_silent(now, modified))
    }

    /// True if a pack of this age may be one that an open session has just written. That would be safe to condemn too, and copied for nothing.
    pub(super) fn may_still_write(&self, modified: Option<Time>) -> bool {
        let Some(modified) = modified else { return false };
        self.open.iter().any(|other| {
            other.record.as_ref().is_none_or(|record| {
                record.purpose == Purpose::Write && modified.seconds + YOUNG_SECONDS > record.started.seconds
            })
        })
    }
}
