//! One restore into a directory: one thread walks the snapshot and makes folders, a few write files.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use larder_sdk::{ContainerId, Item, ItemId, Kind, Name};

use super::{
    RestoreOptions, RestoreReport,
    directory::{
        ContainerTarget, DirectoryOptions, DirectoryTarget, FileTarget, Outcome, RestoreError,
        RestoreErrorKind,
    },
    plan::Filter,
};
use crate::{
    browse::{ContentReader, Entry, SnapshotView},
    catalog::{ItemRecord, StreamRecord},
    error::{EngineError, Result},
    events::{Counts, Event, Events, ItemOutcome},
    process::Interrupt,
};

/// Threads that write files.
const WRITERS: usize = 4;
/// Most items that wait for a writer.
const WAITING_MAX: usize = 256;
/// Most failures listed one by one.
const FAILURES_MAX: usize = 10_000;

/// Writes what a path leads to, and everything below it, into a directory. A folder's contents come directly into the directory; an item
/// comes by its own name. What cannot be restored is in the report, and the rest is restored.
pub fn restore(
    view: &SnapshotView,
    path: &[String],
    options: &RestoreOptions,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<RestoreReport> {
    let filter = Filter::new(options)?;
    let start = view.find(path)?;
    let target = (!options.dry_run)
        .then(|| {
            DirectoryTarget::create(
                &options.to,
                &DirectoryOptions::default().with_overwrite(options.overwrite),
            )
        })
        .transpose()
        .map_err(into_engine)?;
    let run = Run {
        view,
        events,
        interrupt,
        target: target.as_ref(),
        report: Mutex::default(),
        counts: LiveCounts::default(),
    };
    let skip = if start.is_folder() { start.path.len() } else { start.path.len().saturating_sub(1) };
    let (sender, jobs) = sync_channel::<Job>(WAITING_MAX);
    let jobs = Mutex::new(jobs);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| run.write_all(&jobs));
        }
        let mut walk = Walk { run: &run, filter: &filter, sender, skip, containers: HashMap::new() };
        if start.is_folder() { walk.below(&start) } else { walk.entry(&start) }
    })?;
    interrupt.check()?;
    let Run { report, .. } = run;
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(target) = target {
        let finished = target.finish();
        report.failed.extend(
            finished
                .problems
                .into_iter()
                .map(|error| (error.path().display().to_string(), error.to_string())),
        );
        report.renamed = finished
            .renamed
            .into_iter()
            .map(|(name, path)| (name.display().into_owned(), path.display().to_string()))
            .collect();
    }
    Ok(report)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn into_engine(error: RestoreError) -> EngineError {
    let hint = match error.kind() {
        RestoreErrorKind::Full => {
            Some("free some room, then run the same restore again: it goes on with what is missing")
        }
        _ => None,
    };
    let engine = EngineError::failed(error.to_string());
    match hint {
        Some(hint) => engine.with_hint(hint),
        None => engine,
    }
}

/// An item to be written.
struct Job {
    container: Option<ContainerTarget>,
    path: Vec<Name>,
    shown: String,
    item: Item,
    streams: Vec<StreamRecord>,
}

#[derive(Default)]
struct LiveCounts {
    items: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicU64,
}

struct Run<'run> {
    view: &'run SnapshotView,
    events: &'run dyn Events,
    interrupt: &'run Interrupt,
    /// `None` on a dry run.
    target: Option<&'run DirectoryTarget>,
    report: Mutex<RestoreReport>,
    counts: LiveCounts,
}

impl Run<'_> {
    fn report(&self) -> MutexGuard<'_, RestoreReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, path: String, why: String) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        let outcome = ItemOutcome::NotRestored(why.clone());
        self.events.event(Event::Item { container: String::new(), item: path.clone(), outcome });
        let mut report = self.report();
        if report.failed.len() < FAILURES_MAX {
            report.failed.push((path, why));
        }
    }

    fn write_all(&self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            // Waiting jobs are let go, so that the walk is not left waiting for room.
            if self.interrupt.is_requested() {
                continue;
            }
            match self.write(&job) {
                Ok(outcome) => self.count(outcome),
                Err(error) => self.failed(job.shown, error.full_message()),
            }
            self.tell();
        }
    }

    fn count(&self, outcome: Outcome) {
        self.counts.items.fetch_add(1, Ordering::Relaxed);
        let mut report = self.report();
        match outcome {
            Outcome::Kept => report.kept += 1,
            Outcome::Written | Outcome::Linked => report.items += 1,
        }
    }

    fn tell(&self) {
        self.events.event(Event::Progress(Counts {
            items: self.counts.items.load(Ordering::Relaxed),
            bytes: self.counts.bytes.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            ..Counts::default()
        }));
    }

    fn write(&self, job: &Job) -> Result<Outcome> {
        let Some(container) = &job.container else {
            let bytes: u64 = job.streams.iter().map(|stream| stream.bytes).sum();
            self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
            let mut report = self.report();
            report.files += job.streams.len() as u64;
            report.bytes += bytes;
            return Ok(Outcome::Written);
        };
        if job.item.kind == Kind::SYMLINK || job.item.kind == Kind::SPECIAL {
            return container.special(&job.path, &job.item).map_err(into_engine);
        }
        let mut outcome = Outcome::Kept;
        for stream in &job.streams {
            match container.file(&job.path, &job.item, &stream.name).map_err(into_engine)? {
                FileTarget::Done(Outcome::Kept) => {}
                FileTarget::Done(done) => outcome = done,
                FileTarget::Write(mut writer) => {
                    let mut content = ContentReader::open(Arc::clone(self.view.blobs()), stream)?;
                    while let Some(chunk) = content.next_chunk()? {
                        self.interrupt.check()?;
                        writer.write(&chunk).map_err(into_engine)?;
                        self.counts.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    }
                    outcome = writer.finish().map_err(into_engine)?;
                    let mut report = self.report();
                    report.files += 1;
                    report.bytes += stream.bytes;
                }
            }
        }
        Ok(outcome)
    }
}

