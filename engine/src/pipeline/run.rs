//! One run of one set: from what it builds on to the snapshot.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_sdk::{Container, ContainerId, Finding, FindingLevel, Time};

use super::{
    base::{self, Base},
    budget::Budget,
    container::{ContainerRun, Ended, Shared},
    fetch::ReadCounts,
    state::{ContainerState, StateCounts},
};
use crate::{
    clock::Clock,
    crypto::ObjectKind,
    error::{EngineError, Result},
    events::{ContainerState as Shown, Counts, Event, Events, Phase},
    hash::ObjectName,
    index::BlobKind,
    plugin::SourceHandle,
    process::Interrupt,
    repository::{BlobReader, LocalState, Nodes, Repository, Saver, layout},
    snapshot::{
        CheckpointRecord, ContainerOutcome, ContainerRecord, SessionRecord, SnapshotOutcome, SnapshotRecord,
        Totals,
    },
    tree::{self, Root},
};

/// Memory for contents on their way, over all containers.
const BUDGET_BYTES: usize = 40 << 20;
/// Opened frames kept for reading trees.
const TREE_CACHE_BYTES: usize = 16 << 20;
/// Saved and not yet durable tree nodes that trigger a checkpoint.
const FRESH_BYTES_MAX: usize = 48 << 20;
/// A container or set that held fewer than this is never held back by `max_loss`: small numbers change by large shares.
const LOSS_FLOOR: u64 = 25;
/// How often a session is renewed.
const SESSION_RENEWAL: Duration = Duration::from_secs(3600);
const TICK: Duration = Duration::from_millis(100);

/// What a run needs.
pub struct RunSetup {
    /// The repository.
    pub repository: Arc<Repository>,
    /// What this machine remembers of it.
    pub local: LocalState,
    /// The source.
    pub source: SourceHandle,
    /// The set's name.
    pub set: String,
    /// The share, in a hundred, of items or containers that a run may drop; `None` for any.
    pub max_loss_percent: Option<u8>,
    /// How long a container that is gone is kept, in days.
    pub keep_gone_days: u32,
    /// Containers read at once.
    pub containers_at_once: usize,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// This machine's name.
    pub host: String,
    /// Takes what happens.
    pub events: Arc<dyn Events>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Tells when to stop.
    pub interrupt: Interrupt,
}

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Look only: nothing is read but listings, nothing is written.
    pub dry_run: bool,
    /// Drop whatever the source no longer has.
    pub accept_loss: bool,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// The set's run number.
    pub run: u64,
    /// The snapshot; `None` on a dry run.
    pub snapshot: Option<ObjectName>,
    /// How it went.
    pub outcome: SnapshotOutcome,
    /// What is in the snapshot and what was read.
    pub totals: Totals,
    /// Items that the source listed or reported.
    pub listed: u64,
    /// Whether it went on from a checkpoint.
    pub resumed: bool,
    /// The containers.
    pub containers: Vec<ContainerSummary>,
    /// What discovery found worth telling.
    pub findings: Vec<Finding>,
}

/// What became of one container.
#[derive(Clone, Debug)]
pub struct ContainerSummary {
    /// Its path.
    pub name: String,
    /// What stands in the snapshot.
    pub record: ContainerRecord,
}

/// A container's name for people: its path.
fn name_of(container: &Container) -> String {
    container.path.iter().fold(String::new(), |path, part| path + "/" + &part.display())
}

