//! Copies between stores in memory of what real runs made.

use std::{collections::BTreeMap, fs};

use larder_sdk::{ObjectKey, Secret, Time};

use super::*;
use crate::{
    clock::SystemClock,
    crypto::KdfCost,
    events::NoEvents,
    maintenance::{CheckOptions, ReadData, check},
    pipeline::tests::{World, noise, world_with_files},
    repository::{CreateOptions, Maker, create_by},
    store::{
        Store,
        faulty::{Fault, at_every_call},
        memory::MemoryStore,
    },
};

/// Where copies go: a store, and what this machine remembers of it.
struct Target {
    store: Arc<MemoryStore>,
    state: tempfile::TempDir,
}

fn password() -> Secret {
    Secret::new("another")
}

impl Target {
    fn like(world: &World) -> Self {
        let target = Self::unlike();
        let store: Arc<dyn Store> = target.store.clone();
        target.store.objects().clear();
        let like = world.repository();
        let maker = Maker { host: "here", like: Some(&like) };
        let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
        create_by(&store, &password(), Time::from_seconds(2), CreateOptions { cost }, maker).unwrap();
        target
    }

    fn unlike() -> Self {
        let target = Self { store: Arc::default(), state: tempfile::tempdir().unwrap() };
        let store: Arc<dyn Store> = target.store.clone();
        let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
        let options = CreateOptions { cost };
        create_by(&store, &password(), Time::from_seconds(2), options, Maker::default()).unwrap();
        target
    }

    fn local(&self, repository: &Repository) -> LocalState {
        LocalState::open(self.state.path(), repository.id()).unwrap()
    }

    fn repository(&self) -> Arc<Repository> {
        let store: Arc<dyn Store> = self.store.clone();
        Arc::new(Repository::open(store, &password()).unwrap())
    }

    /// Copies the runs of these numbers from a world.
    fn try_copy(&self, world: &World, runs: &[u64], store: &Arc<dyn Store>) -> Result<Vec<CopiedSnapshot>> {
        let from: Arc<dyn Store> = world.store.clone();
        self.try_copy_from(&from, runs, store)
    }

    fn try_copy_from(
        &self,
        from: &Arc<dyn Store>,
        runs: &[u64],
        to: &Arc<dyn Store>,
    ) -> Result<Vec<CopiedSnapshot>> {
        let from = Arc::new(Repository::open(Arc::clone(from), &crate::pipeline::tests::password())?);
        from.load_index()?;
        let to = Arc::new(Repository::open(Arc::clone(to), &password())?);
        let snapshots: Vec<_> = from
            .snapshots_of("home")?
            .into_iter()
            .filter(|(_, snapshot)| runs.contains(&snapshot.run))
            .collect();
        let setup = CopySetup {
            from: &from,
            to: &to,
            compression: Compression::default(),
            local: &self.local(&to),
            host: "here",
            clock: &SystemClock::new(),
            events: &NoEvents,
            interrupt: &Interrupt::new(),
        };
        let mut copied = Vec::new();
        copy(&setup, snapshots, &mut |one| {
            copied.push(one);
            Ok(())
        })?;
        Ok(copied)
    }

    fn copy(&self, world: &World, runs: &[u64]) -> Vec<CopiedSnapshot> {
        let store: Arc<dyn Store> = self.store.clone();
        self.try_copy(world, runs, &store).unwrap()
    }

    fn assert_clean(&self, what: &str) {
        let repository = self.repository();
        let local = self.local(&repository);
        let options = CheckOptions { read_data: ReadData::All };
        let report = check(&repository, &local, options, &NoEvents, &Interrupt::new()).unwrap();
        assert!(report.is_clean(), "{what}: {:?}", report.problems);
    }

    fn contents(&self, world: &World, run: u64) -> BTreeMap<String, Vec<u8>> {
        let repository = self.repository();
        let found = repository.snapshots_of("home").unwrap();
        let (_, snapshot) = found.iter().find(|(_, snapshot)| snapshot.run == run).unwrap();
        world.contents_in(&repository, snapshot)
    }
}

fn world_of_three_runs() -> (World, Vec<BTreeMap<String, Vec<u8>>>) {
    let world = world_with_files();
    let mut contents = Vec::new();
    for round in 1..=3_u32 {
        world.write("d1/changing", &noise(400_000, round));
        world.write(&format!("d2/new{round}"), &noise(3_000, 100 + round));
        world.run();
        contents.push(world.on_disk());
    }
    (world, contents)
}

