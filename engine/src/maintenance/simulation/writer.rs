//! A run as the simulation makes it: everything about announcing, checkpoints and committing is the real code; what is read from the source are a
//! few small items out of a small stock, so that runs share much.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use larder_sdk::{Container, ContainerId, Error, ErrorKind, Item, ItemId, Kind, Name, ScopeId, Tag, Word};

use super::{machine::Machine, world::Random};
use crate::{
    catalog::{self, Content, ItemRecord, ListingRecord, Seen, StreamRecord},
    clock::Clock as _,
    error::{EngineError, Result},
    hash::{BlobId, Digest, ObjectName},
    index::BlobKind,
    maintenance::prune::{Copier, put_segment},
    pipeline::{Base, Opening, announce},
    planted::{Bug, planted},
    repository::{BlobReader, Nodes, Repository, Session},
    snapshot::{
        CheckpointRecord, ContainerOutcome, ContainerRecord, ContainerWork, SnapshotOutcome, SnapshotRecord,
        Totals,
    },
    tree::{self, Node, NodeStore, Root},
};

const CONTAINERS: u64 = 3;
const ITEMS: u64 = 6;
const CONTENTS: u64 = 12;
const RENEWAL_SECONDS: i64 = 3600;

/// What a tree of containers holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Contents by container and item.
    pub(super) items: BTreeMap<(u8, u8), u8>,
    /// Containers with a listing under way.
    listings: BTreeSet<u8>,
}

/// The chunks of a content.
pub(super) fn chunks(content: u8) -> Vec<Vec<u8>> {
    let chunk = |part: u8| [content, part].repeat(40 + usize::from(content));
    (0..=content % 3).map(chunk).collect()
}

/// Saves what a run adds.
struct Draft<'run> {
    repository: &'run Arc<Repository>,
    stored: Nodes,
    copier: RefCell<Copier<'run>>,
    fresh: RefCell<HashMap<BlobId, Arc<Node>>>,
}

impl Draft<'_> {
    fn add(&self, kind: BlobKind, bytes: &[u8]) -> Result<BlobId> {
        let id = self.repository.keys().blob_id(&Digest::of(bytes));
        if self.repository.claim(id.short())? {
            self.copier.borrow_mut().add(kind, id.short(), bytes)?;
        }
        Ok(id)
    }

    fn stream(&self, content: u8) -> Result<StreamRecord> {
        let chunks = chunks(content);
        let ids = chunks.iter().map(|chunk| self.add(BlobKind::Data, chunk)).collect::<Result<Vec<_>>>()?;
        let whole = chunks.concat();
        let content = match content % 3 {
            0 => Content::One,
            1 => Content::List { depth: 0, ids },
            _ => {
                let list: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
                Content::List { depth: 1, ids: vec![self.add(BlobKind::Tree, &list)?] }
            }
        };
        Ok(StreamRecord {
            name: Word::from("content"),
            media: Word::EMPTY,
            bytes: whole.len() as u64,
            digest: Digest::of(&whole),
            content,
        })
    }
}

impl NodeStore for Draft<'_> {
    fn load(&self, id: &BlobId) -> larder_sdk::Result<Arc<Node>> {
        let fresh = self.fresh.borrow().get(id).cloned();
        fresh.map_or_else(|| self.stored.load(id), Ok)
    }
    fn save(&self, node: &Node) -> larder_sdk::Result<BlobId> {
        let id = self
            .add(BlobKind::Tree, &node.encode())
            .map_err(|error| Error::new(ErrorKind::Unavailable, error.full_message()))?;
        self.fresh.borrow_mut().insert(id, Arc::new(node.clone()));
        Ok(id)
    }
    fn draw(&self, level: u8, key: &[u8]) -> u32 {
        self.stored.draw(level, key)
    }
}

/// A run of a set, from its announcement to its snapshot.
pub(super) fn run(machine: &Machine, set: &str, dice: &mut Random) -> Result<()> {
    let repository = machine.repository();
    let local = machine.local(&repository)?;
    let _lock = local.lock(set)?;
    let opening =
        Opening { repository: &repository, local: &local, set, host: "simulated", clock: &machine.actor };
    let (base, session) = announce(&opening, machine.actor.now())?;
    let mut run = Run::new(machine, &repository, set, &base, &session);
    let done = run.go(dice);
    match done {
        Ok(()) => local.saw_run(set, base.run, session.name()),
        Err(error) => {
            drop(session.stand_down());
            Err(session.explain(error, machine.actor.now()))
        }
    }
}

