//! Restores, exports and copies while the snapshot that they read is forgotten and pruned.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_sdk::ObjectKey;

use super::{ForgetOptions, PruneOptions, PruneSetup, forget, prune};
use crate::{
    browse::SnapshotView,
    clock::{Clock, SystemClock},
    error::{EngineErrorKind, Result},
    events::{Events, NoEvents},
    export::{ExportFormat, ExportTo, export},
    hash::ObjectName,
    pipeline::tests::{World, noise, password},
    process::Interrupt,
    repository::{BlobReader, LocalState, Reader, Reading, Repository, layout},
    restore::{RestoreOptions, RestoreReport, restore},
    retention::Keep,
    snapshot::SnapshotRecord,
    store::{
        Store,
        faulty::{Fault, FaultyStore, Operation},
        memory::MemoryStore,
    },
};

/// A snapshot with much that the newest one has no more, and its contents.
fn world() -> (World, BTreeMap<String, Vec<u8>>) {
    let world = World::new();
    for n in 0..40_u32 {
        world.write(&format!("d{}/f{n}", n % 3), &noise(100_000, n));
    }
    world.run();
    let contents = world.on_disk();
    fs::remove_dir_all(world.data("d1")).unwrap();
    world.write("d2/f2", b"other");
    world.run();
    (world, contents)
}

/// Forgets all but the newest snapshot, and prunes until nothing waits.
fn forget_and_prune(store: &Arc<MemoryStore>, state: &Path) {
    let open = || {
        let store: Arc<dyn Store> = store.clone();
        Arc::new(Repository::open(store, &password()).unwrap())
    };
    let options = ForgetOptions {
        keep: Keep { last: 1, ..Keep::default() },
        dry_run: false,
        zone: &jiff::tz::TimeZone::UTC,
        host: "another",
    };
    forget(&open(), "home", &options, &SystemClock::new(), &Interrupt::new()).unwrap();
    let repository = open();
    let setup = PruneSetup {
        repository: &repository,
        machine: LocalState::open(state, repository.id()).unwrap().machine().unwrap(),
        host: "another",
        clock: &SystemClock::new(),
        events: &NoEvents,
        interrupt: &Interrupt::new(),
    };
    let report = prune(&setup, PruneOptions { dry_run: false, waste_percent: 0 }).unwrap();
    assert_eq!(report.waiting_packs, 0, "{report:?}");
}

/// A store in which all that happens before the first read of a data pack.
fn meanwhile(world: &World) -> Arc<FaultyStore> {
    let store = FaultyStore::new(world.store.clone());
    let (inner, state) = (Arc::clone(&world.store), world.folder.path().join("other-state"));
    store.before(Operation::GetRange, "data/", move || forget_and_prune(&inner, &state));
    store
}

fn first_snapshot(repository: &Repository) -> (ObjectName, SnapshotRecord) {
    repository.snapshots_of("home").unwrap().remove(0)
}

fn announce(repository: &Arc<Repository>, id: ObjectName, snapshot: &SnapshotRecord) -> Result<Reading> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let events: Arc<dyn Events> = Arc::new(NoEvents);
    let reader = Reader { host: "reader", clock: &clock, events: &events };
    Reading::announce(repository, &[(id, snapshot)], &reader)
}

/// Opens the first snapshot, announced or not.
fn view(store: Arc<dyn Store>, announced: bool) -> (SnapshotView, Option<Reading>) {
    let repository = Arc::new(Repository::open(store, &password()).unwrap());
    let (id, snapshot) = first_snapshot(&repository);
    let reading = announced.then(|| announce(&repository, id, &snapshot).unwrap());
    repository.load_index_for_reading().unwrap();
    let blobs = BlobReader::new(repository, 1 << 20).of_snapshot(id, &snapshot);
    (SnapshotView::open(Arc::new(blobs), &snapshot).unwrap(), reading)
}

fn restored(view: &SnapshotView, world: &World, to: PathBuf) -> Result<RestoreReport> {
    let options = RestoreOptions { to, ..RestoreOptions::default() };
    restore(view, &data_path(world), &options, &NoEvents, &Interrupt::new())
}

fn data_path(world: &World) -> Vec<String> {
    world.data("").iter().skip(1).map(|part| part.to_str().unwrap().to_owned()).collect()
}

