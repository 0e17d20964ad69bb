//! One run of one set: from what it builds on to the snapshot.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use larder_sdk::{Container, ContainerId, Finding, FindingLevel, Time};

use super::{
    base::{self, Base, Opening},
    budget::Budget,
    container::{ContainerRun, Ended, Shared},
    counts::{ContainerCounts, ReadCounts},
    state::{ContainerState, StateCounts},
};
use crate::{
    clock::Clock,
    error::{EngineError, Result},
    events::{ContainerState as Shown, Counts, Event, Events, Phase},
    hash::ObjectName,
    pack::Compression,
    plugin::SourceHandle,
    process::Interrupt,
    repository::{BlobReader, LocalState, Nodes, Repository, Saver, Session},
    snapshot::{ContainerOutcome, ContainerRecord, ContainerWork, SnapshotOutcome, Totals},
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
    /// How hard what is stored is compressed.
    pub compression: Compression,
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
    /// Words for the snapshot.
    pub tags: Vec<String>,
    /// Takes what happens.
    pub events: Arc<dyn Events>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Tells when to stop.
    pub interrupt: Interrupt,
}

impl RunSetup {
    fn opening(&self) -> Opening<'_> {
        Opening {
            repository: &self.repository,
            local: &self.local,
            set: &self.set,
            host: &self.host,
            clock: &*self.clock,
        }
    }
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
pub(super) fn name_of(container: &Container) -> String {
    container.path.iter().fold(String::new(), |path, part| path + "/" + &part.display())
}

/// Runs a set. Exit code 3 is for the caller to tell from [`RunSummary::outcome`].
pub fn run(setup: &RunSetup, options: RunOptions) -> Result<RunSummary> {
    let _lock = (!options.dry_run).then(|| setup.local.lock(&setup.set)).transpose()?;
    let phase = |phase| setup.events.event(Event::Phase { phase, subject: setup.set.clone() });
    phase(Phase::Opening);
    let started = setup.clock.now();
    let (base, session) = if options.dry_run {
        (base::find(&setup.repository, &setup.local, &setup.set, started)?, None)
    } else {
        let (base, session) = base::announce(&setup.opening(), started)?;
        (base, Some(session))
    };
    let mut run = Run::new(setup, options, started, base, session);
    let done = run.go(&phase);
    let (Err(_), Some(session)) = (&done, &run.session) else { return done };
    if let Err(error) = session.stand_down() {
        let text = format!("this run's session could not be ended: {}", error.full_message());
        setup.events.event(Event::warning("larder", text));
    }
    done.map_err(|error| session.explain(error, setup.clock.now()))
}
fn nodes(reader: &Arc<BlobReader>, saver: Option<&Arc<Saver>>) -> Arc<Nodes> {
    Arc::new(match saver {
        Some(saver) => Nodes::writable(Arc::clone(reader), Arc::clone(saver)),
        None => Nodes::in_memory(Arc::clone(reader)),
    })
}

pub(super) struct Run<'setup> {
    pub(super) setup: &'setup RunSetup,
    options: RunOptions,
    pub(super) started: Time,
    /// None on a dry run.
    pub(super) session: Option<Session>,
    pub(super) base: Base,
    reader: Arc<BlobReader>,
    /// None on a dry run, and before the index is loaded.
    pub(super) saver: Option<Arc<Saver>>,
    /// Of the snapshot's own tree.
    pub(super) nodes: Arc<Nodes>,
    counts: Arc<ReadCounts>,
    stop: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    pub(super) active: BTreeMap<ContainerId, Active>,
    pub(super) finished: BTreeMap<ContainerId, ContainerRecord>,
    errors: Vec<EngineError>,
    containers_total: u64,
}

/// A container being read.
pub(super) struct Active {
    pub(super) container: Container,
    pub(super) state: Arc<Mutex<ContainerState>>,
    pub(super) counts: Arc<ContainerCounts>,
    pub(super) read: Option<Time>,
}

impl<'setup> Run<'setup> {
    fn new(
        setup: &'setup RunSetup,
        options: RunOptions,
        started: Time,
        base: Base,
        session: Option<Session>,
    ) -> Self {
        let reader = Arc::new(BlobReader::new(Arc::clone(&setup.repository), TREE_CACHE_BYTES));
        Self {
            setup,
            options,
            started,
            session,
            base,
            nodes: nodes(&reader, None),
            reader,
            saver: None,
            counts: Arc::default(),
            stop: AtomicBool::new(false),
            progress: Mutex::default(),
        }
    }