struct Run<'run> {
    machine: &'run Machine,
    repository: &'run Arc<Repository>,
    set: &'run str,
    base: &'run Base,
    session: &'run Session,
    draft: Draft<'run>,
    root: Option<Root>,
    state: State,
    renewed: i64,
}

impl<'run> Run<'run> {
    fn new(
        machine: &'run Machine,
        repository: &'run Arc<Repository>,
        set: &'run str,
        base: &'run Base,
        session: &'run Session,
    ) -> Self {
        let blobs = Arc::new(BlobReader::new(Arc::clone(repository), 1 << 20));
        let root = match (&base.checkpoint, &base.snapshot) {
            (Some((_, checkpoint)), _) => checkpoint.root,
            (None, snapshot) => snapshot.as_ref().and_then(|(_, snapshot)| snapshot.root),
        };
        Self {
            machine,
            repository,
            set,
            base,
            session,
            draft: Draft {
                repository,
                stored: Nodes::read_only(blobs),
                copier: RefCell::new(Copier::new(repository)),
                fresh: RefCell::default(),
            },
            root,
            state: root.map_or_else(State::default, |root| machine.model().state_of(root)),
            renewed: machine.actor.now().seconds,
        }
    }

    fn go(&mut self, dice: &mut Random) -> Result<()> {
        self.repository.load_index()?;
        self.look_at_listings()?;
        let began_with = self.root;
        for number in 1..=1 + dice.below(3) {
            self.read_some(dice)?;
            if dice.once_in(2) {
                self.checkpoint(number, began_with, dice)?;
                if dice.below(3) < self.machine.stops {
                    return Err(EngineError::interrupted());
                }
            }
            let now = self.machine.actor.now();
            if now.seconds - self.renewed >= RENEWAL_SECONDS {
                self.session.renew(now)?;
                self.renewed = now.seconds;
            }
        }
        self.commit()
    }

    /// A listing that an earlier run began is gone on with: the tree it began with is read.
    fn look_at_listings(&mut self) -> Result<()> {
        for container in self.state.listings.clone() {
            let root = self.record(container)?.and_then(|record| record.root);
            let Some(root) = root else { continue };
            let Some((_, value)) = tree::get(&self.draft, root, &listing_key())? else { continue };
            let listing: ListingRecord = self.draft.stored.unwrap(&value)?;
            let mut scan = tree::scan(&self.draft, listing.base, b"", b"")?;
            while scan.next_entry()?.is_some() {}
        }
        Ok(())
    }

    fn record(&self, container: u8) -> Result<Option<ContainerRecord>> {
        let Some(root) = self.root else { return Ok(None) };
        let value = tree::get(&self.draft, root, &[container])?;
        value.map(|(_, value)| self.draft.stored.unwrap(&value)).transpose()
    }

    /// Items of one container are new, changed or gone.
    fn read_some(&mut self, dice: &mut Random) -> Result<()> {
        let container = dice.below(CONTAINERS) as u8;
        let mut edits = BTreeMap::new();
        for _ in 0..=dice.below(4) {
            let item = dice.below(ITEMS) as u8;
            let key = catalog::child_key(&top(), &ItemId::new(vec![item + 1]));
            if dice.once_in(4) {
                self.state.items.remove(&(container, item));
                edits.insert(key, None);
            } else {
                let content = dice.below(CONTENTS) as u8;
                self.state.items.insert((container, item), content);
                let record = self.item(item, content)?;
                edits.insert(key, Some(Self::value(&record)?));
            }
        }
        self.edit(container, edits)
    }

    fn item(&self, item: u8, content: u8) -> Result<ItemRecord> {
        let offered = Item {
            id: ItemId::new(vec![item + 1]),
            parent: top(),
            name: Name::new(vec![b'a' + item]),
            kind: Kind::FILE,
            folder: false,
            tag: Tag::new(vec![content]),
            modified: None,
            posix: None,
            meta: Vec::new(),
            streams: Vec::new(),
        };
        Ok(ItemRecord::new(offered, scope(), vec![self.draft.stream(content)?]))
    }

    fn value<R: larder_sdk::codec::Record>(record: &R) -> Result<Vec<u8>> {
        Ok([&[0][..], &larder_sdk::codec::encode(record)?].concat())
    }

