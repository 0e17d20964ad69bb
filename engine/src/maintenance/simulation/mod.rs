//! A deterministic simulation of writers, readers, `forget` and `prune` on one repository: the real code over a simulated store, with crashes, sleeps,
//! wrong clocks, lost, late and doubled answers. A seed says who moves when and what goes wrong; the same seed does the same again.
//!
//! `LARDER_SIMULATION_SEEDS=100000 cargo test --release -p larder simulation` tries more seeds than usual, `LARDER_SIMULATION_FIRST` others;
//! with `LARDER_SIMULATION_TOLD` every request is printed.

mod machine;
mod world;
mod writer;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{
    machine::{Machine, Part, SETS},
    world::{Actor, Random, Weather, World},
    writer::Model,
};
use crate::{
    crypto::Keys,
    hash::{RepositoryId, seeded},
    planted::{Bug, plant},
    repository::{ConfigRecord, DRAFT},
};

/// Seeds tried when nothing else is asked for.
const SEEDS: u64 = 300;
/// Within so many seeds a planted bug must be found.
const SEEDS_FOR_A_BUG: u64 = 1000;

/// What came of a seed.
struct Outcome {
    violations: Vec<String>,
    trace: u64,
}

fn parts(dice: &mut Random) -> Vec<Part> {
    let mut parts = vec![Part::Writer, Part::Writer, Part::Pruner, Part::Forgetter];
    if dice.once_in(2) {
        parts.push(Part::Writer);
    }
    if dice.once_in(2) {
        parts.push(Part::Pruner);
    }
    if dice.once_in(3) {
        parts.push(Part::Reader);
    }
    parts
}

fn weather(dice: &mut Random) -> Weather {
    let mut one_of = |choices: [u64; 3]| choices[dice.below(3) as usize];
    Weather {
        faults: one_of([0, 30, 200]),
        crashes: one_of([0, 30, 200]),
        sleeps: one_of([0, 60, 300]),
        switches: one_of([1, 6, 30]),
    }
}

/// Plays one seed.
fn play(seed: u64, bug: Option<Bug>) -> Outcome {
    let mut dice = Random::new(seed ^ 0x5eed);
    let parts = parts(&mut dice);
    let (sets, stops) = (1 + dice.below(2), dice.below(3));
    let world = World::new(seed, parts.len(), weather(&mut dice));
    let folder = state_folder();
    let model = Arc::new(Mutex::new(Model::default()));
    seeded::seed(seed, u64::MAX);
    let keys = Keys::generate().unwrap();
    let config = ConfigRecord {
        id: RepositoryId([7; 16]),
        draft: DRAFT,
        created: world.now(),
        put_if_absent: true,
        list_after_put: true,
    };
    let machine = |number: usize, skew: i64| Machine {
        actor: Actor { world: Arc::clone(&world), number, skew },
        keys: keys.clone(),
        config: config.clone(),
        folder: folder.path().join(number.to_string()),
        sets,
        stops,
        model: Arc::clone(&model),
    };
    let machines: Vec<Machine> =
        parts.iter().enumerate().map(|(number, part)| machine(number, skew(*part, &mut dice))).collect();
    std::thread::scope(|scope| {
        for (number, (machine, part)) in machines.iter().zip(&parts).enumerate() {
            let (world, model) = (&world, &model);
            scope.spawn(move || {
                seeded::seed(seed, number as u64);
                plant(bug);
                world.enter(number);
                let mut dice = Random::new(seed.wrapping_mul(31).wrapping_add(number as u64));
                if catch_unwind(AssertUnwindSafe(|| machine.live(*part, &mut dice))).is_err() {
                    let mut model = model.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    model.violations.push(format!("{part:?} {number} panicked"));
                }
                world.leave(number);
            });
        }
        world.start();
    });
    let mut violations = std::mem::take(&mut model.lock().unwrap().violations);
    let trace = world.trace();
    if violations.is_empty() {
        violations.extend(aftermath(&world, &Machine { stops: 0, ..machine(0, 0) }).err());
    }
    Outcome { violations, trace }
}

