//! Neighbouring items, written together: their contents are read in the order in which they lie in packs.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use larder_sdk::{Item, Kind, Name};

use super::{
    RestoreReport,
    directory::{ContainerTarget, FilePlan, FileTarget, Outcome},
    run::into_engine,
};
use crate::{
    browse::ContentReader,
    catalog::{Content, StreamRecord},
    error::{EngineError, EngineErrorKind, Result},
    events::{Counts, Event, Events, ItemOutcome},
    process::Interrupt,
    repository::{BlobReader, Held},
};

/// Most items of a batch.
const ITEMS_MAX: usize = 256;
/// A batch is full once its contents have this many bytes.
const BYTES_MAX: u64 = 4 << 20;
/// Most failures listed one by one.
const FAILURES_MAX: usize = 10_000;

/// An item to be written.
pub(super) struct Job {
    /// `None` on a dry run.
    pub(super) container: Option<ContainerTarget>,
    pub(super) path: Vec<Name>,
    pub(super) shown: String,
    pub(super) item: Item,
    pub(super) streams: Vec<StreamRecord>,
}

/// Items that one thread writes.
#[derive(Default)]
pub(super) struct Batch {
    jobs: Vec<Job>,
    bytes: u64,
    /// Keeps small chunks of theirs in memory until they are written; only dropped.
    _held: Option<Arc<Held>>,
}

