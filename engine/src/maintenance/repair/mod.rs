//! Mending a repository: what is damaged is rebuilt from what is good, and what is lost is named.
//!
//! ```text
//! session ─ twins ─ packs and segments looked through ─ good frames into new packs, new segments
//!         ─ short-lived objects ─ snapshots without what is lost ─ records of what is missing
//!         ─ end of session ─ only now what was replaced goes
//! ```
//!
//! It repairs what a check with the same options finds. Nothing good is touched, and nothing goes before what replaces it is durable: killed at
//! any time, it can be run again.

mod objects;
mod packs;
mod snapshots;
mod tree;

use std::collections::BTreeSet;

use larder_sdk::ObjectKey;

use self::packs::Packs;
use super::{
    Problem, PruneSetup, ReadData,
    prune::{announce_alone, end_alone},
};
use crate::{
    error::{EngineError, Result},
    hash::ObjectName,
    repository::{LocalState, Session},
};

/// Most losses that are listed one by one; the rest is counted.
const LOSSES_MAX: usize = 10_000;

/// What a repair works with. The lock for prunes must be held.
pub struct RepairSetup<'run> {
    /// As for a prune; the index must not be loaded yet.
    pub at: PruneSetup<'run>,
    /// What this machine remembers.
    pub local: &'run LocalState,
}

/// How a repair is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct RepairOptions {
    /// Only look.
    pub dry_run: bool,
    /// Which data packs are read to find damage; tree packs always are.
    pub read_data: ReadData,
}

/// What a repair found and did.
#[derive(Clone, Debug, Default)]
pub struct RepairReport {
    /// What was mended, or would be: an object or snapshot, and how.
    pub mended: Vec<Problem>,
    /// What is lost.
    pub lost: Vec<Loss>,
    /// How many more losses there are than are listed.
    pub more_lost: u64,
    /// What is wrong and stays so, and what to do about it.
    pub unmended: Vec<Problem>,
    /// What was replaced and could not be deleted, and why: the next repair or prune tries again.
    pub refused: Vec<Problem>,
    /// Packs read.
    pub read_packs: u64,
    /// Bytes of packs read.
    pub read_bytes: u64,
}

/// Something that is gone for good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// The snapshot that had it; it is gone from there.
    pub snapshot: ObjectName,
    /// The snapshot in its place; `None` on a dry run, or if the whole snapshot is lost.
    pub replaced_by: Option<ObjectName>,
    /// The item's path; empty for the snapshot itself.
    pub path: String,
    /// What is lost of it.
    pub what: String,
}

impl RepairReport {
    /// True if nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.mended.is_empty() && self.lost.is_empty() && self.unmended.is_empty()
    }

    fn mended(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        self.mended.push(Problem { subject: subject.into(), message: message.into() });
    }

    fn unmended(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        self.unmended.push(Problem { subject: subject.into(), message: message.into() });
    }

    fn lost(&mut self, loss: Loss) {
        if self.lost.len() < LOSSES_MAX {
            self.lost.push(loss);
        } else {
            self.more_lost += 1;
        }
    }
}

/// Repairs what can be repaired.
pub fn repair(setup: &RepairSetup<'_>, options: RepairOptions) -> Result<RepairReport> {
    let session = if options.dry_run { None } else { Some(announce_alone(&setup.at)?) };
    let mut repair =
        Repair { setup, options, session, report: RepairReport::default(), replaced: Vec::new() };
    let done = repair.go();
    if let Some(session) = &repair.session {
        end_alone(&setup.at, session);
    }
    let mut report = done.map(|()| repair.report)?;
    report.lost.sort();
    Ok(report)
}

struct Repair<'run> {
    setup: &'run RepairSetup<'run>,
    options: RepairOptions,
    /// `None` on a dry run.
    session: Option<Session>,
    report: RepairReport,
    /// What goes once everything is durable.
    replaced: Vec<ObjectKey>,
}

impl Repair<'_> {
    fn go(&mut self) -> Result<()> {
        self.twins()?;
        let packs = Packs::look(self)?;
        packs.mend(self)?;
        self.short_lived()?;
        self.snapshots()?;
        self.delete()
    }

    fn is_dry(&self) -> bool {
        self.options.dry_run
    }

    /// The names in a folder. Listed twice, since a listing may lag: what either shows is there.
    fn names(&self, folder: &str) -> Result<BTreeSet<ObjectName>> {
        let repository = self.setup.at.repository;
        let mut names: BTreeSet<ObjectName> = repository.names(folder)?.into_iter().collect();
        names.extend(repository.names(folder)?);
        Ok(names)
    }

    /// Looks whether to stop, and keeps the session alive.
    fn breathe(&self) -> Result<()> {
        self.setup.at.interrupt.check()?;
        match &self.session {
            Some(session) => session.renew_if_due(self.setup.at.clock.now()),
            None => Ok(()),
        }
    }

    /// Deletes what was replaced. Whoever slept for a day may have been taken for dead, and deletes nothing.
    fn delete(&mut self) -> Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        if session.slept(self.setup.at.clock.now()) {
            return Err(EngineError::failed(
                "this repair's session was not renewed for a day and counts as dead",
            )
            .with_hint("nothing was deleted; did the machine sleep? repair again"));
        }
        for key in std::mem::take(&mut self.replaced) {
            if let Err(error) = self.setup.at.repository.store().delete(&key) {
                self.report.refused.push(Problem { subject: key.to_string(), message: error.to_string() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