/// Clocks of writers may be wrong by hours; prune refuses to work with one that is wrong by much.
fn skew(part: Part, dice: &mut Random) -> i64 {
    match (part, dice.below(4)) {
        (Part::Writer, 0) => dice.below(6 * 3600).cast_signed() - 3 * 3600,
        (Part::Pruner | Part::Forgetter, 0) => dice.below(1800).cast_signed() - 900,
        _ => dice.below(20).cast_signed() - 10,
    }
}

/// When the storm is over everything must read, runs and prunes must go on, and nothing dead may be left.
fn aftermath(world: &World, machine: &Machine) -> Result<(), String> {
    let told = |what: &'static str| {
        move |error: crate::error::EngineError| format!("afterwards, {what}: {}", error.full_message())
    };
    world.calm(26);
    machine.verify_all().map_err(told("reading"))?;
    let mut dice = Random::new(1);
    for set in SETS {
        writer::run(machine, set, &mut dice).map_err(told("a run"))?;
        machine.forget(set, 1).map_err(told("a forget"))?;
    }
    // A day for what is dead, and as long as ends of prunes are kept.
    for hours in [26, 26, 15 * 24] {
        machine.prune(0).map_err(told("a prune"))?;
        world.calm(hours);
    }
    machine.prune(0).map_err(told("the last prune"))?;
    machine.verify_all().map_err(told("reading after the prunes"))?;
    let left: Vec<String> = world
        .keys()
        .iter()
        .map(|key| key.as_str().to_owned())
        .filter(|key| {
            ["live/sessions", "live/marks", "live/ended"].iter().any(|folder| key.starts_with(folder))
        })
        .collect();
    if left.is_empty() { Ok(()) } else { Err(format!("afterwards, left: {left:?}")) }
}

/// In memory where there is such a folder: state files are synced, and thousands of seeds write them.
fn state_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn first() -> u64 {
    number("LARDER_SIMULATION_FIRST", 0)
}

/// Plays seeds on all processors until one shows a violation: the first such seed, or the number tried.
fn search(first: u64, seeds: u64, bug: Option<Bug>) -> Result<u64, (u64, Vec<String>)> {
    let next = AtomicU64::new(first);
    let found = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || found.lock().unwrap().is_some() {
                        return;
                    }
                    let outcome = play(seed, bug);
                    if !outcome.violations.is_empty() {
                        found.lock().unwrap().get_or_insert((seed, outcome.violations));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap().map_or(Ok(seeds), Err)
}

#[test]
fn no_seed_loses_a_blob() {
    let first = first();
    let seeds = number("LARDER_SIMULATION_SEEDS", SEEDS);
    if let Err((seed, violations)) = search(first, seeds, None) {
        panic!("seed {seed}: {violations:#?}");
    }
}

#[test]
fn a_seed_does_the_same_again() {
    for seed in 0..20 {
        assert_eq!(play(seed, None).trace, play(seed, None).trace, "seed {seed}");
    }
}

macro_rules! finds {
    ($($test:ident: $bug:ident,)*) => {$(
        #[test]
        fn $test() {
            let found = search(first(), number("LARDER_SIMULATION_SEEDS", SEEDS_FOR_A_BUG), Some(Bug::$bug));
            let (seed, violations) = found.expect_err("the planted bug was not found");
            println!("found by seed {seed}: {violations:?}");
        }
    )*};
}

finds! {
    finds_an_index_written_after_the_snapshot: IndexAfterSnapshot,
    finds_sessions_listed_before_the_mark: SessionsBeforeMark,
    finds_a_condemned_blob_taken_as_stored: CondemnedTakenAsStored,
    finds_a_base_that_is_not_pinned: BaseNotPinned,
    finds_a_checkpoint_that_is_no_root: CheckpointNoRoot,
    finds_a_lost_answer_taken_for_a_failure: LostAnswerTakenForFailure,
    finds_a_merge_of_index_segments_by_a_writer: MergeByWriter,
    finds_a_checkpoint_of_a_dead_session: CheckpointOfTheDead,
    finds_a_removal_record_that_went_too_early: RemovalForgotten,
}
