//! One container from its reader into its tree.
//!
//! What the reader says is kept in order: an edit is made only when everything said before it is done, so that a cursor is never ahead of
//! an item.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use larder_sdk::{Cursor, ErrorKind, Event, Item, ItemId, Name, Owed, ReaderServices, ScopeId};

use super::{
    budget::Budget,
    counts::ContainerCounts,
    fetch::{FETCHERS, FetchQueue, Fetcher, Outcome, Streams, Wanted},
    state::{ContainerState, Decision, debt},
};
use crate::{
    catalog::StreamRecord,
    clock::Clock,
    error::{EngineError, Result},
    events::{ContainerState as Shown, Event as Told, Events, ItemOutcome},
    plugin::{ReaderEvent, ReaderHandle, SourceHandle},
    repository::{Repository, Saver},
};

/// Most steps that wait for one before them.
const STEPS_WAITING_MAX: usize = 8192;
/// So many items in a row that fail because the source is not to be had end the container.
const FAILURES_IN_A_ROW_MAX: u32 = 20;

/// What all containers of a run share.
pub(super) struct Shared<'run> {
    pub(super) repository: &'run Repository,
    /// `None` on a dry run: nothing is fetched or kept.
    pub(super) saver: Option<&'run Saver>,
    pub(super) budget: &'run Budget,
    pub(super) source: &'run SourceHandle,
    pub(super) counts: &'run Arc<ContainerCounts>,
    pub(super) events: &'run Arc<dyn Events>,
    pub(super) clock: &'run dyn Clock,
    /// Set when the run must stop.
    pub(super) stop: &'run AtomicBool,
}

/// Why a container ended.
pub(super) enum Ended {
    /// Read to its end.
    Done,
    /// The source failed; what was read so far is kept.
    Failed(larder_sdk::Error),
    /// The run was stopped.
    Stopped,
}

/// A container being read: its state is shared with whoever takes checkpoints.
pub(super) struct ContainerRun {
    pub(super) name: String,
    pub(super) state: Arc<Mutex<ContainerState>>,
}

/// A step to be made in order.
enum Step {
    Wait { scope: ScopeId, item: Box<Item>, ticket: u64 },
    Read { scope: ScopeId, item: Box<Item>, streams: Vec<StreamRecord> },
    Unread { scope: ScopeId, id: ItemId, parent: ItemId, name: Name, reason: String },
    Other(Box<Event>),
}

impl ContainerRun {
    /// Reads the container to its end.
    pub(super) fn read(&self, shared: &Shared<'_>, container: &larder_sdk::Container) -> Result<Ended> {
        let failed = Arc::default();
        let view = HostView {
            name: self.name.clone(),
            state: Arc::clone(&self.state),
            events: Arc::clone(shared.events),
            counts: Arc::clone(shared.counts),
            failed: Arc::clone(&failed),
        };
        let ended = self.read_beside(view, shared, container)?;
        // What the source could not be told is no fault of the source, whatever it made of it.
        let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(ended), |error| end(Err(Stop::Run(error))))
    }

    fn read_beside(
        &self,
        view: HostView,
        shared: &Shared<'_>,
        container: &larder_sdk::Container,
    ) -> Result<Ended> {
        let reader = match shared.source.read(container, Arc::new(view)) {
            Ok(reader) => reader,
            Err(error) => return Ok(Ended::Failed(error)),
        };
        let queue = FetchQueue::new();
        let (sender, outcomes) = channel();
        std::thread::scope(|scope| {
            let mut fetchers = Vec::new();
            if let Some(saver) = shared.saver {
                for _ in 0..FETCHERS {
                    let sender = sender.clone();
                    let fetcher = Fetcher {
                        repository: shared.repository,
                        saver,
                        budget: shared.budget,
                        reader: &reader,
                        queue: &queue,
                        counts: shared.counts,
                    };
                    fetchers.push(scope.spawn(move || {
                        let done = fetcher.work(&sender);
                        if done.is_err() {
                            fetcher.queue.close(true);
                        }
                        done
                    }));
                }
            }
            drop(sender);
            let mut steps = Steps {
                run: self,
                shared,
                reader: &reader,
                queue: &queue,
                outcomes,
                waiting: VecDeque::new(),
                tickets: 0,
                done: Done::default(),
                in_a_row: 0,
                removals: 0,
            };
            let ended = steps.run_to_end();
            queue.close(!matches!(ended, Ok(Ended::Done)));
            if !matches!(ended, Ok(Ended::Done)) {
                reader.cancel();
            }
            let mut failed = None;
            for fetcher in fetchers {
                let done = fetcher
                    .join()
                    .unwrap_or_else(|_| Err(EngineError::failed("a thread that reads contents panicked")));
                if let Err(error) = done {
                    failed.get_or_insert(error);
                }
            }
            // A fetcher's error is the store's or ours: it tells more than that its answers stopped coming.
            failed.map_or(ended, Err)
        })
    }

    fn state(&self) -> MutexGuard<'_, ContainerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Outcomes that came before their turn, by ticket.
