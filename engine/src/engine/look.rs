//! Looking through many snapshots at once.

use std::{collections::BTreeMap, sync::Arc};

use super::{Engine, READ_CACHE_BYTES, SnapshotInfo, SnapshotSpec, snapshots};
use crate::{
    browse::{self, Broken, DiffTotals, Difference, FindOptions, Hit, RunReport, SnapshotView, split_path},
    error::{EngineError, Result},
    events::{Event, Phase},
    export::{self, ExportFormat, ExportReport, ExportTo},
    maintenance::{self, Stats},
    repository::{BlobReader, Repository},
    restore::{self, RestoreOptions, RestoreReport, VerifyReport},
};

/// Which snapshots are looked through.
#[derive(Clone, Debug, Default)]
pub struct SearchIn {
    /// The repository, if given; else the set's, or the only one.
    pub repository: Option<String>,
    /// Those of this set only.
    pub set: Option<String>,
    /// These only: `latest`, or beginnings of ids.
    pub snapshots: Vec<String>,
}

/// Snapshots of one set that were looked through, oldest first.
#[derive(Clone, Debug)]
pub struct Searched {
    /// The set's name.
    pub set: String,
    /// The snapshots.
    pub snapshots: Vec<SnapshotInfo>,
    /// The last of them is the set's newest.
    pub to_newest: bool,
}

impl Engine {
    /// Looks for items in all snapshots at once, set by set. An item is shown once for each state it has had. Returns what was looked
    /// through; what does not read is warned of, and an error at the end.
    pub fn find(
        &self,
        within: &SearchIn,
        options: &FindOptions,
        show: &mut dyn FnMut(&Searched, &Hit) -> Result<()>,
    ) -> Result<Vec<Searched>> {
        let repository =
            self.open(self.repository_of(within.repository.as_deref(), within.set.as_deref())?)?;
        let sets = self.searched(&repository, within)?;
        let blobs = self.reader(repository)?;
        let mut unread = None;
        for set in &sets {
            let records: Vec<_> = set.snapshots.iter().map(|info| &info.record).collect();
            browse::find(&blobs, &records, options, &self.context.interrupt, &mut |found| match found {
                Ok(hit) => show(set, &hit),
                Err(broken) => {
                    self.warn_of(&broken);
                    unread.get_or_insert(broken);
                    Ok(())
                }
            })?;
        }
        match unread {
            Some(broken) => Err(broken.error.context(format_args!("part of `{}/`", broken.path))),
            None => Ok(sets),
        }
    }

    /// What the run that took a snapshot did, and how that differs from the snapshot it was built on.
    pub fn report(&self, spec: &SnapshotSpec) -> Result<RunReport> {
        let (view, info) = self.view(spec)?;
        let before = match info.record.base {
            Some(base) => {
                let repository = Arc::clone(view.blobs().repository());
                let found = snapshots(&repository, Some(&info.record.set), &*self.context.events)?;
                found.into_iter().find(|one| one.id == base)
            }
            None => None,
        };
        let before = match before {
            Some(before) => {
                let view = SnapshotView::open(Arc::clone(view.blobs()), &before.record)?;
                Some(((before.id, before.record), view))
            }
            None => None,
        };
        let before = before.as_ref().map(|(before, view)| (before.clone(), view));
        Ok(browse::report((info.id, info.record), &view, before))
    }

    /// Compares two snapshots of one repository, or what is at a path of them and below it. Only what differs is read. What does not read
    /// is warned of, and an error at the end.
    pub fn diff(
        &self,
        old: &SnapshotSpec,
        new: &SnapshotSpec,
        path: &str,
        show: &mut dyn FnMut(&Difference) -> Result<()>,
    ) -> Result<DiffTotals> {
        let path = split_path(path)?;
        let repository = self.open(self.repository_of(old.repository.as_deref(), old.set.as_deref())?)?;
        let (old, new) = (self.find_snapshot(&repository, old)?, self.find_snapshot(&repository, new)?);
        let blobs = self.reader(repository)?;
        let mut unread = None;
        let totals =
            browse::diff(&blobs, [&old.record, &new.record], &path, &self.context.interrupt, &mut |found| {
                match found {
                    Ok(difference) => show(difference),
                    Err(broken) => {
                        self.warn_of(broken);
                        unread.get_or_insert_with(|| {
                            EngineError::damaged(format!("part of `{}/` was not compared", broken.path))
                        });
                        Ok(())
                    }
                }
            })?;
        unread.map_or(Ok(totals), Err)
    }