impl Batch {
    /// A batch of items whose small chunks are held.
    pub(super) fn holding(held: Arc<Held>) -> Self {
        Self { _held: Some(held), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn push(&mut self, job: Job) {
        self.bytes += job.streams.iter().map(|stream| stream.bytes).sum::<u64>();
        self.jobs.push(job);
    }

    pub(super) fn is_full(&self) -> bool {
        self.jobs.len() >= ITEMS_MAX || self.bytes >= BYTES_MAX
    }
}

/// A stream of one chunk that is to be written, as soon as the chunk is there.
struct Small {
    /// Its item's place in the batch.
    job: usize,
    bytes: u64,
    plan: Option<FilePlan>,
}

/// What all writers share.
pub(super) struct Writing<'run> {
    blobs: &'run Arc<BlobReader>,
    events: &'run dyn Events,
    interrupt: &'run Interrupt,
    report: Mutex<RestoreReport>,
    /// Why nothing more can be read.
    over: Mutex<Option<EngineError>>,
    items: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

impl<'run> Writing<'run> {
    pub(super) fn new(
        blobs: &'run Arc<BlobReader>,
        events: &'run dyn Events,
        interrupt: &'run Interrupt,
    ) -> Self {
        Self {
            blobs,
            events,
            interrupt,
            report: Mutex::default(),
            over: Mutex::default(),
            items: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(super) fn report(&self) -> MutexGuard<'_, RestoreReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_report(self) -> RestoreReport {
        self.report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if nothing more can be read.
    pub(super) fn is_over(&self) -> bool {
        self.lock_over().is_some()
    }

    /// Why nothing more could be read.
    pub(super) fn why_over(&self) -> Option<EngineError> {
        self.lock_over().take()
    }

    fn lock_over(&self) -> MutexGuard<'_, Option<EngineError>> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self, path: String, why: String) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let outcome = ItemOutcome::NotRestored(why.clone());
        self.events.event(Event::Item { container: String::new(), item: path.clone(), outcome });
        let mut report = self.report();
        if report.failed.len() < FAILURES_MAX {
            report.failed.push((path, why));
        }
    }

    /// Writes a batch. Once the restore is to stop, batches are only let go, so that the walk is not left waiting.
    pub(super) fn write(&self, batch: Batch) {
        if self.interrupt.is_requested() || self.is_over() {
            return;
        }
        let mut outcomes: Vec<Result<Outcome>> = batch.jobs.iter().map(|_| Ok(Outcome::Kept)).collect();
        let mut small = Vec::new();
        let mut ids = Vec::new();
        for (at, (job, outcome)) in batch.jobs.iter().zip(&mut outcomes).enumerate() {
            *outcome = self.begin(job, at, &mut small, &mut ids);
        }
        self.blobs.read_each(&ids, |at, blob| {
            let Small { job, bytes, plan } = &mut small[at];
            let Some(plan) = plan.take() else { return };
            if self.interrupt.is_requested() {
                return;
            }
            let written = blob.and_then(|blob| self.write_small(plan, *bytes, &blob));
            settle(&mut outcomes[*job], written);
        });
        if self.interrupt.is_requested() {
            return;
        }
        for (job, outcome) in batch.jobs.into_iter().zip(outcomes) {
            match outcome {
                Ok(outcome) => self.count(outcome),
                // The snapshot is not there any more: the rest would fail in the same way, item by item.
                Err(error) if error.kind() == EngineErrorKind::Gone => *self.lock_over() = Some(error),
                Err(error) => self.failed(job.shown, error.full_message()),
            }
        }
        self.tell();
    }

    /// Does all about an item but what needs its streams of one chunk, which are noted.
    fn begin(
        &self,
        job: &Job,
        at: usize,
        small: &mut Vec<Small>,
        ids: &mut Vec<crate::hash::BlobId>,
    ) -> Result<Outcome> {
        let Some(container) = &job.container else {
            for stream in &job.streams {
                self.note_file(stream.bytes);
                self.bytes.fetch_add(stream.bytes, Ordering::Relaxed);
            }
            return Ok(Outcome::Written);
        };
        if job.item.kind == Kind::SYMLINK || job.item.kind == Kind::SPECIAL {
            return container.special(&job.path, &job.item).map_err(into_engine);
        }
        let mut outcome = Ok(Outcome::Kept);
        for stream in &job.streams {
            let target = match container.file(&job.path, &job.item, &stream.name).map_err(into_engine) {
                Ok(FileTarget::Write(plan)) => plan,
                Ok(FileTarget::Done(done)) => {
                    settle(&mut outcome, Ok(done));
                    continue;
                }
                Err(error) => {
                    settle(&mut outcome, Err(error));
                    continue;
                }
            };
            if stream.content == Content::One {
                ids.push(self.blobs.repository().keys().blob_id(&stream.digest));
                small.push(Small { job: at, bytes: stream.bytes, plan: Some(target) });
            } else {
                settle(&mut outcome, self.write_long(target, stream));
            }
        }
        outcome
    }

    fn write_small(&self, plan: FilePlan, expected: u64, blob: &Bytes) -> Result<Outcome> {
        if blob.len() as u64 != expected {
            return Err(EngineError::damaged(format!(
                "a stream of {expected} bytes came out as {} bytes",
                blob.len()
            )));
        }
        let mut writer = plan.begin().map_err(into_engine)?;
        writer.write(blob).map_err(into_engine)?;
        let outcome = writer.finish().map_err(into_engine)?;
        self.bytes.fetch_add(expected, Ordering::Relaxed);
        self.note_file(expected);
        Ok(outcome)
    }

    fn write_long(&self, plan: FilePlan, stream: &StreamRecord) -> Result<Outcome> {
        let mut content = ContentReader::open(Arc::clone(self.blobs), stream)?;
        let mut writer = plan.begin().map_err(into_engine)?;
        while let Some(chunk) = content.next_chunk()? {
            self.interrupt.check()?;
            writer.write(&chunk).map_err(into_engine)?;
            self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            self.tell();
        }
        let outcome = writer.finish().map_err(into_engine)?;
        self.note_file(stream.bytes);
        Ok(outcome)
    }

    fn note_file(&self, bytes: u64) {
        let mut report = self.report();
        report.files += 1;
        report.bytes += bytes;
    }

    fn count(&self, outcome: Outcome) {
        self.items.fetch_add(1, Ordering::Relaxed);
        let mut report = self.report();
        match outcome {
            Outcome::Kept => report.kept += 1,
            Outcome::Written | Outcome::Linked => report.items += 1,
        }
    }

    fn tell(&self) {
        self.events.event(Event::Progress(Counts {
            items: self.items.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            ..Counts::default()
        }));
    }
}

/// An item's outcome is that of its last stream that was not kept; its first error stands.
fn settle(outcome: &mut Result<Outcome>, of_stream: Result<Outcome>) {
    match (&outcome, of_stream) {
        (Err(_), _) | (Ok(_), Ok(Outcome::Kept)) => {}
        (Ok(_), next) => *outcome = next,
    }
}
