//! One restore into a directory: one thread walks the snapshot and makes folders, a few write files, a batch of neighbours at a time.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
};

use larder_sdk::{ContainerId, Item, ItemId, Name};

use super::{
    RestoreOptions, RestoreReport,
    batch::{Batch, Job, Writing},
    directory::{ContainerTarget, DirectoryOptions, DirectoryTarget, RestoreError, RestoreErrorKind},
    gather::Gathered,
    plan::Filter,
};
use crate::{
    browse::{Entry, SnapshotView},
    catalog::ItemRecord,
    error::{EngineError, EngineErrorKind, Result},
    events::Events,
    process::Interrupt,
};

/// Threads that write files.
const WRITERS: usize = 4;
/// Most batches that wait for a writer.
const WAITING_MAX: usize = 4;

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
    let writing = Writing::new(view.blobs(), events, interrupt);
    let skip = if start.is_folder() { start.path.len() } else { start.path.len().saturating_sub(1) };
    let (sender, batches) = sync_channel::<Batch>(WAITING_MAX);
    let batches = Mutex::new(batches);
    let walked = std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                loop {
                    let batch = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(batch) = batch else { return };
                    writing.write(batch);
                }
            });
        }
        let mut walk = Walk {
            view,
            writing: &writing,
            interrupt,
            target: target.as_ref(),
            filter: &filter,
            batch: Batch::default(),
            gathered: Gathered::default(),
            sender,
            skip,
            containers: HashMap::new(),
        };
        if start.is_folder() {
            walk.below(&start)?;
        } else {
            walk.entry(&start)?;
        }
        walk.send_all()
    });
    if let Some(why) = writing.why_over() {
        return Err(why);
    }
    walked?;
    interrupt.check()?;
    let mut report = writing.into_report();
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
pub(super) fn into_engine(error: RestoreError) -> EngineError {
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

/// The walk over the snapshot.
struct Walk<'run> {
    view: &'run SnapshotView,
    writing: &'run Writing<'run>,
    interrupt: &'run Interrupt,
    /// `None` on a dry run.
    target: Option<&'run DirectoryTarget>,
    filter: &'run Filter,
    /// Items for the next writer that is free.
    batch: Batch,
    /// Items for which it pays to be sorted.
    gathered: Gathered,
    sender: SyncSender<Batch>,
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
        self.view.walk(start, &mut |found| {
            self.interrupt.check()?;
            match found {
                Ok(_) if self.writing.is_over() => {
                    Err(EngineError::failed("the threads that write files stopped"))
                }
                Ok(entry) => self.entry(&entry),
                Err(broken) if broken.error.kind() == EngineErrorKind::Gone => Err(broken.error),
                Err(broken) => {
                    self.writing.failed(broken.path, broken.error.full_message());
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
        if let Some(job) = self.gathered.take(self.view.blobs(), job) {
            self.batch.push(job);
        }
        if self.gathered.is_full() {
            self.send_gathered()?;
        }
        if self.batch.is_full() { self.send() } else { Ok(()) }
    }

    /// Hands over everything that is left.
    fn send_all(&mut self) -> Result<()> {
        self.send()?;
        self.send_gathered()
    }

    fn send(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.hand_over(batch)
    }

    fn send_gathered(&mut self) -> Result<()> {
        let mut batches = std::mem::take(&mut self.gathered).batches(self.view.blobs());
        batches.try_for_each(|batch| self.hand_over(batch))
    }

    fn hand_over(&self, batch: Batch) -> Result<()> {
        self.sender.send(batch).map_err(|_| EngineError::failed("the threads that write files stopped"))
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
            return self.writing.failed(shown.to_owned(), error.to_string());
        }
        self.writing.report().folders += 1;
    }

    fn container_root(&mut self, entry: &Entry, container: &larder_sdk::Container) {
        let Some(target) = self.target(&container.id) else { return };
        let path = entry.path.get(self.skip..).unwrap_or_default();
        if let Err(error) = target.root(path, container) {
            self.writing.failed(entry.path_text(), error.to_string());
        }
    }

    fn target(&mut self, id: &ContainerId) -> Option<ContainerTarget> {
        let target = self.target?;
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