    fn edit(&mut self, container: u8, edits: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<()> {
        let before = self.record(container)?.and_then(|record| record.root);
        let edits: Vec<_> = edits.into_iter().collect();
        let root = tree::edit(&self.draft, before, &edits)?;
        let record = ContainerRecord {
            container: Container {
                id: ContainerId::new(vec![container]),
                path: vec![Name::new(vec![b'A' + container])],
                kind: Kind::new("directory"),
                title: String::new(),
                path_ids: false,
                meta: Vec::new(),
            },
            root,
            items: root.map_or(0, |root| root.entries),
            owed: 0,
            read: None,
            outcome: ContainerOutcome::Done,
            gone_since: None,
            deleted: 0,
            work: ContainerWork::default(),
        };
        let edit = (vec![container], Some(Self::value(&record)?));
        self.root = tree::edit(&self.draft, self.root, &[edit])?;
        Ok(())
    }

    fn checkpoint(&mut self, number: u64, began_with: Option<Root>, dice: &mut Random) -> Result<()> {
        let container = dice.below(CONTAINERS) as u8;
        if let Some(began_with) = began_with
            && dice.once_in(2)
            && let Some((_, value)) = tree::get(&self.draft, began_with, &[container])?
        {
            let record: ContainerRecord = self.draft.stored.unwrap(&value)?;
            let listing = ListingRecord { base: record.root, seen: Seen::default() };
            let value = Self::value(&listing)?;
            self.edit(container, BTreeMap::from([(listing_key(), Some(value))]))?;
            self.state.listings.insert(container);
        }
        self.draft.copier.borrow_mut().finish()?;
        if let Some(root) = self.root {
            self.machine.model().states.insert(root.id, self.state.clone());
        }
        let record = CheckpointRecord {
            set: self.set.to_owned(),
            run: self.base.run,
            session: self.session.name(),
            number,
            base: self.base.snapshot.as_ref().map(|(name, _)| *name),
            taken: self.machine.actor.now(),
            root: self.root,
            segments: Vec::new(),
        };
        self.session.checkpoint(record).map(drop)
    }

    fn commit(&mut self) -> Result<()> {
        for container in std::mem::take(&mut self.state.listings) {
            self.edit(container, BTreeMap::from([(listing_key(), None)]))?;
        }
        let late_index = planted(Bug::IndexAfterSnapshot);
        if late_index {
            self.draft.copier.borrow_mut().finish_packs()?;
        } else {
            self.draft.copier.borrow_mut().finish()?;
        }
        if let Some(root) = self.root {
            self.machine.model().states.insert(root.id, self.state.clone());
        }
        let now = self.machine.actor.now();
        let snapshot = SnapshotRecord {
            set: self.set.to_owned(),
            run: self.base.run,
            base: self.base.snapshot.as_ref().map(|(name, _)| *name),
            started: now,
            finished: now,
            host: "simulated".to_owned(),
            program: "larder".to_owned(),
            tags: Vec::new(),
            root: self.root,
            outcome: SnapshotOutcome::Complete,
            totals: Totals::default(),
            segments: Vec::new(),
            findings: Vec::new(),
            more_findings: 0,
        };
        self.session.commit(&snapshot, now)?;
        self.machine.model().committed.insert(self.session.name());
        if late_index {
            self.draft.copier.borrow_mut().finish()?;
        }
        if planted(Bug::MergeByWriter) {
            self.merge()?;
        }
        Ok(())
    }

    /// One segment of all that this run knows, in place of all that are listed.
    fn merge(&self) -> Result<()> {
        for kind in BlobKind::ALL {
            let folder = crate::repository::layout::index_folder(kind);
            let mut entries = Vec::new();
            self.repository.index().each(|id, location| {
                if location.kind == kind {
                    let crate::index::Location { pack, frame, offset, bytes, .. } = location;
                    entries.push(crate::index::IndexEntry { id, pack, frame, offset, bytes });
                }
            })?;
            let listed = self.repository.names(folder)?;
            put_segment(self.repository, kind, &mut entries, &[])?;
            listed.into_iter().try_for_each(|name| self.repository.remove(folder, name))?;
        }
        Ok(())
    }
}

fn top() -> ItemId {
    ItemId::new(Vec::new())
}

fn scope() -> ScopeId {
    ScopeId::new(b"all")
}

fn listing_key() -> Vec<u8> {
    catalog::listing_key(&scope())
}

/// What the simulation knows to be true.
#[derive(Default)]
pub(super) struct Model {
    /// What a tree of this root holds.
    pub(super) states: HashMap<BlobId, State>,
    /// Snapshots whose runs were told that they are there.
    pub(super) committed: BTreeSet<ObjectName>,
    /// What must never be.
    pub(super) violations: Vec<String>,
}

impl Model {
    fn state_of(&self, root: Root) -> State {
        self.states.get(&root.id).cloned().unwrap_or_default()
    }

    /// Notes an error that no fault of the store's explains.
    pub(super) fn judge(&mut self, who: &str, error: &EngineError) {
        if error.kind() == crate::error::EngineErrorKind::Damaged {
            self.violations.push(format!("{who}: {}", error.full_message()));
        }
    }
}