#[derive(Default)]
struct Done(std::collections::HashMap<u64, larder_sdk::Result<Streams>>);

struct Steps<'run> {
    run: &'run ContainerRun,
    shared: &'run Shared<'run>,
    reader: &'run ReaderHandle,
    queue: &'run FetchQueue,
    outcomes: Receiver<Outcome>,
    waiting: VecDeque<Step>,
    tickets: u64,
    done: Done,
    in_a_row: u32,
    /// Removals that wait for their turn.
    removals: usize,
}

/// What ends the steps early.
enum Stop {
    Source(larder_sdk::Error),
    Run(EngineError),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Run(error)
    }
}

impl Steps<'_> {
    fn run_to_end(&mut self) -> Result<Ended> {
        loop {
            if self.shared.stop.load(Ordering::Relaxed) {
                return Ok(Ended::Stopped);
            }
            let events = match self.reader.next() {
                Ok(events) => events,
                Err(error) => {
                    // What was said before is still worth having.
                    let settled = self.make_steps(0);
                    return end(settled.and(Err(Stop::Source(error))));
                }
            };
            let last = events.is_empty();
            let stepped = self.take_in(events).and_then(|()| {
                if last {
                    self.queue.flush();
                }
                self.make_steps(if last { 0 } else { STEPS_WAITING_MAX })
            });
            if last || stepped.is_err() {
                return end(stepped);
            }
        }
    }

    /// Decides about a batch and answers it.
    fn take_in(&mut self, events: Vec<ReaderEvent>) -> std::result::Result<(), Stop> {
        let mut wanted = Vec::new();
        let mut to_fetch = Vec::new();
        {
            let mut state = self.run.state();
            state.prefetch(events.iter().filter_map(|event| match event {
                ReaderEvent::Offer { item, .. } => Some(item),
                ReaderEvent::Other(_) => None,
            }))?;
            for event in events {
                match event {
                    ReaderEvent::Offer { number, scope, item } => {
                        self.shared.counts.listed(1);
                        let decision = state.decide(&scope, &item)?;
                        let read = matches!(decision, Decision::Read(_)) && !item.streams.is_empty();
                        wanted.push(read && self.shared.saver.is_some());
                        match decision {
                            Decision::Read(stored) if read => {
                                self.tickets += 1;
                                let ticket = self.tickets;
                                let step_item = Box::new(item.clone());
                                self.waiting.push_back(Step::Wait { scope, item: step_item, ticket });
                                to_fetch.push(Wanted { offer: number, item, ticket, stored });
                            }
                            Decision::Read(_) => self.waiting.push_back(Step::Read {
                                scope,
                                item: Box::new(item),
                                streams: Vec::new(),
                            }),
                            Decision::Keep(streams) => {
                                self.waiting.push_back(Step::Read { scope, item: Box::new(item), streams });
                            }
                            // A removal that waits before it, of this item or its folder, would take it along.
                            Decision::Same(streams) if self.removals > 0 => {
                                self.waiting.push_back(Step::Read { scope, item: Box::new(item), streams });
                            }
                            Decision::Same(_) => {}
                        }
                    }
                    ReaderEvent::Other(Event::Begin(scope)) => {
                        // At once, since what follows in this batch belongs to the listing; edits before it touch other keys.
                        state.begin(&scope)?;
                    }
                    ReaderEvent::Other(Event::Moved { was, id, tag }) => state.moved(was, id, tag),
                    ReaderEvent::Other(Event::Unread(unread)) => self.waiting.push_back(Step::Unread {
                        scope: unread.scope,
                        id: unread.id,
                        parent: unread.parent,
                        name: unread.name,
                        reason: reason(&unread.error),
                    }),
                    ReaderEvent::Other(event) => {
                        self.removals += usize::from(removes(&event));
                        self.waiting.push_back(Step::Other(Box::new(event)));
                    }
                }
            }
        }
        if !wanted.is_empty() {
            self.reader.answer(&wanted).map_err(Stop::Source)?;
        }
        if self.shared.saver.is_none() {
            self.count_dry(&to_fetch);
            self.waiting.clear();
            self.removals = 0;
            return Ok(());
        }
        for wanted in to_fetch {
            self.queue.push(wanted);
        }
        Ok(())
    }

    fn count_dry(&self, to_fetch: &[Wanted]) {
        let bytes = to_fetch.iter().flat_map(Wanted::missing).filter_map(|(_, stream)| stream.size).sum();
        self.shared.counts.read(to_fetch.len() as u64);
        self.shared.counts.read_bytes(bytes);
    }

    /// Makes the steps whose turn it is, waiting until at most `left` are left.
    fn make_steps(&mut self, left: usize) -> std::result::Result<(), Stop> {
        loop {
            while let Ok(outcome) = self.outcomes.try_recv() {
                self.done.0.insert(outcome.ticket, outcome.streams);
            }
            self.make_ready_steps()?;
            if self.waiting.len() <= left {
                return Ok(());
            }
            if self.shared.stop.load(Ordering::Relaxed) {
                return Err(Stop::Run(EngineError::interrupted()));
            }
            self.queue.flush();
            // Long bodies take long; the stop flag is looked at in between.
            match self.outcomes.recv_timeout(Duration::from_millis(200)) {
                Ok(outcome) => {
                    self.done.0.insert(outcome.ticket, outcome.streams);
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(Stop::Run(EngineError::failed("the threads that read contents stopped")));
                }
            }
        }
    }

    fn make_ready_steps(&mut self) -> std::result::Result<(), Stop> {
        let shared_state = Arc::clone(&self.run.state);
        let mut state = shared_state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(step) = self.waiting.pop_front() {
            let step = match step {
                Step::Wait { scope, item, ticket } => match self.done.0.remove(&ticket) {
                    Some(Ok(Streams { records, lost: None })) => {
                        self.in_a_row = 0;
                        Step::Read { scope, item, streams: records }
                    }
                    // What could be read is kept, and the item is owed for the rest.
                    Some(Ok(Streams { records, lost: Some(error) })) => {
                        if ends_container(&error, &mut self.in_a_row) {
                            return Err(Stop::Source(error));
                        }
                        let Item { id, parent, name, .. } = (*item).clone();
                        self.make_step(
                            &mut state,
                            Step::Read { scope: scope.clone(), item, streams: records },
                        )?;
                        Step::Unread { scope, id, parent, name, reason: reason(&error) }
                    }
                    Some(Err(error)) => {
                        if ends_container(&error, &mut self.in_a_row) {
                            return Err(Stop::Source(error));
                        }
                        let Item { id, parent, name, .. } = *item;
                        Step::Unread { scope, id, parent, name, reason: reason(&error) }
                    }
                    None => {
                        self.waiting.push_front(Step::Wait { scope, item, ticket });
                        break;
                    }
                },
                other => other,
            };
            self.make_step(&mut state, step)?;
        }
        if state.is_full() {
            state.apply()?;
        }
        Ok(())
    }

    fn make_step(&mut self, state: &mut ContainerState, step: Step) -> Result<()> {
        match step {
            Step::Read { scope, item, streams } => state.upsert(scope, *item, streams),
            Step::Unread { scope, id, parent, name, reason } => {
                self.shared.counts.failed();
                self.tell(&name, ItemOutcome::Owed(reason.clone()));
                state.owe(&id, debt(parent, name, scope, reason, self.shared.clock.now()))
            }
            Step::Other(event) => self.make_event(state, *event),
            Step::Wait { .. } => Ok(()),
        }
    }

    fn make_event(&mut self, state: &mut ContainerState, event: Event) -> Result<()> {
        match event {
            Event::Deleted(id) => {
                self.removals -= 1;
                state.delete(&id)
            }
            Event::End(scope) => state.end(&scope),
            Event::Settled(scope, cursor) => state.settle(&scope, &cursor),
            Event::ScopeGone(scope) => {
                self.removals -= 1;
                state.scope_gone(&scope)
            }
            Event::Skipped { name, cause, .. } => {
                self.shared.counts.skipped(&cause);
                self.tell(&name, ItemOutcome::Skipped(cause));
                Ok(())
            }
            // Events of a newer minor version of the boundary, which this engine does not know.
            _ => Ok(()),
        }
    }

    fn tell(&self, name: &Name, outcome: ItemOutcome) {
        self.shared.events.event(Told::Item {
            container: self.run.name.clone(),
            item: name.display().into_owned(),
            outcome,
        });
    }
}

