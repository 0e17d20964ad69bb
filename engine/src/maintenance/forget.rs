//! Dropping snapshots by rule.
//!
//! A removal record is durable before the first snapshot goes, so that a snapshot that was dropped can be told from one that someone
//! took away. What snapshots alone need stays stored until it is pruned.

use jiff::tz::TimeZone;

use crate::{
    clock::Clock,
    crypto::ObjectKind,
    error::Result,
    hash::ObjectName,
    process::Interrupt,
    repository::{Repository, layout},
    retention::{Candidate, Keep, Rule, select},
    snapshot::{RemovalRecord, RemovedSnapshot, SnapshotRecord},
};

/// A snapshot, and why it stays; nothing means that it goes.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its id.
    pub id: ObjectName,
    /// What it says.
    pub snapshot: SnapshotRecord,
    /// The rules that keep it.
    pub kept_by: Vec<Rule>,
}

/// How snapshots are dropped.
pub struct ForgetOptions<'run> {
    /// The rules.
    pub keep: Keep,
    /// Only look.
    pub dry_run: bool,
    /// The calendar of hours and days.
    pub zone: &'run TimeZone,
    /// This machine's name, for the record.
    pub host: &'run str,
}

/// Drops what no rule keeps of a set's snapshots, oldest first. Safe beside runs, restores and other machines: a set's newest stays.
pub fn forget(
    repository: &Repository,
    set: &str,
    options: &ForgetOptions<'_>,
    clock: &dyn Clock,
    interrupt: &Interrupt,
) -> Result<Vec<Judged>> {
    let snapshots = repository.snapshots_of(set)?;
    let candidates: Vec<_> = snapshots
        .iter()
        .map(|(_, snapshot)| Candidate { taken: snapshot.finished, tags: &snapshot.tags })
        .collect();
    let reasons = select(&candidates, &options.keep, options.zone);
    let judged: Vec<Judged> = snapshots
        .into_iter()
        .zip(reasons)
        .map(|((id, snapshot), kept_by)| Judged { id, snapshot, kept_by })
        .collect();
    let dropped: Vec<&Judged> = judged.iter().filter(|judged| judged.kept_by.is_empty()).collect();
    if options.dry_run || dropped.is_empty() {
        return Ok(judged);
    }
    let record = RemovalRecord {
        set: set.to_owned(),
        removed: dropped
            .iter()
            .map(|judged| RemovedSnapshot {
                run: judged.snapshot.run,
                id: judged.id,
                root: judged.snapshot.root,
            })
            .collect(),
        removed_at: clock.now(),
        host: options.host.to_owned(),
    };
    repository.put_record(layout::REMOVED, ObjectKind::Removal, ObjectName::random()?, &record)?;
    for judged in dropped {
        interrupt.check()?;
        repository.remove(layout::SNAPSHOTS, judged.id)?;
    }
    Ok(judged)
}