/// Runs a set. Exit code 3 is for the caller to tell from [`RunSummary::outcome`].
pub fn run(setup: &RunSetup, options: RunOptions) -> Result<RunSummary> {
    let _lock = (!options.dry_run).then(|| setup.local.lock(&setup.set)).transpose()?;
    let phase = |phase| setup.events.event(Event::Phase { phase, subject: setup.set.clone() });
    phase(Phase::Opening);
    let started = setup.clock.now();
    let base = base::find(&setup.repository, &setup.local, &setup.set, started)?;
    let session = ObjectName::random()?;
    if !options.dry_run {
        put_session(setup, session, started, &base)?;
    }
    setup.repository.load_index()?;
    phase(Phase::Discovering);
    let discovery = setup.source.discover()?;
    for finding in &discovery.findings {
        if finding.level != FindingLevel::Good {
            setup
                .events
                .event(Event::warning(&setup.set, format!("{}: {}", finding.subject, finding.message)));
        }
    }
    setup.interrupt.check()?;
    phase(Phase::BackingUp);
    let reader = Arc::new(BlobReader::new(Arc::clone(&setup.repository), TREE_CACHE_BYTES));
    let saver = if options.dry_run { None } else { Some(Saver::start(Arc::clone(&setup.repository))?) };
    let run = Run {
        setup,
        options,
        started,
        session,
        nodes: nodes(&reader, saver.as_ref()),
        reader,
        saver,
        counts: ReadCounts::default(),
        stop: AtomicBool::new(false),
        progress: Mutex::default(),
        base,
    };
    run.containers(&discovery.containers)?;
    if options.dry_run {
        return Ok(run.dry_summary(discovery.findings));
    }
    if setup.interrupt.is_requested() {
        run.checkpoint()?;
        return Err(EngineError::interrupted().with_hint("the next run goes on from what was read so far"));
    }
    phase(Phase::Finishing);
    run.commit(discovery.findings)
}

fn nodes(reader: &Arc<BlobReader>, saver: Option<&Arc<Saver>>) -> Arc<Nodes> {
    Arc::new(match saver {
        Some(saver) => Nodes::writable(Arc::clone(reader), Arc::clone(saver)),
        None => Nodes::in_memory(Arc::clone(reader)),
    })
}

fn put_session(setup: &RunSetup, session: ObjectName, started: Time, base: &Base) -> Result<()> {
    let roots = base.snapshot.iter().filter_map(|(_, snapshot)| snapshot.root);
    let roots = roots.chain(base.checkpoint.iter().filter_map(|(_, checkpoint)| checkpoint.root)).collect();
    let record = SessionRecord { set: setup.set.clone(), host: setup.host.clone(), started, roots };
    setup.repository.put_record(layout::SESSIONS, ObjectKind::Session, session, &record)
}

struct Run<'setup> {
    setup: &'setup RunSetup,
    options: RunOptions,
    started: Time,
    session: ObjectName,
    base: Base,
    reader: Arc<BlobReader>,
    saver: Option<Arc<Saver>>,
    /// Of the snapshot's own tree.
    nodes: Arc<Nodes>,
    counts: ReadCounts,
    stop: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    active: BTreeMap<ContainerId, Active>,
    finished: BTreeMap<ContainerId, ContainerRecord>,
    /// The last checkpoint's name, number and root.
    checkpoint: Option<(ObjectName, u64, Option<Root>)>,
    errors: Vec<EngineError>,
    containers_total: u64,
}

/// A container being read.
struct Active {
    container: Container,
    state: Arc<Mutex<ContainerState>>,
    read: Option<Time>,
}

