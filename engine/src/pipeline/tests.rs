//! Runs over real files into a store in memory.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use larder_sdk::{HostServices, LogLevel, Secret, SecretRef, Time};

use super::{RunOptions, RunSetup, RunSummary, run};
use crate::{
    browse::{ContentReader, Entry, SnapshotView},
    clock::SystemClock,
    crypto::KdfCost,
    error::EngineErrorKind,
    events::{Events, NoEvents},
    maintenance::{CheckOptions, check},
    pack::Compression,
    plugin::Registry,
    process::Interrupt,
    repository::{BlobReader, CreateOptions, LocalState, Repository, create},
    snapshot::{SnapshotOutcome, SnapshotRecord},
    store::{
        Store,
        faulty::{FaultyStore, Operation},
        memory::MemoryStore,
    },
};

struct NoServices;

impl HostServices for NoServices {
    fn log(&self, _: LogLevel, _: &str) {}
    fn secret(&self, _: &SecretRef) -> larder_sdk::Result<Secret> {
        Err(larder_sdk::Error::bug("no secrets here"))
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) folder: tempfile::TempDir,
    registry: Registry,
}

pub(crate) fn password() -> Secret {
    Secret::new("open")
}

impl World {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
        let shared: Arc<dyn Store> = store.clone();
        create(&shared, &password(), Time::from_seconds(1), CreateOptions { cost }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        Self { store, folder, registry: Registry::new() }
    }

    pub(crate) fn data(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("data").join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.data(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn repository(&self) -> Arc<Repository> {
        let store: Arc<dyn Store> = self.store.clone();
        Arc::new(Repository::open(store, &password()).unwrap())
    }

    fn stored_bytes(&self) -> usize {
        self.store.objects().values().map(bytes::Bytes::len).sum()
    }

    pub(crate) fn setup(&self) -> RunSetup {
        let store: Arc<dyn Store> = self.store.clone();
        self.setup_at(&store).unwrap()
    }

    /// What a run into this store needs.
    pub(crate) fn setup_at(&self, store: &Arc<dyn Store>) -> crate::error::Result<RunSetup> {
        let repository = Arc::new(Repository::open(Arc::clone(store), &password())?);
        let options = serde_json::json!({ "paths": [self.folder.path().join("data")] }).to_string();
        Ok(RunSetup {
            local: LocalState::open(&self.folder.path().join("state"), repository.id()).unwrap(),
            repository,
            source: self.registry.find("files").unwrap().source(&options, Arc::new(NoServices)).unwrap(),
            set: "home".to_owned(),
            compression: Compression::default(),
            max_loss_percent: None,
            keep_gone_days: 90,
            containers_at_once: 2,
            checkpoint_every: Duration::from_millis(50),
            host: "test".to_owned(),
            tags: vec!["nightly".to_owned()],
            events: Arc::new(NoEvents) as Arc<dyn Events>,
            clock: Arc::new(SystemClock::new()),
            interrupt: Interrupt::new(),
        })
    }

    pub(crate) fn run(&self) -> RunSummary {
        run(&self.setup(), RunOptions::default()).unwrap()
    }

    pub(crate) fn snapshots(&self) -> Vec<SnapshotRecord> {
        let mut snapshots: Vec<_> = self
            .repository()
            .snapshots()
            .unwrap()
            .into_iter()
            .map(|(_, snapshot)| snapshot.unwrap())
            .collect();
        snapshots.sort_by_key(|snapshot| snapshot.run);
        snapshots
    }

    /// Paths below the data folder and contents of a snapshot's files.
    pub(crate) fn contents(&self, run: u64) -> BTreeMap<String, Vec<u8>> {
        self.contents_of(&self.snapshots()[run as usize - 1])
    }

    pub(crate) fn contents_of(&self, snapshot: &SnapshotRecord) -> BTreeMap<String, Vec<u8>> {
        self.contents_in(&self.repository(), snapshot)
    }

    /// The contents of a snapshot of this world's set, wherever it lies.
    pub(crate) fn contents_in(
        &self,
        repository: &Arc<Repository>,
        snapshot: &SnapshotRecord,
    ) -> BTreeMap<String, Vec<u8>> {
        repository.load_index().unwrap();
        let repository = Arc::clone(repository);
        let blobs = Arc::new(BlobReader::new(repository, 1 << 20));
        let view = SnapshotView::open(Arc::clone(&blobs), snapshot).unwrap();
        let mut contents = BTreeMap::new();
        let top = view.find(&[]).unwrap();
        let prefix = format!("{}/", self.data("").display());
        view.walk(&top, &mut |found| {
            let entry: Entry = found.map_err(|broken| broken.error)?;
            if let Some((_, _, record)) = &entry.item
                && let Some(stream) = record.streams.first()
            {
                let mut reader = ContentReader::open(Arc::clone(&blobs), stream)?;
                let mut bytes = Vec::new();
                while let Some(chunk) = reader.next_chunk()? {
                    bytes.extend_from_slice(&chunk);
                }
                let path = entry.path_text();
                contents.insert(path.strip_prefix(prefix.trim_end_matches('/')).unwrap().to_owned(), bytes);
            }
            Ok(())
        })
        .unwrap();
        contents
    }

    pub(crate) fn on_disk(&self) -> BTreeMap<String, Vec<u8>> {
        fn visit(base: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    visit(base, &path, found);
                } else {
                    found.insert(
                        format!("/{}", path.strip_prefix(base).unwrap().display()),
                        fs::read(&path).unwrap(),
                    );
                }
            }
        }
        let mut found = BTreeMap::new();
        visit(&self.data(""), &self.data(""), &mut found);
        found
    }