fn on_disk(base: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = format!("/{}", path.strip_prefix(base).unwrap().display());
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn what_is_announced_is_restored_whole_though_it_is_forgotten_and_pruned_meanwhile() {
    let (world, contents) = world();
    let packs = |store: &MemoryStore| {
        store.objects().keys().filter(|key| key.as_str().starts_with("data/")).cloned().collect::<Vec<_>>()
    };
    let before = packs(&world.store);
    let (view, reading) = view(meanwhile(&world), true);
    let to = world.folder.path().join("restored");
    let report = restored(&view, &world, to.clone()).unwrap();
    assert!(report.failed.is_empty(), "{report:?}");
    assert!(on_disk(&to) == contents);
    assert_eq!(first_snapshot(&world.repository()).1.run, 2);
    // Once it is over, the next prune takes what only it needed.
    drop(reading);
    assert!(world.store.list_all(layout::SESSIONS).unwrap().is_empty());
    forget_and_prune(&world.store, &world.folder.path().join("other-state"));
    assert!(packs(&world.store) != before);
    world.assert_clean();
}

#[test]
fn what_is_not_announced_ends_with_an_error_that_names_the_snapshot() {
    let (world, contents) = world();
    let (view, _) = view(meanwhile(&world), false);
    let to = world.folder.path().join("restored");
    let error = restored(&view, &world, to.clone()).unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Gone, "{error:?}");
    assert!(error.message().contains("(set `home`, run 1)") && error.hint().is_some(), "{error:?}");
    // What it has written until then is whole.
    for (path, bytes) in on_disk(&to) {
        assert!(contents[&path] == bytes, "{path}");
    }
}

#[test]
fn an_export_is_kept_from_a_prune_and_ends_without_a_file_if_not() {
    for announced in [true, false] {
        let (world, contents) = world();
        let (view, _reading) = view(meanwhile(&world), announced);
        let file = world.folder.path().join("export.tar");
        let to = ExportTo::Path(file.clone());
        let done = export(&view, &data_path(&world), ExportFormat::Tar, to, &NoEvents, &Interrupt::new());
        if announced {
            let report = done.unwrap();
            assert!(report.failed.is_empty() && report.files == contents.len() as u64, "{report:?}");
        } else {
            assert_eq!(done.unwrap_err().kind(), EngineErrorKind::Gone);
            assert!(!file.exists());
        }
    }
}

#[test]
fn a_snapshot_that_went_before_it_was_announced_is_not_read() {
    let (world, _) = world();
    let repository = world.repository();
    let (id, snapshot) = first_snapshot(&repository);
    forget_and_prune(&world.store, &world.folder.path().join("other-state"));
    let error = announce(&repository, id, &snapshot).err().unwrap();
    assert_eq!(error.kind(), EngineErrorKind::Gone);
    assert!(world.store.list_all(layout::SESSIONS).unwrap().is_empty());
}

#[test]
fn who_may_not_write_restores_all_the_same() {
    let (world, contents) = world();
    let store = FaultyStore::new(world.store.clone());
    let repository = Arc::new(Repository::open(store.clone(), &password()).unwrap());
    let (id, snapshot) = first_snapshot(&repository);
    store.fail(0, Fault::Error);
    let reading = announce(&repository, id, &snapshot).unwrap();
    assert_eq!(store.calls()[0].operation, Operation::Put);
    assert!(world.store.list_all(layout::SESSIONS).unwrap().is_empty());
    drop(reading);
    let (view, _) = view(world.store.clone(), false);
    let to = world.folder.path().join("restored");
    restored(&view, &world, to.clone()).unwrap();
    assert!(on_disk(&to) == contents);
}

#[test]
fn damage_is_not_taken_for_forgetting() {
    let (world, _) = world();
    let data: Vec<ObjectKey> =
        world.store.objects().keys().filter(|key| key.as_str().starts_with("data/")).cloned().collect();
    for key in data {
        world.store.objects().remove(&key);
    }
    let (view, _) = view(world.store.clone(), false);
    let report = restored(&view, &world, world.folder.path().join("restored")).unwrap();
    assert_eq!(report.failed.len(), 40, "{report:?}");
}
