//! How a run becomes durable: checkpoints on the way, the snapshot at its end.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use larder_sdk::{ContainerId, Finding};

use super::run::{Run, RunSummary, container_record, name_of};
use crate::{
    error::{EngineError, Result},
    events::{ContainerState as Shown, Event},
    hash::ObjectName,
    index::BlobKind,
    repository::{Saver, session::Leftovers},
    snapshot::{CheckpointRecord, ContainerOutcome, ContainerRecord, SnapshotOutcome, SnapshotRecord},
    tree::{self, Root},
};

/// Most findings that a snapshot keeps: they are read with it by every command that looks for one.
const FINDINGS_MAX: usize = 100;

impl Run<'_> {
    /// Makes what was read so far durable, and a root that the next run goes on from.
    pub(super) fn checkpoint(&self) -> Result<()> {
        let (Some(saver), Some(session)) = (&self.saver, &self.session) else { return Ok(()) };
        let (mut records, active) = {
            let progress = self.progress();
            let active: Vec<_> = progress
                .active
                .iter()
                .map(|(id, active)| {
                    let parts = (active.container.clone(), Arc::clone(&active.state), active.read);
                    (id.clone(), Arc::clone(&active.counts), parts)
                })
                .collect();
            (progress.finished.clone(), active)
        };
        let mut flushing = vec![(Arc::clone(&self.nodes), 0)];
        for (id, counts, (container, state, read)) in active {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let root = state.checkpoint()?;
            let record =
                container_record(&container, root, state.counts(), read, ContainerOutcome::Unfinished);
            let work = counts.work(self.setup.clock.elapsed());
            records.insert(id, ContainerRecord { work, ..record });
            flushing.push((Arc::clone(state.nodes()), state.nodes().flushing()));
        }
        let root = self.edit_containers(&records, &[])?;
        flushing[0].1 = self.nodes.flushing();
        saver.flush()?;
        for (nodes, epoch) in flushing {
            nodes.flushed(epoch);
        }
        let last = session.last_checkpoint();
        if last.as_ref().is_some_and(|last| last.root == root) || root == self.base_root() {
            return Ok(());
        }
        let number = last.map_or(0, |last| last.number) + 1;
        let record = CheckpointRecord {
            set: self.setup.set.clone(),
            run: self.base.run,
            session: session.name(),
            number,
            base: self.base.snapshot.as_ref().map(|(name, _)| *name),
            taken: self.setup.clock.now(),
            root,
            segments: self.segments(saver),
        };
        self.tell_leftovers(session.checkpoint(record)?);
        self.setup.events.event(Event::Checkpoint { number });
        Ok(())
    }

    /// The index segments of this run, also those it had written before it was interrupted.
    fn segments(&self, saver: &Saver) -> Vec<(BlobKind, ObjectName)> {
        let before = self.base.checkpoint.iter().flat_map(|(_, checkpoint)| checkpoint.segments.clone());
        before.chain(saver.segments()).collect()
    }

    fn edit_containers(
        &self,
        records: &BTreeMap<ContainerId, ContainerRecord>,
        dropped: &[ContainerId],
    ) -> Result<Option<Root>> {
        let mut edits = BTreeMap::new();
        for (id, record) in records {
            edits.insert(id.as_bytes().to_vec(), Some(self.nodes.wrap(record)?));
        }
        for id in dropped {
            edits.insert(id.as_bytes().to_vec(), None);
        }
        let edits: Vec<_> = edits.into_iter().collect();
        Ok(tree::edit(&*self.nodes, self.base_root(), &edits)?)
    }

    fn tell_leftovers(&self, leftovers: Leftovers) {
        for error in leftovers {
            let text = format!("what this run needs no more could not be removed: {}", error.full_message());
            self.setup.events.event(Event::warning("larder", text));
        }
    }

    /// Containers that the tree has and discovery did not find: carried over, or dropped when their time is up.
    fn gone(&self, records: &mut BTreeMap<ContainerId, ContainerRecord>) -> Result<(Vec<ContainerId>, bool)> {
        let now = self.setup.clock.now();
        let mut dropped = Vec::new();
        let (mut before, mut newly_gone) = (0, 0);
        let mut scan = tree::scan(&*self.nodes, self.base_root(), b"", b"")?;
        while let Some((_, key, value)) = scan.next_entry()? {
            let id = ContainerId::new(key);
            let record: ContainerRecord = self.nodes.unwrap(&value)?;
            before += u64::from(record.gone_since.is_none());
            if records.contains_key(&id) {
                continue;
            }
            let name = name_of(&record.container);
            let since = record.gone_since.unwrap_or_else(|| {
                newly_gone += 1;
                self.setup.events.event(Event::Container { name: name.clone(), state: Shown::Gone });
                now
            });
            if now.seconds - since.seconds > i64::from(self.setup.keep_gone_days) * 24 * 3600 {
                dropped.push(id);
            } else {
                records.insert(id, ContainerRecord { gone_since: Some(since), ..record });
            }
        }
        Ok((dropped, self.is_loss(newly_gone, before) || (newly_gone > 0 && newly_gone == before)))
    }

    /// Writes the snapshot and removes what only this run needed.
    pub(super) fn commit(&self, findings: Vec<Finding>) -> Result<RunSummary> {
        let mut records = std::mem::take(&mut self.progress().finished);
        refuse_if_nothing_was_read(&records)?;
        let (dropped, lost_containers) = self.gone(&mut records)?;
        let deleted = records.values_mut().map(take_deleted).sum();
        let root = self.edit_containers(&records, &dropped)?;
        let (Some(saver), Some(session)) = (&self.saver, &self.session) else {
            return Err(EngineError::failed("a dry run cannot be committed"));
        };
        saver.flush()?;
        let complete = !lost_containers
            && records.values().all(|record| {
                record.owed == 0 && (record.gone_since.is_some() || record.outcome == ContainerOutcome::Done)
            });
        let outcome = if complete { SnapshotOutcome::Complete } else { SnapshotOutcome::Incomplete };
        let totals = self.totals(&records, deleted);
        let snapshot = SnapshotRecord {
            set: self.setup.set.clone(),
            run: self.base.run,
            base: self.base.snapshot.as_ref().map(|(name, _)| *name),
            started: self.started,
            finished: self.setup.clock.now(),
            host: self.setup.host.clone(),
            program: format!("larder {}", env!("CARGO_PKG_VERSION")),
            tags: self.setup.tags.clone(),
            root,
            outcome,
            totals,
            segments: self.segments(saver),
            more_findings: findings.len().saturating_sub(FINDINGS_MAX) as u64,
            findings: findings.iter().take(FINDINGS_MAX).cloned().collect(),
        };
        let leftovers = session.commit(&snapshot, self.setup.clock.now())?;
        self.tell_leftovers(leftovers);
        self.setup.local.saw_run(&self.setup.set, self.base.run, session.name())?;
        Ok(self.summary(Some(session.name()), outcome, totals, records, findings))
    }
}

/// What a run removed in a container counts once: what is taken out here stands in the report alone.
fn take_deleted(record: &mut ContainerRecord) -> u64 {
    record.work.deleted = std::mem::take(&mut record.deleted);
    record.work.deleted
}

/// A run in which no container could be read is a failure, not a snapshot.
fn refuse_if_nothing_was_read(records: &BTreeMap<ContainerId, ContainerRecord>) -> Result<()> {
    let reason = |record: &ContainerRecord| match &record.outcome {
        ContainerOutcome::Failed(reason) => Some(reason.clone()),
        _ => None,
    };
    let reasons: Option<Vec<String>> = records.values().map(reason).collect();
    match reasons.as_deref() {
        Some([first, rest @ ..]) => {
            let others = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Err(EngineError::failed(format!("no container could be read: {first}{others}"))
                .with_hint("run `larder validate` to see what is wrong; earlier snapshots are untouched"))
        }
        _ => Ok(()),
    }
}
