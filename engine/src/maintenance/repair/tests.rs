//! Repairs of repositories that real runs made and that were damaged in every way.

use std::{collections::BTreeMap, fs, sync::Arc};

use bytes::Bytes;
use larder_sdk::ObjectKey;

use super::*;
use crate::{
    clock::SystemClock,
    events::NoEvents,
    pipeline::tests::{World, noise, password, world_with_files},
    process::Interrupt,
    repository::Repository,
    snapshot::{SnapshotOutcome, SnapshotRecord},
    store::{
        Store,
        faulty::{Fault, at_every_call},
    },
};

type Objects = BTreeMap<ObjectKey, Bytes>;

fn local(world: &World, repository: &Repository) -> LocalState {
    LocalState::open(&world.folder.path().join("state"), repository.id()).unwrap()
}

fn try_repair(world: &World, store: &Arc<dyn Store>, dry_run: bool) -> Result<RepairReport> {
    let repository = Arc::new(Repository::open(Arc::clone(store), &password())?);
    let local = local(world, &repository);
    let setup = RepairSetup {
        at: PruneSetup {
            repository: &repository,
            machine: local.machine()?,
            host: "test",
            clock: &SystemClock::new(),
            events: &NoEvents,
            interrupt: &Interrupt::new(),
        },
        local: &local,
    };
    repair(&setup, RepairOptions { dry_run, read_data: ReadData::All })
}

fn repaired(world: &World, dry_run: bool) -> RepairReport {
    let store: Arc<dyn Store> = world.store.clone();
    try_repair(world, &store, dry_run).unwrap()
}

/// What this machine remembers goes too: it has seen runs that the objects put back have not.
fn put_back(world: &World, objects: &Objects) {
    world.store.objects().clone_from(objects);
    drop(fs::remove_dir_all(world.folder.path().join("state")));
}

fn damaged(good: &Bytes, damage: usize, seed: usize) -> Option<Bytes> {
    let mut bytes = good.to_vec();
    match damage {
        0 => {
            let at = (seed * 7919 + 13) % bytes.len();
            bytes[at] ^= 1 << (seed % 8);
        }
        1 => bytes.truncate(bytes.len() - 1),
        2 => bytes.truncate(bytes.len() / 2),
        _ => return None,
    }
    Some(bytes.into())
}

/// Whatever a snapshot had that is not named as lost is there as it was.
fn assert_rest_is_there(
    world: &World,
    before: &BTreeMap<u64, BTreeMap<String, Vec<u8>>>,
    report: &RepairReport,
    what: &str,
) {
    for snapshot in world.snapshots() {
        let now = world.contents_of(&snapshot);
        let unnamed = report.lost.iter().any(|loss| loss.path.ends_with('/') || loss.path.is_empty());
        for (path, bytes) in &before[&snapshot.run] {
            let is_named = || report.lost.iter().any(|loss| loss.path.ends_with(path.as_str()));
            match now.get(path) {
                Some(found) => assert_eq!(found, bytes, "{what}: {path}"),
                None => assert!(unnamed || is_named(), "{what}: {path} is gone and not named: {report:?}"),
            }
        }
    }
}

#[test]
fn whatever_is_damaged_a_repair_leaves_a_whole_repository_and_the_next_run_heals_it() {
    let world = world_with_files();
    world.run();
    world.write("d1/new", &noise(700_000, 5));
    world.run();
    let before: BTreeMap<u64, _> = [1, 2].map(|run| (run, world.contents(run))).into();
    let objects = world.store.objects().clone();
    for (n, (key, good)) in objects.iter().enumerate() {
        for damage in 0..4 {
            let what = format!("damage {damage} of {key}");
            put_back(&world, &objects);
            match damaged(good, damage, n) {
                Some(bytes) => world.store.objects().insert(key.clone(), bytes),
                None => world.store.objects().remove(key),
            };
            let report = repaired(&world, false);
            assert!(report.unmended.is_empty() && report.refused.is_empty(), "{what}: {report:?}");
            let checked = world.check();
            assert!(checked.is_clean(), "{what}: {:?} after {report:?}", checked.problems);
            assert_rest_is_there(&world, &before, &report, &what);
            assert!(repaired(&world, false).is_clean(), "{what}");
            let next = world.run();
            assert_eq!(next.outcome, SnapshotOutcome::Complete, "{what}");
            let newest: SnapshotRecord = world.snapshots().pop().unwrap();
            assert!(world.contents_of(&newest) == world.on_disk(), "{what}");
            world.assert_clean();
        }
    }
}