fn end(stepped: std::result::Result<(), Stop>) -> Result<Ended> {
    match stepped {
        Ok(()) => Ok(Ended::Done),
        Err(Stop::Source(error)) if error.kind() == ErrorKind::Cancelled => Ok(Ended::Stopped),
        Err(Stop::Source(error)) => Ok(Ended::Failed(error)),
        Err(Stop::Run(error)) if error.kind() == crate::error::EngineErrorKind::Interrupted => {
            Ok(Ended::Stopped)
        }
        Err(Stop::Run(error)) => Err(error),
    }
}

/// Whether an item's error is really the container's.
fn ends_container(error: &larder_sdk::Error, in_a_row: &mut u32) -> bool {
    match error.kind() {
        ErrorKind::Cancelled | ErrorKind::Authentication => true,
        ErrorKind::Unavailable | ErrorKind::RetryAfter | ErrorKind::Bug => {
            *in_a_row += 1;
            *in_a_row > FAILURES_IN_A_ROW_MAX
        }
        _ => false,
    }
}

fn removes(event: &Event) -> bool {
    matches!(event, Event::Deleted(_) | Event::ScopeGone(_))
}

fn reason(error: &larder_sdk::Error) -> String {
    format!("{}: {}", error.kind().as_str(), error.message())
}

