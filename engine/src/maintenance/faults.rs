//! Every call to the store goes wrong once, in every way in which it can, of every piece of work that writes to a repository. It ends in success or
//! in an error that says what failed; the same work done again succeeds, nothing that was stored before is harmed, and everything verifies.
//!
//! Copies, repairs and keys have tests of their own beside them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use larder_sdk::{ObjectKey, Time};

use super::{
    ForgetOptions, Judged, PruneOptions, PruneReport, PruneSetup, ReadData, RepairOptions, RepairSetup,
    forget, prune, repair,
};
use crate::{
    browse::SnapshotView,
    clock::SystemClock,
    crypto::ObjectKind,
    error::{EngineErrorKind, Result},
    events::{ContainerState, Event, Events, NoEvents},
    hash::ObjectName,
    pipeline::{
        RunOptions, RunSummary, run,
        tests::{World, noise, password},
    },
    process::Interrupt,
    repository::{BlobReader, LocalState, Repository, layout},
    restore::{RestoreOptions, RestoreReport, restore},
    retention::Keep,
    snapshot::{Purpose, SessionRecord, SnapshotOutcome, SnapshotRecord},
    store::{
        Store,
        faulty::{Fault, at_every_call},
    },
};

type Contents = BTreeMap<String, Vec<u8>>;

/// A world as it is when the work begins, to which it is put back before each fault.
struct Scene {
    world: World,
    objects: BTreeMap<ObjectKey, Bytes>,
    /// What this machine remembers: files by their path.
    state: Vec<(PathBuf, Vec<u8>)>,
    /// The contents of the snapshots there are, by set and run.
    snapshots: BTreeMap<(String, u64), Contents>,
}

/// How a piece of work ended.
type Ended<T> = RefCell<Option<Result<T>>>;

impl Scene {
    fn of(world: World) -> Self {
        let contents = |one: SnapshotRecord| (world.contents_of(&one), one);
        let snapshots = world.snapshots().into_iter().map(contents);
        let snapshots = snapshots.map(|(contents, one)| ((one.set, one.run), contents)).collect();
        let objects = world.store.objects().clone();
        let mut state = Vec::new();
        let folder = world.folder.path().join("state");
        if folder.exists() {
            read_files(&folder, &mut state);
        }
        Self { world, objects, state, snapshots }
    }