#[test]
fn copied_snapshots_stand_alone_and_what_is_there_is_not_sent_again() {
    let (world, contents) = world_of_three_runs();
    let target = Target::like(&world);
    let first = target.copy(&world, &[1]);
    assert!(first.len() == 1 && !first[0].was_there && first[0].stored_bytes > 9 << 20);
    let later = target.copy(&world, &[1, 2, 3]);
    assert_eq!(later.iter().map(|one| one.was_there).collect::<Vec<_>>(), [true, false, false]);
    assert!(later[1].stored_bytes < 700_000, "{}", later[1].stored_bytes);
    for run in 1..=3 {
        assert!(target.contents(&world, run) == contents[run as usize - 1], "run {run}");
    }
    target.assert_clean("three runs");
    assert!(target.copy(&world, &[1, 2, 3]).iter().all(|one| one.was_there));
    // Each repository opens with its own password alone, and no object is the other's.
    let store: Arc<dyn Store> = target.store.clone();
    assert!(Repository::open(store, &crate::pipeline::tests::password()).is_err());
    let here = world.store.objects();
    assert!(
        target
            .store
            .objects()
            .keys()
            .filter(|key| key.as_str().contains('/'))
            .all(|key| !here.contains_key(key))
    );
}

#[test]
fn numbers_that_are_not_copied_are_not_missed() {
    let (world, contents) = world_of_three_runs();
    let target = Target::like(&world);
    target.copy(&world, &[2]);
    target.assert_clean("run 2 alone");
    target.copy(&world, &[3]);
    target.copy(&world, &[1]);
    target.assert_clean("run 1 last");
    for run in 1..=3 {
        assert!(target.contents(&world, run) == contents[run as usize - 1], "run {run}");
    }
    // One that somebody takes away is.
    let repository = target.repository();
    let (id, _) = repository.snapshots_of("home").unwrap().pop().unwrap();
    target.store.delete(&ObjectKey::new(format!("snapshots/{id}")).unwrap()).unwrap();
    let local = target.local(&repository);
    let report = check(&repository, &local, CheckOptions::default(), &NoEvents, &Interrupt::new()).unwrap();
    assert!(!report.is_clean());
}

#[test]
fn a_repository_that_names_blobs_otherwise_is_refused() {
    let (world, _) = world_of_three_runs();
    let target = Target::unlike();
    let store: Arc<dyn Store> = target.store.clone();
    let error = target.try_copy(&world, &[1], &store).unwrap_err();
    assert!(error.hint().unwrap().contains("--like"), "{error:?}");
    assert!(target.repository().snapshots().unwrap().is_empty());
}

/// Two runs of a few files.
fn small_world() -> World {
    let world = World::new();
    for n in 0..5_u32 {
        world.write(&format!("d{}/f{n}", n % 2), &noise(40_000, n));
    }
    world.run();
    world.write("d0/f0", &noise(30_000, 9));
    world.run();
    world
}

#[test]
fn whatever_call_to_the_source_fails_a_copy_goes_on() {
    let world = small_world();
    let calls = at_every_call(
        &Fault::ALL,
        || {
            let store: Arc<dyn Store> = world.store.clone();
            (Target::like(&world), store)
        },
        |target, store| {
            let to: Arc<dyn Store> = target.store.clone();
            if let Err(error) = target.try_copy_from(store, &[1, 2], &to) {
                assert!(error.hint().is_some(), "{error:?}");
            }
        },
        |target, what| {
            target.assert_clean(what);
            target.copy(&world, &[1, 2]);
            for run in [1, 2] {
                assert!(target.contents(&world, run) == world.contents(run), "{what}");
            }
            target.assert_clean(what);
        },
    );
    assert!(calls > 10, "{calls}");
}

#[test]
fn cut_off_at_any_call_a_copy_goes_on() {
    let world = small_world();
    let calls = at_every_call(
        &Fault::ALL,
        || {
            let target = Target::like(&world);
            let store = target.store.clone();
            (target, store as Arc<dyn Store>)
        },
        |target, store| drop(target.try_copy(&world, &[1, 2], store)),
        |target, what| {
            target.assert_clean(what);
            // What is there is whole, and the next try brings the rest.
            for (_, snapshot) in target.repository().snapshots_of("home").unwrap() {
                assert!(target.contents(&world, snapshot.run) == world.contents(snapshot.run), "{what}");
            }
            target.copy(&world, &[1, 2]);
            for run in [1, 2] {
                assert!(target.contents(&world, run) == world.contents(run), "{what}");
            }
            target.assert_clean(what);
        },
    );
    assert!(calls > 30, "{calls}");
    drop(fs::remove_dir_all(world.folder.path().join("state")));
}