/// What a reader may ask about its container.
struct HostView {
    name: String,
    state: Arc<Mutex<ContainerState>>,
    events: Arc<dyn Events>,
    counts: Arc<ContainerCounts>,
    /// The first question that could not be answered, by a fault of the store or ours.
    failed: Arc<Mutex<Option<EngineError>>>,
}

impl HostView {
    fn ask<T>(&self, question: impl FnOnce(&ContainerState) -> Result<T>) -> larder_sdk::Result<T> {
        question(&self.state.lock().unwrap_or_else(PoisonError::into_inner)).map_err(|error| {
            let told = larder_sdk::Error::new(ErrorKind::Unavailable, error.full_message());
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            told
        })
    }
}

impl ReaderServices for HostView {
    fn scopes(&self) -> larder_sdk::Result<Vec<ScopeId>> {
        self.ask(ContainerState::scopes)
    }
    fn cursor(&self, scope: &ScopeId) -> larder_sdk::Result<Option<Cursor>> {
        self.ask(|state| state.cursor(scope))
    }
    fn item(&self, id: &ItemId) -> larder_sdk::Result<Option<Item>> {
        self.ask(|state| state.item(id))
    }
    fn owed(&self, after: Option<&ItemId>, most: usize) -> larder_sdk::Result<Vec<Owed>> {
        self.ask(|state| state.owed(after, most))
    }
    fn waited(&self, on: &str, time: Duration) {
        self.counts.waited(on, time);
    }
    fn progress(&self, text: &str) {
        self.events.event(Told::Container { name: self.name.clone(), state: Shown::Doing(text.to_owned()) });
    }
}