impl Run<'_> {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tree that this run's containers start from.
    fn base_root(&self) -> Option<Root> {
        match (&self.base.checkpoint, &self.base.snapshot) {
            (Some((_, checkpoint)), _) => checkpoint.root,
            (None, Some((_, snapshot))) => snapshot.root,
            (None, None) => None,
        }
    }

    fn record(&self, root: Option<Root>, id: &ContainerId) -> Result<Option<ContainerRecord>> {
        let Some(root) = root else { return Ok(None) };
        let value = tree::get(&*self.nodes, root, id.as_bytes())?;
        value.map(|(_, value)| self.nodes.unwrap(&value)).transpose()
    }

    /// Reads all containers, several at once, with checkpoints in between.
    fn containers(&self, containers: &[Container]) -> Result<()> {
        self.progress().containers_total = containers.len() as u64;
        let queue = Mutex::new(containers.iter().collect::<VecDeque<_>>());
        let budget = Budget::new(BUDGET_BYTES);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.setup.containers_at_once.min(containers.len()).max(1))
                .map(|_| scope.spawn(|| self.read_from(&queue, &budget)))
                .collect();
            let watched = self.watch(|| threads.iter().all(std::thread::ScopedJoinHandle::is_finished));
            if watched.is_err() {
                self.stop_all();
            }
            watched
        })?;
        match self.progress().errors.pop() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn read_from(&self, queue: &Mutex<VecDeque<&Container>>, budget: &Budget) {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(container) = next else { return };
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = self.read_one(container, budget) {
                self.progress().errors.push(error.context(name_of(container)));
                self.stop_all();
                return;
            }
        }
    }

    fn stop_all(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.setup.source.cancel();
    }

    fn read_one(&self, container: &Container, budget: &Budget) -> Result<()> {
        let name = name_of(container);
        let show = |state| self.setup.events.event(Event::Container { name: name.clone(), state });
        show(Shown::Began);
        let before = self.record(self.base_root(), &container.id)?;
        let counts = before.as_ref().map_or(StateCounts::default(), |record| StateCounts {
            items: record.items,
            owed: record.owed,
            deleted: record.deleted,
        });
        let root = before.as_ref().and_then(|record| record.root);
        let read = before.as_ref().and_then(|record| record.read);
        let nodes = nodes(&self.reader, self.saver.as_ref());
        let state = Arc::new(Mutex::new(ContainerState::new(nodes, container.clone(), root, counts)));
        let active = Active { container: container.clone(), state: Arc::clone(&state), read };
        self.progress().active.insert(container.id.clone(), active);
        let shared = Shared {
            repository: &self.setup.repository,
            saver: self.saver.as_deref(),
            budget,
            source: &self.setup.source,
            counts: &self.counts,
            events: &self.setup.events,
            clock: &*self.setup.clock,
            stop: &self.stop,
        };
        let ended =
            ContainerRun { name: name.clone(), state: Arc::clone(&state) }.read(&shared, container)?;
        let outcome = match ended {
            // Stays active, so that the last checkpoint has what was read.
            Ended::Stopped => return Ok(()),
            Ended::Done => ContainerOutcome::Done,
            Ended::Failed(error) => {
                let reason = error.message().to_owned();
                show(Shown::Failed(reason.clone()));
                ContainerOutcome::Failed(reason)
            }
        };
        let done = outcome == ContainerOutcome::Done;
        let record = self.finish_container(container, &state, outcome, read)?;
        let mut progress = self.progress();
        progress.active.remove(&container.id);
        progress.finished.insert(container.id.clone(), record);
        drop(progress);
        if done {
            show(Shown::Done);
        }
        Ok(())
    }

    fn finish_container(
        &self,
        container: &Container,
        state: &Mutex<ContainerState>,
        outcome: ContainerOutcome,
        read: Option<Time>,
    ) -> Result<ContainerRecord> {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = state.counts();
        if let Some(held) = self.held_back(container, counts)? {
            return Ok(held);
        }
        let read = if outcome == ContainerOutcome::Done { Some(self.setup.clock.now()) } else { read };
        let root = state.checkpoint()?;
        Ok(container_record(container, root, counts, read, outcome))
    }

    /// The old record, if more would be dropped than may be.
    fn held_back(&self, container: &Container, counts: StateCounts) -> Result<Option<ContainerRecord>> {
        let snapshot = self.base.snapshot.as_ref().and_then(|(_, snapshot)| snapshot.root);
        let Some(old) = self.record(snapshot, &container.id)? else { return Ok(None) };
        if !self.is_loss(counts.deleted, old.items) {
            return Ok(None);
        }
        let text = format!(
            "{} of {} items would be dropped, more than `max_loss` allows: the old state is kept (--accept-loss drops them)",
            counts.deleted, old.items
        );
        self.setup.events.event(Event::Container { name: name_of(container), state: Shown::Failed(text) });
        Ok(Some(ContainerRecord {
            outcome: ContainerOutcome::HeldBack(counts.deleted, old.items),
            deleted: 0,
            ..old
        }))
    }

    fn is_loss(&self, lost: u64, of: u64) -> bool {
        match self.setup.max_loss_percent {
            Some(percent) if !self.options.accept_loss => {
                of >= LOSS_FLOOR && lost * 100 > of * u64::from(percent)
            }
            _ => false,
        }
    }

    /// Shows progress, takes checkpoints and looks for a request to stop, until everything is read.
    fn watch(&self, finished: impl Fn() -> bool) -> Result<()> {
        let elapsed = || self.setup.clock.elapsed();
        let (mut checkpointed, mut renewed) = (elapsed(), elapsed());
        while !finished() {
            std::thread::sleep(TICK);
            self.tell_progress();
            if self.setup.interrupt.is_requested() && !self.stop.load(Ordering::Relaxed) {
                self.stop_all();
            }
            if self.saver.is_none() || self.stop.load(Ordering::Relaxed) {
                continue;
            }
            if elapsed().saturating_sub(checkpointed) >= self.setup.checkpoint_every
                || self.fresh_bytes() > FRESH_BYTES_MAX
            {
                self.checkpoint()?;
                checkpointed = elapsed();
            }
            if elapsed().saturating_sub(renewed) >= SESSION_RENEWAL {
                put_session(self.setup, self.session, self.started, &self.base)?;
                renewed = elapsed();
            }
        }
        self.tell_progress();
        Ok(())
    }

    fn fresh_bytes(&self) -> usize {
        let states: Vec<_> =
            self.progress().active.values().map(|active| Arc::clone(&active.state)).collect();
        let fresh = |state: &Arc<Mutex<ContainerState>>| {
            // Whoever holds it works on it; next time will do.
            state.try_lock().map_or(0, |state| state.nodes().fresh_bytes())
        };
        states.iter().map(fresh).sum()
    }

    fn tell_progress(&self) {
        let progress = self.progress();
        let counts = Counts {
            containers: progress.finished.len() as u64,
            containers_total: Some(progress.containers_total),
            items: self.counts.listed.load(Ordering::Relaxed),
            bytes: self.counts.bytes.load(Ordering::Relaxed),
            stored: self.saver.as_ref().map_or(0, |saver| saver.stored_bytes()),
            failed: self.counts.failed.load(Ordering::Relaxed),
            ..Counts::default()
        };
        drop(progress);
        self.setup.events.event(Event::Progress(counts));
    }

    /// Makes what was read so far durable, and a root that the next run goes on from.
    fn checkpoint(&self) -> Result<()> {
        let Some(saver) = &self.saver else { return Ok(()) };
        let (mut records, active, last) = {
            let progress = self.progress();
            let active: Vec<_> = progress
                .active
                .iter()
                .map(|(id, active)| {
                    (id.clone(), active.container.clone(), Arc::clone(&active.state), active.read)
                })
                .collect();
            (progress.finished.clone(), active, progress.checkpoint)
        };
        let mut flushing = vec![(Arc::clone(&self.nodes), 0)];
        for (id, container, state, read) in active {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let root = state.checkpoint()?;
            let record =
                container_record(&container, root, state.counts(), read, ContainerOutcome::Unfinished);
            records.insert(id, record);
            flushing.push((Arc::clone(state.nodes()), state.nodes().flushing()));
        }
        let root = self.edit_containers(&records, &[])?;
        flushing[0].1 = self.nodes.flushing();
        saver.flush()?;
        for (nodes, epoch) in flushing {
            nodes.flushed(epoch);
        }
        if last.is_some_and(|(_, _, last)| last == root) || root == self.base_root() {
            return Ok(());
        }
        let number = last.map_or(0, |(_, number, _)| number) + 1;
        let name = ObjectName::random()?;
        let record = CheckpointRecord {
            set: self.setup.set.clone(),
            run: self.base.run,
            session: self.session,
            number,
            base: self.base.snapshot.as_ref().map(|(name, _)| *name),
            taken: self.setup.clock.now(),
            root,
            segments: self.segments(saver),
        };
        self.setup.repository.put_record(layout::CHECKPOINTS, ObjectKind::Checkpoint, name, &record)?;
        if let Some((old, ..)) = last {
            self.remove_quietly(layout::CHECKPOINTS, old);
        }
        self.progress().checkpoint = Some((name, number, root));
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

    /// What lives short and is not needed any more. A refused delete is no error: prune finds it.
    fn remove_quietly(&self, folder: &str, name: ObjectName) {
        if let Err(error) = self.setup.repository.remove(folder, name) {
            self.setup
                .events
                .event(Event::warning("larder", format!("`{folder}/{name}` could not be removed: {error}")));
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
    fn commit(&self, findings: Vec<Finding>) -> Result<RunSummary> {
        let mut records = std::mem::take(&mut self.progress().finished);
        refuse_if_nothing_was_read(&records)?;
        let (dropped, lost_containers) = self.gone(&mut records)?;
        let deleted = records.values_mut().map(|record| std::mem::take(&mut record.deleted)).sum();
        let root = self.edit_containers(&records, &dropped)?;
        let Some(saver) = &self.saver else {
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
            root,
            outcome,
            totals,
            segments: self.segments(saver),
        };
        let committed = self.setup.repository.put_record_once(
            layout::SNAPSHOTS,
            ObjectKind::Snapshot,
            self.session,
            &snapshot,
        )?;
        if !committed {
            return Err(EngineError::failed(
                "this run's session was ended by a prune because it was not renewed for a day",
            )
            .with_hint("run the set again: it goes on from the last checkpoint"));
        }
        self.setup.local.saw_run(&self.setup.set, self.base.run, self.session)?;
        for (name, checkpoint) in self.setup.repository.checkpoints()? {
            if checkpoint.set == self.setup.set {
                self.remove_quietly(layout::CHECKPOINTS, name);
            }
        }
        self.remove_quietly(layout::SESSIONS, self.session);
        Ok(self.summary(Some(self.session), outcome, totals, records, findings))
    }

    fn totals(&self, records: &BTreeMap<ContainerId, ContainerRecord>, deleted: u64) -> Totals {
        Totals {
            containers: records.len() as u64,
            items: records.values().map(|record| record.items).sum(),
            owed: records.values().map(|record| record.owed).sum(),
            read_items: self.counts.items.load(Ordering::Relaxed),
            read_bytes: self.counts.bytes.load(Ordering::Relaxed),
            deleted,
            stored_bytes: self.saver.as_ref().map_or(0, |saver| saver.stored_bytes()),
        }
    }

    fn dry_summary(&self, findings: Vec<Finding>) -> RunSummary {
        let records = std::mem::take(&mut self.progress().finished);
        let complete = records.values().all(|record| record.outcome == ContainerOutcome::Done);
        let outcome = if complete { SnapshotOutcome::Complete } else { SnapshotOutcome::Incomplete };
        let totals = self.totals(&records, 0);
        self.summary(None, outcome, totals, records, findings)
    }

    fn summary(
        &self,
        snapshot: Option<ObjectName>,
        outcome: SnapshotOutcome,
        totals: Totals,
        records: BTreeMap<ContainerId, ContainerRecord>,
        findings: Vec<Finding>,
    ) -> RunSummary {
        let summary = |record: ContainerRecord| ContainerSummary { name: name_of(&record.container), record };
        RunSummary {
            run: self.base.run,
            snapshot,
            outcome,
            totals,
            listed: self.counts.listed.load(Ordering::Relaxed),
            resumed: self.base.checkpoint.is_some(),
            containers: records.into_values().map(summary).collect(),
            findings,
        }
    }
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

fn container_record(
    container: &Container,
    root: Option<Root>,
    counts: StateCounts,
    read: Option<Time>,
    outcome: ContainerOutcome,
) -> ContainerRecord {
    ContainerRecord {
        container: container.clone(),
        root,
        items: counts.items,
        owed: counts.owed,
        read,
        outcome,
        gone_since: None,
        deleted: counts.deleted,
    }
}