    /// [`Engine::restore`], and then reads back everything that is to be there and compares it with what the snapshot has.
    pub fn restore_and_verify(
        &self,
        spec: &SnapshotSpec,
        path: &str,
        options: &RestoreOptions,
    ) -> Result<(RestoreReport, VerifyReport)> {
        let path = split_path(path)?;
        self.phase(Phase::Planning, &spec.name);
        let (view, info, _reading) = self.long_view(spec, options.dry_run)?;
        let id = &info.id.to_string()[..8];
        let (events, interrupt) = (&*self.context.events, &self.context.interrupt);
        self.phase(Phase::Restoring, id);
        let restored = restore::restore(&view, &path, options, events, interrupt)?;
        self.phase(Phase::ReadingBack, id);
        let verified = restore::verify(&view, &path, options, events, interrupt)?;
        Ok((restored, verified))
    }

    /// Takes what is at a path of a snapshot, and below it, out into one file, or a folder of messages.
    pub fn export(
        &self,
        spec: &SnapshotSpec,
        path: &str,
        format: ExportFormat,
        to: ExportTo<'_>,
    ) -> Result<ExportReport> {
        let path = split_path(path)?;
        let (view, info, _reading) = self.long_view(spec, false)?;
        self.phase(Phase::Exporting, &info.id.to_string()[..8]);
        export::export(&view, &path, format, to, &*self.context.events, &self.context.interrupt)
    }

    /// Counts what there is in a repository, or in one set of it, and how much room it takes.
    pub fn stats(&self, repository: Option<&str>, set: Option<&str>) -> Result<Stats> {
        let config = self.repository_of(repository, set)?;
        let repository = self.open(config)?;
        let within = SearchIn { set: set.map(str::to_owned), ..SearchIn::default() };
        let sets = self.searched(&repository, &within)?;
        let blobs = self.reader(repository)?;
        self.phase(Phase::Counting, &config.name);
        let sets: Vec<_> = sets
            .iter()
            .map(|set| {
                let snapshots = set.snapshots.iter().map(|info| (info.id, &info.record)).collect();
                (set.set.as_str(), snapshots)
            })
            .collect();
        maintenance::stats(&blobs, &sets, &*self.context.events, &self.context.interrupt)
    }

    pub(super) fn warn_of(&self, broken: &Broken) {
        self.context.events.event(Event::warning(&broken.path, broken.error.full_message()));
    }

    /// A reader with the index loaded; what of the index does not read is warned of.
    pub(super) fn reader(&self, repository: Arc<Repository>) -> Result<Arc<BlobReader>> {
        for broken in repository.load_index_for_reading()? {
            self.context.events.event(Event::warning("larder", broken.full_message()));
        }
        Ok(Arc::new(BlobReader::new(repository, READ_CACHE_BYTES)))
    }

    /// The snapshots meant, set by set, each set's in the order of its runs.
    pub(super) fn searched(&self, repository: &Repository, within: &SearchIn) -> Result<Vec<Searched>> {
        let all = snapshots(repository, within.set.as_deref(), &*self.context.events)?;
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for info in &all {
            let run = newest.entry(&info.record.set).or_default();
            *run = info.record.run.max(*run);
        }
        let meant = if within.snapshots.is_empty() {
            all.clone()
        } else {
            let find = |name: &String| {
                let spec = SnapshotSpec { name: name.clone(), set: within.set.clone(), repository: None };
                self.find_snapshot(repository, &spec)
            };
            within.snapshots.iter().map(find).collect::<Result<_>>()?
        };
        let mut sets: BTreeMap<String, Vec<SnapshotInfo>> = BTreeMap::new();
        for info in meant {
            sets.entry(info.record.set.clone()).or_default().push(info);
        }
        if sets.is_empty() {
            return Err(
                EngineError::failed("there are no snapshots yet").with_hint("make one with `larder run`")
            );
        }
        let searched = |(set, mut snapshots): (String, Vec<SnapshotInfo>)| {
            snapshots.sort_by_key(|info| (info.record.run, info.record.finished, info.id));
            snapshots.dedup_by_key(|info| info.id);
            let last = snapshots.last().map(|info| info.record.run);
            Searched { to_newest: last == newest.get(set.as_str()).copied(), set, snapshots }
        };
        Ok(sets.into_iter().map(searched).collect())
    }
}