    pub(crate) fn check(&self) -> crate::maintenance::CheckReport {
        let repository = self.repository();
        let local = LocalState::open(&self.folder.path().join("state"), repository.id()).unwrap();
        check(
            &repository,
            &local,
            CheckOptions { read_data: crate::maintenance::ReadData::All },
            &NoEvents,
            &Interrupt::new(),
        )
        .unwrap()
    }

    pub(crate) fn assert_clean(&self) {
        let report = self.check();
        assert!(report.is_clean(), "{:?}", report.problems);
    }
}

pub(crate) fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub(crate) fn world_with_files() -> World {
    let world = World::new();
    for n in 0..700_u32 {
        world.write(&format!("d{}/f{n}", n % 13), &noise(n as usize * 7, n));
    }
    world.write("large", &noise(9 << 20, 1));
    world.write("empty", b"");
    world
}

#[test]
fn what_goes_in_comes_out_and_an_unchanged_run_reads_and_stores_nothing() {
    let world = world_with_files();
    let first = world.run();
    assert_eq!(first.outcome, SnapshotOutcome::Complete);
    assert_eq!(first.totals.read_items, 702);
    assert_eq!(world.contents(1), world.on_disk());
    let before = world.stored_bytes();
    let second = world.run();
    assert_eq!((second.run, second.totals.read_items, second.totals.read_bytes), (2, 0, 0));
    assert!(world.stored_bytes() - before < 10_000, "{} bytes", world.stored_bytes() - before);
    assert_eq!(world.contents(2), world.on_disk());
    world.assert_clean();
}

#[test]
fn changes_removals_and_renames_are_followed() {
    let world = world_with_files();
    world.run();
    let old = world.on_disk();
    world.write("d1/new", b"new");
    world.write("d2/f2", b"other");
    fs::remove_dir_all(world.data("d3")).unwrap();
    fs::rename(world.data("d4"), world.data("e4")).unwrap();
    fs::remove_file(world.data("empty")).unwrap();
    let moved = old.keys().filter(|path| path.starts_with("/d4/")).count() as u64;
    let second = world.run();
    assert_eq!(second.totals.read_items, 2 + moved);
    assert_eq!(world.contents(2), world.on_disk());
    assert_eq!(world.contents(1), old);
    world.assert_clean();
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = world_with_files();
    let before = world.store.objects().len();
    let summary = run(&world.setup(), RunOptions { dry_run: true, accept_loss: false }).unwrap();
    assert_eq!((summary.snapshot, summary.totals.read_items), (None, 702));
    assert_eq!(world.store.objects().len(), before);
}

#[test]
fn a_request_to_stop_while_the_index_is_loaded_ends_the_run_with_nothing_written() {
    let world = World::new();
    world.write("file", b"content");
    world.run();
    let before = world.store.objects().clone();
    let interrupt = Interrupt::new();
    let store = FaultyStore::new(world.store.clone());
    let asked = interrupt.clone();
    store.before(Operation::Get, "index/", move || asked.request());
    let store: Arc<dyn Store> = store;
    let mut setup = world.setup_at(&store).unwrap();
    let repository = Repository::open(store, &password()).unwrap();
    setup.repository = Arc::new(repository.with_interrupt(interrupt.clone()));
    setup.interrupt = interrupt;
    let error = run(&setup, RunOptions::default()).unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Interrupted, "{error:?}");
    assert!(*world.store.objects() == before);
}

#[test]
fn any_damaged_object_is_named() {
    let world = world_with_files();
    world.run();
    let keys: Vec<_> = world.store.objects().keys().cloned().collect();
    for (n, key) in keys.iter().enumerate() {
        let good = world.store.objects()[key].clone();
        for damage in 0..3 {
            let mut bytes = good.to_vec();
            match damage {
                0 => {
                    let at = (n * 7919 + 13) % bytes.len();
                    bytes[at] ^= 1 << (n % 8);
                    world.store.objects().insert(key.clone(), bytes.into());
                }
                1 => {
                    bytes.truncate(bytes.len() - 1);
                    world.store.objects().insert(key.clone(), bytes.into());
                }
                _ => {
                    world.store.objects().remove(key);
                }
            }
            let report = world.check();
            let named = report.problems.iter().any(|problem| {
                problem.subject.contains(key.as_str()) || problem.message.contains(key.as_str())
            });
            assert!(named, "damage {damage} of {key}: {:?}", report.problems);
            world.store.objects().insert(key.clone(), good.clone());
        }
    }
    world.assert_clean();
}

#[test]
fn a_missing_or_rolled_back_snapshot_is_noticed() {
    let world = world_with_files();
    world.run();
    let second = world.run();
    let key = format!("snapshots/{}", second.snapshot.unwrap());
    world.store.objects().remove(&larder_sdk::ObjectKey::new(key).unwrap());
    let error = run(&world.setup(), RunOptions::default()).unwrap_err();
    assert_eq!((error.kind(), error.code()), (EngineErrorKind::Damaged, Some("snapshot-missing")));
}