    /// From the index to the snapshot.
    fn go(&mut self, phase: &dyn Fn(Phase)) -> Result<RunSummary> {
        let setup = self.setup;
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
        if !self.options.dry_run {
            self.saver = Some(Saver::start(Arc::clone(&setup.repository), setup.compression)?);
        }
        self.nodes = nodes(&self.reader, self.saver.as_ref());
        self.containers(&discovery.containers)?;
        if self.options.dry_run {
            return Ok(self.dry_summary(discovery.findings));
        }
        if setup.interrupt.is_requested() {
            self.checkpoint()?;
            return Err(
                EngineError::interrupted().with_hint("the next run goes on from what was read so far")
            );
        }
        phase(Phase::Finishing);
        self.commit(discovery.findings)
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tree that this run's containers start from.
    pub(super) fn base_root(&self) -> Option<Root> {
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
        // Nothing is sent: it closes when the last thread has ended.
        let (working, ended) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..self.setup.containers_at_once.min(containers.len()).max(1) {
                let (working, queue, budget) = (working.clone(), &queue, &budget);
                scope.spawn(move || {
                    self.read_from(queue, budget);
                    drop(working);
                });
            }
            drop(working);
            let watched = self.watch(&ended);
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
        let work = Arc::new(ContainerCounts::new(
            Arc::clone(&self.counts),
            self.base.run,
            before.as_ref().map(|record| &record.work),
            self.setup.clock.elapsed(),
        ));
        let active = Active {
            container: container.clone(),
            state: Arc::clone(&state),
            counts: Arc::clone(&work),
            read,
        };
        self.progress().active.insert(container.id.clone(), active);
        let shared = Shared {
            repository: &self.setup.repository,
            saver: self.saver.as_deref(),
            budget,
            source: &self.setup.source,
            counts: &work,
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
        let record =
            self.finish_container(container, &state, work.work(self.setup.clock.elapsed()), outcome, read)?;
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
        work: ContainerWork,
        outcome: ContainerOutcome,
        read: Option<Time>,
    ) -> Result<ContainerRecord> {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = state.counts();
        if let Some(held) = self.held_back(container, counts)? {
            return Ok(ContainerRecord { work, ..held });
        }
        let read = if outcome == ContainerOutcome::Done { Some(self.setup.clock.now()) } else { read };
        let root = state.checkpoint()?;
        Ok(ContainerRecord { work, ..container_record(container, root, counts, read, outcome) })
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

    pub(super) fn is_loss(&self, lost: u64, of: u64) -> bool {
        match self.setup.max_loss_percent {
            Some(percent) if !self.options.accept_loss => {
                of >= LOSS_FLOOR && lost * 100 > of * u64::from(percent)
            }
            _ => false,
        }
    }

    /// Shows progress, takes checkpoints and looks for a request to stop, until everything is read.
    fn watch(&self, ended: &Receiver<()>) -> Result<()> {
        let elapsed = || self.setup.clock.elapsed();
        let (mut checkpointed, mut renewed) = (elapsed(), elapsed());
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
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
                if let Some(session) = &self.session {
                    session.renew(self.setup.clock.now())?;
                }
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
            items: self.counts.listed(),
            bytes: self.counts.bytes(),
            stored: self.saver.as_ref().map_or(0, |saver| saver.stored_bytes()),
            failed: self.counts.failed(),
            ..Counts::default()
        };
        drop(progress);
        self.setup.events.event(Event::Progress(counts));
    }

    pub(super) fn totals(&self, records: &BTreeMap<ContainerId, ContainerRecord>, deleted: u64) -> Totals {
        Totals {
            containers: records.len() as u64,
            items: records.values().map(|record| record.items).sum(),
            owed: records.values().map(|record| record.owed).sum(),
            read_items: self.counts.items(),
            read_bytes: self.counts.bytes(),
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

    pub(super) fn summary(
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
            listed: self.counts.listed(),
            resumed: self.base.checkpoint.is_some(),
            containers: records.into_values().map(summary).collect(),
            findings,
        }
    }
}

pub(super) fn container_record(
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
        work: ContainerWork::default(),
    }
}
