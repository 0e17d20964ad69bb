//! Checking a repository: first that everything that should be there is there and reads, then, on request, every byte.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use larder_sdk::{ObjectInfo, ObjectKey};

use super::{CheckReport, ReadData, blob_set::BlobSet, packs::read_pack, read_data::ListedPack};
use crate::{
    browse,
    catalog::{self, Content, ItemRecord},
    error::{EngineError, EngineErrorKind, Result},
    events::{Counts, Event, Events},
    hash::{BlobId, Digest, ObjectName},
    index::BlobKind,
    process::Interrupt,
    repository::{BlobReader, IndexView, LocalState, Nodes, Repository, check_control_objects, layout},
    snapshot::{ContainerRecord, SnapshotRecord, missing_run},
    tree::{Node, NodeStore, Root},
};

/// Opened frames kept while trees are walked.
const CACHE_BYTES: usize = 32 << 20;

/// Takes a tree's key and value.
type VisitEntry<'visit, Checker> = dyn FnMut(&mut Checker, &[u8], &[u8]) -> Result<()> + 'visit;

/// How much is checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// Which packs are read and verified.
    pub read_data: ReadData,
}

/// Checks a repository whose index has not been loaded yet.
pub fn check(
    repository: &Arc<Repository>,
    local: &LocalState,
    options: CheckOptions,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<CheckReport> {
    let mut check = Check {
        repository,
        local,
        events,
        interrupt,
        report: CheckReport::default(),
        packs: HashMap::new(),
        segments: HashSet::new(),
        view: None,
        seen: BlobSet::default(),
        nodes: Nodes::read_only(Arc::new(BlobReader::new(Arc::clone(repository), CACHE_BYTES))),
        blobs: Arc::new(BlobReader::new(Arc::clone(repository), CACHE_BYTES)),
    };
    for (subject, message) in check_control_objects(repository)? {
        check.report.problem(subject, message);
    }
    check.list_packs()?;
    check.load_index()?;
    check.snapshots()?;
    check.checkpoints()?;
    check.read_packs(options.read_data)?;
    check.report.problems.sort();
    Ok(check.report)
}

struct Check<'run> {
    repository: &'run Arc<Repository>,
    local: &'run LocalState,
    events: &'run dyn Events,
    interrupt: &'run Interrupt,
    report: CheckReport,
    packs: HashMap<(BlobKind, ObjectName), (ObjectKey, ObjectInfo)>,
    /// Segments that are there, and those that they stand for.
    segments: HashSet<(BlobKind, ObjectName)>,
    /// The index as it was loaded, which `seen` goes by.
    view: Option<IndexView>,
    /// Tree nodes walked already.
    seen: BlobSet,
    nodes: Nodes,
    blobs: Arc<BlobReader>,
}