/// The walk over the snapshot.
struct Walk<'run> {
    run: &'run Run<'run>,
    filter: &'run Filter,
    sender: SyncSender<Job>,
    /// Parts of a path that stand above what is restored.
    skip: usize,
    containers: HashMap<ContainerId, ContainerTarget>,
}

impl Walk<'_> {
    fn below(&mut self, start: &Entry) -> Result<()> {
        if let Some(container) = &start.container
            && start.item.is_none()
        {
            self.container_root(start, &container.container.clone());
        }
        self.run.view.walk(start, &mut |found| {
            self.run.interrupt.check()?;
            match found {
                Ok(entry) => self.entry(&entry),
                Err(broken) => {
                    self.run.failed(broken.path, broken.error.full_message());
                    Ok(())
                }
            }
        })
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let shown = entry.path_text();
        let relative = relative(&entry.path[self.skip..]);
        if self.filter.excludes(&relative) || excluded_above(self.filter, &relative) {
            return Ok(());
        }
        let Some(container) = entry.container.clone() else { return Ok(()) };
        let Some((parent, id, record)) = entry.item.clone() else {
            self.container_root(entry, &container.container);
            return Ok(());
        };
        if !record.folder && !self.filter.includes(&relative) {
            return Ok(());
        }
        let target = self.target(&container.container.id);
        let path = entry.path[self.skip..].to_vec();
        let item = item(entry, parent, id, &record);
        if record.folder {
            self.folder(target.as_ref(), &path, &item, &relative, &shown);
        }
        let streams = record.streams;
        if record.folder && streams.is_empty() {
            return Ok(());
        }
        let job = Job { container: target, path, shown, item, streams };
        self.sender.send(job).map_err(|_| EngineError::failed("the threads that write files stopped"))
    }

    /// Folders are made as they come, unless only some items are asked for: then those make what they need.
    fn folder(
        &self,
        target: Option<&ContainerTarget>,
        path: &[Name],
        item: &Item,
        relative: &str,
        shown: &str,
    ) {
        if !self.filter.includes(relative) {
            return;
        }
        if let Some(target) = target
            && let Err(error) = target.folder(path, item)
        {
            return self.run.failed(shown.to_owned(), error.to_string());
        }
        self.run.report().folders += 1;
    }

    fn container_root(&mut self, entry: &Entry, container: &larder_sdk::Container) {
        let Some(target) = self.target(&container.id) else { return };
        let path = entry.path.get(self.skip..).unwrap_or_default();
        if let Err(error) = target.root(path, container) {
            self.run.failed(entry.path_text(), error.to_string());
        }
    }

    fn target(&mut self, id: &ContainerId) -> Option<ContainerTarget> {
        let target = self.run.target?;
        Some(self.containers.entry(id.clone()).or_insert_with(|| target.container()).clone())
    }
}

/// The item under the name it is shown by.
fn item(entry: &Entry, parent: ItemId, id: ItemId, record: &ItemRecord) -> Item {
    let mut item = record.to_item(parent, id);
    if let Some(name) = entry.path.last() {
        item.name = name.clone();
    }
    item
}

pub(super) fn relative(path: &[Name]) -> String {
    path.iter().map(|name| crate::browse::display_name(name.as_bytes())).collect::<Vec<_>>().join("/")
}

pub(super) fn excluded_above(filter: &Filter, path: &str) -> bool {
    std::iter::successors(path.rsplit_once('/'), |(above, _)| above.rsplit_once('/'))
        .any(|(above, _)| filter.excludes(above))
}