#[test]
fn good_frames_of_a_damaged_pack_are_kept_and_a_dry_run_says_the_same_and_writes_nothing() {
    let world = world_with_files();
    world.run();
    let contents = world.contents(1);
    let objects = world.store.objects().clone();
    let (key, good) = objects.iter().find(|(key, _)| key.as_str().starts_with("data/")).unwrap();
    let mut bytes = good.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    world.store.objects().insert(key.clone(), bytes.into());
    let damaged = world.store.objects().clone();
    let looked = repaired(&world, true);
    assert_eq!(*world.store.objects(), damaged);
    let report = repaired(&world, false);
    let paths = |report: &RepairReport| -> Vec<String> {
        report.lost.iter().map(|loss| format!("{}: {}", loss.path, loss.what)).collect()
    };
    assert_eq!(paths(&looked), paths(&report));
    assert!(!report.lost.is_empty() && report.lost.len() < 700, "{report:?}");
    assert!(report.mended.iter().any(|mended| mended.message.contains("1 of the pack's")), "{report:?}");
    assert!(!world.store.objects().contains_key(key));
    let snapshot = world.snapshots().pop().unwrap();
    assert_eq!(snapshot.outcome, SnapshotOutcome::Incomplete);
    assert_eq!(snapshot.totals.owed, report.lost.len() as u64);
    assert_eq!(world.contents_of(&snapshot).len() + report.lost.len(), contents.len());
    // The next run reads what is owed and nothing else.
    let next = world.run();
    assert_eq!(next.outcome, SnapshotOutcome::Complete);
    assert!(next.totals.read_items <= 2 * report.lost.len() as u64, "{} items", next.totals.read_items);
    assert_eq!(world.contents(2), contents);
}

#[test]
fn a_lost_segment_costs_nothing() {
    let world = world_with_files();
    world.run();
    let before = world.snapshots();
    let keys: Vec<_> =
        world.store.objects().keys().filter(|key| key.as_str().starts_with("index/")).cloned().collect();
    for key in &keys {
        world.store.objects().remove(key);
    }
    let report = repaired(&world, false);
    assert_eq!((report.lost.len(), report.mended.len()), (0, keys.len()), "{report:?}");
    assert_eq!(world.snapshots(), before);
    world.assert_clean();
}

#[test]
fn killed_at_any_call_a_repair_can_be_run_again() {
    let world = World::new();
    for n in 0..6_u32 {
        world.write(&format!("d{}/f{n}", n % 2), &noise(300_000, n));
    }
    world.run();
    let objects = world.store.objects().clone();
    let data = objects.keys().find(|key| key.as_str().starts_with("data/")).unwrap();
    let index = objects.keys().find(|key| key.as_str().starts_with("index/trees/")).unwrap();
    let before: BTreeMap<u64, _> = [(1, world.contents(1))].into();
    let calls = at_every_call(
        &Fault::ALL,
        || {
            put_back(&world, &objects);
            let bytes = damaged(&objects[data], 0, 41).unwrap();
            world.store.objects().insert(data.clone(), bytes);
            world.store.objects().remove(index);
            ((), world.store.clone() as Arc<dyn Store>)
        },
        |(), store| drop(try_repair(&world, store, false)),
        |(), what| {
            let report = repaired(&world, false);
            let checked = world.check();
            assert!(checked.is_clean(), "{what}: {:?} after {report:?}", checked.problems);
            for snapshot in world.snapshots() {
                let now = world.contents_of(&snapshot);
                assert!(now.len() >= 4, "{what}: {} files are left", now.len());
                assert!(now.iter().all(|(path, bytes)| before[&1][path] == *bytes), "{what}");
            }
            assert_eq!(world.snapshots().len(), 1, "{what}");
        },
    );
    assert!(calls > 40, "{calls}");
}