impl Check<'_> {
    fn list_packs(&mut self) -> Result<()> {
        for kind in BlobKind::ALL {
            for (key, info) in
                self.repository.store().list_all(layout::pack_folder(kind)).map_err(EngineError::store)?
            {
                match layout::name_of(&key) {
                    Some(name) => {
                        self.report.packs += 1;
                        self.packs.insert((kind, name), (key, info));
                    }
                    None => self.report.notes.push(format!("`{key}` is no pack of this repository")),
                }
            }
        }
        Ok(())
    }

    /// Loads every segment that reads, and holds what it says against the packs that are there.
    fn load_index(&mut self) -> Result<()> {
        let loaded = self.repository.load_index_verified(&|| self.interrupt.check())?;
        for (key, error) in loaded.broken {
            self.problem(key, &error)?;
        }
        self.segments = loaded.known;
        let mut ends: HashMap<(BlobKind, ObjectName), u64> = HashMap::new();
        let mut last = None;
        let view = self.repository.index().view()?;
        for kind in BlobKind::ALL {
            view.each(kind, |_, id, location| {
                // A blob that lies in several packs is one.
                self.report.blobs += u64::from(last.replace(id) != Some(id));
                let end = u64::from(location.frame.offset) + u64::from(location.frame.sealed_bytes);
                let slot = ends.entry((kind, location.pack)).or_default();
                *slot = end.max(*slot);
                Ok(())
            })?;
        }
        self.view = Some(view);
        for ((kind, name), end) in ends {
            match self.packs.get(&(kind, name)) {
                None => self
                    .report
                    .problem(layout::pack_key(kind, name)?.as_str(), "it is missing from the store"),
                Some((key, info)) if info.size < end => {
                    let message =
                        format!("it is cut short: {} bytes, of which the index needs {end}", info.size);
                    self.report.problem(key.as_str(), message);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn snapshots(&mut self) -> Result<()> {
        let mut sets: BTreeMap<String, Vec<(ObjectName, SnapshotRecord)>> = BTreeMap::new();
        for (name, snapshot) in self.repository.snapshots()? {
            match snapshot {
                Ok(snapshot) => {
                    self.report.snapshots += 1;
                    self.find_segments(&format!("snapshot {name}"), &snapshot.segments)?;
                    self.containers(&format!("snapshot {name}"), snapshot.root)?;
                    sets.entry(snapshot.set.clone()).or_default().push((name, snapshot));
                }
                Err(error) => self.problem(format!("{}/{name}", layout::SNAPSHOTS), &error)?,
            }
        }
        let mut removed = Vec::new();
        for (name, record) in self.repository.removals()? {
            match record {
                Ok(record) => removed.push(record),
                Err(error) => self.problem(format!("{}/{name}", layout::REMOVED), &error)?,
            }
        }
        for set in self.local.sets()? {
            sets.entry(set).or_default();
        }
        for (set, mut snapshots) in sets {
            snapshots.sort_by_key(|(name, snapshot)| (snapshot.run, snapshot.finished, *name));
            if let Some(why) = missing_run(&snapshots, &removed, &set, self.local.highest_run(&set)?) {
                self.report.problem(
                    format!("set `{set}`"),
                    format!("a snapshot is missing without a removal record: {why}"),
                );
            }
        }
        Ok(())
    }

    /// The segments that a run says it wrote must be there.
    fn find_segments(&mut self, of: &str, segments: &[(BlobKind, ObjectName)]) -> Result<()> {
        for (kind, name) in segments {
            if !self.segments.contains(&(*kind, *name)) {
                let key = layout::in_folder(layout::index_folder(*kind), *name)?;
                self.report
                    .problem(key.as_str(), format!("it is missing from the store; {of} was written with it"));
            }
        }
        Ok(())
    }

    fn checkpoints(&mut self) -> Result<()> {
        for (name, checkpoint) in self.repository.checkpoints()? {
            match checkpoint {
                Ok(checkpoint) => {
                    self.find_segments(&format!("checkpoint {name}"), &checkpoint.segments)?;
                    self.containers(&format!("checkpoint {name}"), checkpoint.root)?;
                }
                Err(error) => self.problem(format!("{}/{name}", layout::CHECKPOINTS), &error)?,
            }
        }
        for (name, session) in self.repository.sessions()? {
            if let Err(error) = session {
                self.problem(format!("{}/{name}", layout::SESSIONS), &error)?;
            }
        }
        for (name, mark) in self.repository.marks()? {
            if let Err(error) = mark {
                self.problem(format!("{}/{name}", layout::MARKS), &error)?;
            }
        }
        Ok(())
    }

    fn containers(&mut self, of: &str, root: Option<Root>) -> Result<()> {
        let mut containers = Vec::new();
        self.walk(of, root, &mut |check, key, value| {
            match check.nodes.unwrap::<ContainerRecord>(value) {
                Ok(record) => containers.push(record),
                Err(error) => {
                    check.problem(format!("{of}, container {}", browse::display_name(key)), &error)?;
                }
            }
            Ok(())
        })?;
        for container in containers {
            let path: String = container
                .container
                .path
                .iter()
                .fold(String::new(), |path, part| path + "/" + &part.display());
            let of = format!("{of}:{path}");
            self.walk(&of.clone(), container.root, &mut |check, key, value| check.entry(&of, key, value))?;
        }
        Ok(())
    }

    /// Visits a tree's entries, each node once over all snapshots; what does not read is a problem, and the rest goes on.
    fn walk(&mut self, of: &str, root: Option<Root>, visit: &mut VisitEntry<'_, Self>) -> Result<()> {
        let mut waiting: Vec<(BlobId, u8)> = root.iter().map(|root| (root.id, root.level)).collect();
        while let Some((id, level)) = waiting.pop() {
            self.interrupt.check()?;
            if let Some(view) = &self.view
                && !self.seen.insert(view, &id.short())?
            {
                continue;
            }
            let node = match self.nodes.load(&id) {
                Ok(node) if node.level() == level => node,
                Ok(_) => {
                    self.report.problem(of, format!("tree node {id} has another level than its parent says"));
                    continue;
                }
                Err(error) => {
                    self.problem(of.to_owned(), &error.into())?;
                    continue;
                }
            };
            match &*node {
                Node::Leaf(entries) => {
                    for (key, value) in entries {
                        visit(self, key, value)?;
                    }
                }
                Node::Inner(_, children) => {
                    waiting.extend(children.iter().rev().map(|(_, child)| (child.id, level - 1)));
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, of: &str, key: &[u8], value: &[u8]) -> Result<()> {
        if key.first() != Some(&catalog::CHILD) {
            return Ok(());
        }
        self.report.items += 1;
        let record = match self.nodes.unwrap::<ItemRecord>(value) {
            Ok(record) => record,
            Err(error) => return self.problem(format!("{of}, an item"), &error),
        };
        for stream in &record.streams {
            let ids = match self.chunk_ids(&stream.digest, &stream.content) {
                Ok(ids) => ids,
                Err(error) => {
                    self.problem(format!("{of}, item `{}`", record.name.display()), &error)?;
                    continue;
                }
            };
            for id in ids {
                let found = match self.repository.index().find(id.short()) {
                    // The segment that should name it is told as a problem of its own.
                    Err(error) if error.kind() == EngineErrorKind::Damaged => None,
                    found => found?,
                };
                let problem = match found {
                    None => format!("blob {id} of its stream `{}` is in no index segment", stream.name),
                    Some(location) if !self.packs.contains_key(&(location.kind, location.pack)) => {
                        format!(
                            "`{}`, which holds its stream `{}`, is missing",
                            layout::pack_key(location.kind, location.pack)?,
                            stream.name
                        )
                    }
                    Some(_) => continue,
                };
                self.report.problem(format!("{of}, item `{}`", record.name.display()), problem);
            }
        }
        Ok(())
    }

    /// The ids of a stream's chunks.
    fn chunk_ids(&self, digest: &Digest, content: &Content) -> Result<Vec<BlobId>> {
        match content {
            Content::Empty => Ok(Vec::new()),
            Content::One => Ok(vec![self.repository.keys().blob_id(digest)]),
            Content::List { depth, ids } => {
                let mut ids = ids.clone();
                for _ in 0..*depth {
                    let lists = ids
                        .iter()
                        .map(|id| browse::ids_of(&self.blobs.read_tree(id)?))
                        .collect::<Result<Vec<_>>>()?;
                    ids = lists.concat();
                }
                Ok(ids)
            }
        }
    }

    /// Reads packs and verifies every blob in them.
    fn read_packs(&mut self, read_data: ReadData) -> Result<()> {
        let listed = |((kind, name), (_, info)): (&(BlobKind, ObjectName), &(ObjectKey, ObjectInfo))| {
            ListedPack { kind: *kind, name: *name, bytes: info.size }
        };
        let packs = read_data.choose(self.packs.iter().map(listed).collect())?;
        self.report.pack_bytes = self.packs.values().map(|(_, info)| info.size).sum();
        let total = packs.iter().map(|pack| pack.bytes).sum();
        for (done, pack) in packs.iter().enumerate() {
            self.interrupt.check()?;
            let key = layout::pack_key(pack.kind, pack.name)?;
            match read_pack(self.repository, pack.kind, pack.name, &key, &[]) {
                Ok(read) => {
                    self.report.read_bytes += read.bytes;
                    if let Err(error) = read.into_result() {
                        self.problem(key.to_string(), &error)?;
                    }
                }
                Err(error) => self.problem(key.to_string(), &error)?,
            }
            self.report.read_packs = done as u64 + 1;
            let counts = Counts {
                items: self.report.read_packs,
                items_total: Some(packs.len() as u64),
                bytes: self.report.read_bytes,
                bytes_total: Some(total),
                ..Counts::default()
            };
            self.events.event(Event::Progress(counts));
        }
        Ok(())
    }

    /// Notes what is damaged; any other error ends the check.
    fn problem(&mut self, subject: String, error: &EngineError) -> Result<()> {
        if error.kind() == EngineErrorKind::Interrupted {
            return Err(EngineError::interrupted());
        }
        self.report.problem(subject, error.full_message());
        Ok(())
    }
}