    fn put_back<T>(&self) -> (Ended<T>, Arc<dyn Store>) {
        self.world.store.objects().clone_from(&self.objects);
        drop(fs::remove_dir_all(self.world.folder.path().join("state")));
        for (path, bytes) in &self.state {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        (RefCell::new(None), self.world.store.clone())
    }

    /// Snapshots that were there, and still are, are what they were.
    fn assert_unharmed(&self, what: &str) {
        for snapshot in self.world.snapshots() {
            let now = self.world.contents_of(&snapshot);
            let (set, run) = (snapshot.set, snapshot.run);
            if let Some(before) = self.snapshots.get(&(set.clone(), run)) {
                assert!(now == *before, "{what}: run {run} of {set}");
            }
        }
    }

    fn assert_clean(&self, what: &str) {
        let report = self.world.check();
        assert!(report.is_clean(), "{what}: {:?}", report.problems);
    }

    fn local(&self, repository: &Repository) -> LocalState {
        LocalState::open(&self.world.folder.path().join("state"), repository.id()).unwrap()
    }
}

fn read_files(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_files(&path, files);
        } else {
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
}

/// An error says what failed and what to do.
fn assert_clear<T>(ended: &Ended<T>, what: &str) {
    let ended = ended.borrow();
    let Some(Err(error)) = ended.as_ref() else { return };
    let said = error.full_message();
    assert!(error.hint().is_some(), "{what}: no hint: {error:?}");
    if error.kind() == EngineErrorKind::Interrupted {
        return;
    }
    let names_an_object = ["config", "keys", "data", "trees", "index/", "snapshots", "removed", "live/"]
        .iter()
        .any(|name| said.contains(&format!("`{name}")));
    assert!(names_an_object, "{what}: {said}");
    assert!(matches!(error.kind(), EngineErrorKind::Store | EngineErrorKind::Damaged), "{what}: {error:?}");
}

/// A world of a few small files, one of several chunks, and changes to some of them after each run.
fn world_of_runs(runs: u32) -> World {
    let world = World::new();
    for n in 0..4_u32 {
        world.write(&format!("d{}/f{n}", n % 2), &noise(20_000, n));
    }
    for run in 0..runs {
        change(&world, run);
        world.run();
    }
    change(&world, runs);
    world
}

fn change(world: &World, round: u32) {
    world.write("changing", &noise(700_000, 100 + round));
    world.write(&format!("d1/new{round}"), &noise(5_000, 200 + round));
}

fn try_run(world: &World, store: &Arc<dyn Store>) -> Result<RunSummary> {
    run(&world.setup_at(store)?, RunOptions::default())
}

/// Lets a run meet every fault; the next one must bring what is on the disk.
fn at_every_call_of_a_run(scene: &Scene, work: impl Fn(&Arc<dyn Store>) -> Result<RunSummary>) -> usize {
    let on_disk = scene.world.on_disk();
    at_every_call(
        &Fault::ALL,
        || scene.put_back(),
        |ended, store| *ended.borrow_mut() = Some(work(store)),
        |ended, what| {
            assert_clear(ended, what);
            if let Some(Ok(summary)) = &*ended.borrow() {
                assert_eq!(summary.outcome, SnapshotOutcome::Complete, "{what}");
                assert!(scene.world.contents(summary.run) == on_disk, "{what}");
            }
            let next = scene.world.run();
            assert_eq!(next.outcome, SnapshotOutcome::Complete, "{what}");
            assert!(scene.world.contents(next.run) == on_disk, "{what}");
            scene.assert_unharmed(what);
            scene.assert_clean(what);
            let left: Vec<_> = [layout::SESSIONS, layout::CHECKPOINTS]
                .into_iter()
                .flat_map(|folder| scene.world.store.list_all(folder).unwrap())
                .collect();
            assert!(left.is_empty(), "{what}: {left:?}");
        },
    )
}

#[test]
fn a_first_run_survives_every_fault() {
    let scene = Scene::of(world_of_runs(0));
    let calls = at_every_call_of_a_run(&scene, |store| try_run(&scene.world, store));
    assert!(calls > 15, "{calls}");
}

#[test]
fn a_second_run_survives_every_fault() {
    let scene = Scene::of(world_of_runs(1));
    let calls = at_every_call_of_a_run(&scene, |store| try_run(&scene.world, store));
    assert!(calls > 20, "{calls}");
}

#[test]
fn a_run_that_pays_debts_survives_every_fault() {
    let world = world_of_runs(1);
    // A repair of a repository that lost a data pack leaves what was in it as owed.
    let data = world.store.objects().keys().find(|key| key.as_str().starts_with("data/")).cloned().unwrap();
    world.store.objects().remove(&data);
    let repository = world.repository();
    let local = LocalState::open(&world.folder.path().join("state"), repository.id()).unwrap();
    let at = PruneSetup {
        repository: &repository,
        machine: local.machine().unwrap(),
        host: "test",
        clock: &SystemClock::new(),
        events: &NoEvents,
        interrupt: &Interrupt::new(),
    };
    let options = RepairOptions { dry_run: false, read_data: ReadData::All };
    repair(&RepairSetup { at, local: &local }, options).unwrap();
    assert!(world.snapshots()[0].totals.owed > 0);
    let scene = Scene::of(world);
    at_every_call_of_a_run(&scene, |store| try_run(&scene.world, store));
}

/// Asks for a stop as soon as a container is read.
struct Stopping(Interrupt);

impl Events for Stopping {
    fn event(&self, event: Event) {
        if matches!(event, Event::Container { state: ContainerState::Began, .. }) {
            self.0.request();
        }
    }
}

fn stopped_run(world: &World, store: &Arc<dyn Store>) -> Result<RunSummary> {
    let mut setup = world.setup_at(store)?;
    setup.events = Arc::new(Stopping(setup.interrupt.clone()));
    run(&setup, RunOptions::default())
}

#[test]
fn a_run_that_is_stopped_at_a_checkpoint_survives_every_fault() {
    let scene = Scene::of(world_of_runs(1));
    at_every_call_of_a_run(&scene, |store| stopped_run(&scene.world, store));
}

#[test]
fn a_run_that_goes_on_from_a_checkpoint_survives_every_fault() {
    let world = world_of_runs(1);
    let store: Arc<dyn Store> = world.store.clone();
    assert_eq!(stopped_run(&world, &store).unwrap_err().kind(), EngineErrorKind::Interrupted);
    assert_eq!(store.list_all(layout::CHECKPOINTS).unwrap().len(), 1);
    let scene = Scene::of(world);
    let calls = at_every_call_of_a_run(&scene, |store| try_run(&scene.world, store));
    assert!(calls > 20, "{calls}");
}

fn try_forget(store: &Arc<dyn Store>) -> Result<Vec<Judged>> {
    let repository = Repository::open(Arc::clone(store), &password())?;
    let options = ForgetOptions {
        keep: Keep { last: 1, ..Keep::default() },
        dry_run: false,
        zone: &jiff::tz::TimeZone::UTC,
        host: "test",
    };
    forget(&repository, "home", &options, &SystemClock::new(), &Interrupt::new())
}

#[test]
fn forgetting_survives_every_fault() {
    let scene = Scene::of(world_of_runs(4));
    let calls = at_every_call(
        &Fault::ALL,
        || scene.put_back(),
        |ended, store| *ended.borrow_mut() = Some(try_forget(store)),
        |ended, what| {
            assert_clear(ended, what);
            // What is gone was recorded first.
            scene.assert_clean(what);
            scene.assert_unharmed(what);
            let store: Arc<dyn Store> = scene.world.store.clone();
            try_forget(&store).unwrap();
            let left: Vec<u64> = scene.world.snapshots().iter().map(|snapshot| snapshot.run).collect();
            assert_eq!(left, [4], "{what}");
            scene.assert_unharmed(what);
            scene.assert_clean(what);
        },
    );
    assert!(calls > 10, "{calls}");
}

fn try_prune(scene: &Scene, store: &Arc<dyn Store>) -> Result<PruneReport> {
    let repository = Arc::new(Repository::open(Arc::clone(store), &password())?);
    let setup = PruneSetup {
        repository: &repository,
        machine: scene.local(&repository).machine()?,
        host: "test",
        clock: &SystemClock::new(),
        events: &NoEvents,
        interrupt: &Interrupt::new(),
    };
    prune(&setup, PruneOptions { dry_run: false, waste_percent: 0 })
}

/// A repository with everything that a prune has to do: packs that nothing needs, packs that are needed in part, one that no segment names,
/// segments to put together, sessions of the dead with a checkpoint, and a mark that does not read.
fn scene_to_prune() -> Scene {
    let world = world_of_runs(3);
    let store: Arc<dyn Store> = world.store.clone();
    let mut other = world.setup();
    other.set = "other".to_owned();
    run(&other, RunOptions::default()).unwrap();
    stopped_run(&world, &store).unwrap_err();
    let scene = Scene::of(world);
    try_forget(&store).unwrap();
    let repository = scene.world.repository();
    for purpose in [Purpose::Write, Purpose::Prune, Purpose::Read] {
        let record = SessionRecord {
            purpose,
            set: "home".to_owned(),
            host: "another".to_owned(),
            machine: ObjectName::random().unwrap(),
            // After all packs, which it can then have nothing to do with.
            started: Time::from_seconds(10_000),
            roots: Vec::new(),
            marks: Vec::new(),
        };
        let name = ObjectName::random().unwrap();
        repository.put_record(layout::SESSIONS, ObjectKind::Session, name, &record).unwrap();
    }
    let garbage = Bytes::from(noise(100, 7));
    for folder in ["data/aa", layout::MARKS] {
        let key = layout::in_folder(folder, ObjectName([0xaa; 16])).unwrap();
        store.put(&key, garbage.clone()).unwrap();
    }
    scene.world.store.tell_times(Arc::new(SystemClock::new()));
    let objects = scene.world.store.objects().clone();
    let mut state = Vec::new();
    read_files(&scene.world.folder.path().join("state"), &mut state);
    Scene { objects, state, ..scene }
}

#[test]
fn pruning_survives_every_fault() {
    let scene = scene_to_prune();
    let store: Arc<dyn Store> = scene.world.store.clone();
    let calls = at_every_call(
        &Fault::ALL,
        || scene.put_back(),
        |ended, store| *ended.borrow_mut() = Some(try_prune(&scene, store)),
        |ended, what| {
            assert_clear(ended, what);
            if what == "no fault" {
                let report = ended.borrow_mut().take().unwrap().unwrap();
                assert!(report.deleted_packs >= 5 && report.copied_bytes > 0, "{report:?}");
                assert!(report.replaced_segments >= 5, "{report:?}");
            }
            scene.assert_unharmed(what);
            try_prune(&scene, &store).unwrap();
            scene.assert_unharmed(what);
            scene.assert_clean(what);
            if what.starts_with("Crash") {
                // Nothing is left for a third one.
                let report = try_prune(&scene, &store).unwrap();
                assert_eq!((report.deleted_packs, report.waiting_packs), (0, 0), "{what}: {report:?}");
            }
            for folder in [layout::SESSIONS, layout::MARKS] {
                let left = store.list_all(folder).unwrap();
                assert!(left.is_empty(), "{what}: {left:?}");
            }
            // The checkpoint counts on.
            assert_eq!(store.list_all(layout::CHECKPOINTS).unwrap().len(), 1, "{what}");
        },
    );
    assert!(calls > 60, "{calls}");
}

fn try_restore(scene: &Scene, store: &Arc<dyn Store>, to: &Path) -> Result<RestoreReport> {
    let repository = Arc::new(Repository::open(Arc::clone(store), &password())?);
    let snapshots = repository.snapshots_of("home")?;
    let (id, snapshot): &(ObjectName, SnapshotRecord) = snapshots.last().unwrap();
    repository.load_index_for_reading()?;
    let blobs = BlobReader::new(repository, 1 << 20).of_snapshot(*id, snapshot);
    let view = SnapshotView::open(Arc::new(blobs), snapshot)?;
    let options = RestoreOptions { to: to.to_owned(), ..RestoreOptions::default() };
    let path: Vec<String> =
        scene.world.data("").iter().skip(1).map(|part| part.to_str().unwrap().to_owned()).collect();
    restore(&view, &path, &options, &NoEvents, &Interrupt::new())
}

#[test]
fn restoring_survives_every_fault_and_goes_on_with_what_is_missing() {
    let world = world_of_runs(0);
    world.run();
    let files = world.on_disk().len() as u64;
    let scene = Scene::of(world);
    let store: Arc<dyn Store> = scene.world.store.clone();
    let to = scene.world.folder.path().join("restored");
    let calls = at_every_call(
        &Fault::ALL,
        || {
            drop(fs::remove_dir_all(&to));
            scene.put_back()
        },
        |ended, store| *ended.borrow_mut() = Some(try_restore(&scene, store, &to)),
        |ended, what| {
            assert_clear(ended, what);
            let written = match &*ended.borrow() {
                Some(Ok(report)) => {
                    assert!(report.items == files || !report.failed.is_empty(), "{what}: {report:?}");
                    report.items
                }
                _ => 0,
            };
            let report = try_restore(&scene, &store, &to).unwrap();
            assert!(report.failed.is_empty(), "{what}: {report:?}");
            assert_eq!((report.kept, report.items), (written, files - written), "{what}");
            let mut restored = Vec::new();
            read_files(&to, &mut restored);
            let restored: Contents = restored
                .into_iter()
                .map(|(path, bytes)| (format!("/{}", path.strip_prefix(&to).unwrap().display()), bytes))
                .collect();
            assert!(restored == scene.snapshots[&("home".to_owned(), 1)], "{what}: {:?}", restored.keys());
        },
    );
    assert!(calls > 10, "{calls}");
}
