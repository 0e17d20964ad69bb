//! Snapshots: those that lost something get a successor that says so; those that are gone get a record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use larder_sdk::ContainerId;

use super::{
    Loss, Repair,
    tree::{Trees, found},
};
use crate::{
    browse,
    crypto::ObjectKind,
    error::{EngineErrorKind, Result},
    hash::ObjectName,
    repository::{BlobReader, Saver, layout},
    snapshot::{
        ContainerOutcome, ContainerRecord, RemovalRecord, RemovedSnapshot, SnapshotOutcome, SnapshotRecord,
        Totals, missing_runs,
    },
    tree::{self, Root},
};

/// Opened frames kept while trees are walked.
const CACHE_BYTES: usize = 32 << 20;

/// A snapshot's tree as it is afterwards.
struct Mended {
    root: Option<Root>,
    totals: Totals,
    lost: Vec<(String, String)>,
}

impl Repair<'_> {
    pub(super) fn snapshots(&mut self) -> Result<()> {
        let at = &self.setup.at;
        let saver = if self.is_dry() {
            None
        } else {
            Some(Saver::start(Arc::clone(at.repository), crate::pack::Compression::default())?)
        };
        let blobs = Arc::new(BlobReader::new(Arc::clone(at.repository), CACHE_BYTES));
        let mut trees = Trees::new(blobs, saver.clone(), at.interrupt, at.clock.now());
        let mut sets: BTreeMap<String, Vec<(ObjectName, SnapshotRecord)>> = BTreeMap::new();
        let mut unread = Vec::new();
        let mut broken = Vec::new();
        for name in self.names(layout::SNAPSHOTS)? {
            self.breathe()?;
            match found(|| at.repository.snapshot(name))? {
                // Gone meanwhile, or the end of a session without one.
                Some(None) => {}
                Some(Some(snapshot)) => {
                    if !trees.is_whole(snapshot.root, true)? {
                        broken.push(name);
                    }
                    sets.entry(snapshot.set.clone()).or_default().push((name, snapshot));
                }
                None => unread.push(name),
            }
        }
        for (name, snapshot) in sets.values().flatten().filter(|(name, _)| broken.contains(name)) {
            let of_this = &sets[&snapshot.set];
            let is_successor = |(other, there): &(ObjectName, SnapshotRecord)| {
                !broken.contains(other)
                    && (there.run, there.started, there.finished)
                        == (snapshot.run, snapshot.started, snapshot.finished)
            };
            if of_this.iter().any(is_successor) {
                let key = layout::in_folder(layout::SNAPSHOTS, *name)?;
                self.report
                    .mended(key.as_str(), "an earlier repair has put another in its place: it is removed");
                self.replaced.push(key);
            } else {
                self.succeed(&mut trees, saver.as_deref(), *name, snapshot)?;
            }
        }
        for (name, checkpoint) in self.setup.at.repository.checkpoints()? {
            let Ok(checkpoint) = checkpoint else { continue };
            if !trees.is_whole(checkpoint.root, true)? {
                let key = layout::in_folder(layout::CHECKPOINTS, name)?;
                let text = "something that it needs is lost: it is removed, and the next run of the set reads that again";
                self.report.mended(key.as_str(), text);
                self.replaced.push(key);
            }
        }
        self.account_for_missing(sets, &unread)
    }

    /// Puts a snapshot without what is lost in the place of one that lost something.
    fn succeed(
        &mut self,
        trees: &mut Trees<'_>,
        saver: Option<&Saver>,
        name: ObjectName,
        snapshot: &SnapshotRecord,
    ) -> Result<()> {
        let mended = self.containers(trees, snapshot)?;
        trees.flush()?;
        let mut segments = snapshot.segments.clone();
        segments.extend(saver.map(Saver::segments).unwrap_or_default());
        segments.sort_unstable();
        segments.dedup();
        let successor = SnapshotRecord {
            root: mended.root,
            totals: mended.totals,
            outcome: SnapshotOutcome::Incomplete,
            program: format!("larder {} (repaired from {name})", env!("CARGO_PKG_VERSION")),
            segments,
            ..snapshot.clone()
        };
        let replaced_by = self.put_new(layout::SNAPSHOTS, ObjectKind::Snapshot, &successor)?;
        let key = layout::in_folder(layout::SNAPSHOTS, name)?;
        let of = format!("run {} of set `{}`", snapshot.run, snapshot.set);
        let text = match replaced_by {
            Some(new) => format!("{of}, lost something: it goes on as {new}, without it"),
            None => format!("{of}, lost something: it would go on under another id, without it"),
        };
        self.report.mended(key.as_str(), text);
        for (path, what) in mended.lost {
            self.report.lost(Loss { snapshot: name, replaced_by, path, what });
        }
        self.replaced.push(key);
        Ok(())
    }

    fn containers(&self, trees: &mut Trees<'_>, snapshot: &SnapshotRecord) -> Result<Mended> {
        let nodes = Arc::clone(trees.nodes());
        let mut mended = Mended {
            root: None,
            totals: Totals { containers: 0, items: 0, owed: 0, ..snapshot.totals },
            lost: Vec::new(),
        };
        let mut scan = tree::scan_around(&*nodes, snapshot.root, b"", b"")?;
        while let Some((_, key, value)) = scan.next_entry()? {
            self.breathe()?;
            let Some(record) = found(|| nodes.unwrap::<ContainerRecord>(&value))? else {
                let id = browse::display_name(ContainerId::new(key).as_bytes());
                mended.lost.push((id, "a whole container: all that is left is its id".to_owned()));
                continue;
            };
            let record = container(trees, record, &mut mended.lost)?;
            mended.totals.containers += 1;
            mended.totals.items += record.items;
            mended.totals.owed += record.owed;
            let edit = (key, Some(nodes.wrap(&record)?));
            mended.root = tree::edit(&*nodes, mended.root, &[edit])?;
        }
        let broken = scan.broken().len();
        if trees.lost_containers(snapshot.root, broken)? {
            let text = "containers that nobody can name any more: the next run finds them at the source";
            mended.lost.push((String::new(), text.to_owned()));
        }
        Ok(mended)
    }

    /// Numbers of which the snapshot is gone get a removal record, or no run could go on. What does not read goes.
    fn account_for_missing(
        &mut self,
        mut sets: BTreeMap<String, Vec<(ObjectName, SnapshotRecord)>>,
        unread: &[ObjectName],
    ) -> Result<()> {
        let repository = self.setup.at.repository;
        let mut removed = Vec::new();
        let mut damaged = BTreeSet::new();
        for (name, record) in repository.removals()? {
            match record {
                Ok(record) => removed.push(record),
                Err(error) if error.kind() == EngineErrorKind::Damaged => {
                    damaged.insert(name);
                }
                Err(error) => return Err(error),
            }
        }
        for set in self.setup.local.sets()? {
            sets.entry(set).or_default();
        }
        for (set, mut snapshots) in sets {
            snapshots.sort_by_key(|(name, snapshot)| (snapshot.run, snapshot.finished, *name));
            let seen = self.setup.local.highest_run(&set)?;
            let missing: Vec<RemovedSnapshot> = missing_runs(&snapshots, &removed, &set, seen)
                .map(|(run, id)| RemovedSnapshot { run, id: id.unwrap_or(ObjectName([0; 16])), root: None })
                .collect();
            if missing.is_empty() {
                continue;
            }
            for missing in &missing {
                self.report.lost(Loss {
                    snapshot: missing.id,
                    replaced_by: None,
                    path: String::new(),
                    what: format!("run {} of set `{set}`, the whole snapshot", missing.run),
                });
            }
            let record = RemovalRecord {
                set: set.clone(),
                removed: missing,
                removed_at: self.setup.at.clock.now(),
                host: self.setup.at.host.to_owned(),
            };
            self.put_new(layout::REMOVED, ObjectKind::Removal, &record)?;
            self.report
                .mended(format!("set `{set}`"), "what is missing of it is recorded, so that runs go on");
        }
        for name in unread {
            let key = layout::in_folder(layout::SNAPSHOTS, *name)?;
            self.report.mended(key.as_str(), "it does not read, and is removed");
            self.replaced.push(key);
        }
        for name in damaged {
            let key = layout::in_folder(layout::REMOVED, name)?;
            self.report.mended(key.as_str(), "the removal record does not read, and is removed");
            self.replaced.push(key);
        }
        Ok(())
    }
}

/// A container's record without what is lost of it.
fn container(
    trees: &mut Trees<'_>,
    record: ContainerRecord,
    lost: &mut Vec<(String, String)>,
) -> Result<ContainerRecord> {
    let Some(root) = record.root else { return Ok(record) };
    if trees.is_whole(Some(root), false)? {
        return Ok(record);
    }
    let mended = trees.mend(&record.container, root)?;
    let path = record.container.path.iter().fold(String::new(), |path, part| path + "/" + &part.display());
    lost.extend(mended.lost.iter().map(|(item, what)| {
        let path = if item.is_empty() { format!("{path}/") } else { format!("{path}/{item}") };
        (path, what.clone())
    }));
    let outcome = if mended.nodes_lost {
        ContainerOutcome::Failed("a part of it got lost in the repository".to_owned())
    } else {
        record.outcome.clone()
    };
    Ok(ContainerRecord { root: mended.root, items: mended.items, owed: mended.owed, outcome, ..record })
}
