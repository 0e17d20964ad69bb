//! Every decoder of bytes from outside, fed with valid bytes that were changed: no panic, no memory beyond the limit, and what
//! is accepted comes back the same when it is encoded and decoded again.
//!
//! `cargo test` tries the same few thousand cases each time. `LARDER_FUZZ_SECONDS=600 cargo test --release -p larder-tests --test fuzz`
//! goes on for so long with new ones, from round `LARDER_FUZZ_FIRST` on. `LARDER_FUZZ_TOLD=1 … -- --nocapture` says before each case which
//! one it is: an end of the process (memory, stack) leaves no other trace. A new decoder of bytes from outside becomes a target here.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and may tell what it does"
)]

mod local;
mod messages;
mod mutate;
mod records;
mod sealed;
mod services;
mod target;

use std::{
    env,
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use mutate::{Random, mutated};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use target::Target;

/// Rounds of each target in a short run.
const ROUNDS: u64 = 1500;
/// Rounds between two looks at the time.
const ROUNDS_AT_ONCE: u64 = 200;
/// Most memory of this process in bytes: a decode may need 64 MiB, whatever a few bytes claim.
const MEMORY_BYTES_MAX: u64 = 512 << 20;
/// Most bytes of a failed case that are shown.
const SHOWN_BYTES: usize = 4096;

#[test]
fn every_decoder_bears_what_it_did_not_write() {
    let limit = Rlimit { current: Some(MEMORY_BYTES_MAX), maximum: getrlimit(Resource::Data).maximum };
    setrlimit(Resource::Data, limit).unwrap();
    let mut targets: Vec<Target> = records::targets();
    targets.extend(sealed::targets());
    targets.extend(messages::targets());
    targets.extend(services::targets());
    targets.extend(local::targets());
    for target in &targets {
        for (number, seed) in target.seeds.iter().enumerate() {
            let dressed = (target.dress)(seed);
            assert!((target.decode)(&dressed), "{}: seed {number} is refused", target.name);
        }
    }
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let until = number("LARDER_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut round = number("LARDER_FUZZ_FIRST").unwrap_or(0);
    let mut accepted = vec![0_u64; targets.len()];
    loop {
        for (target, accepted) in targets.iter().zip(&mut accepted) {
            *accepted += {
                let rounds = (round..round + ROUNDS_AT_ONCE).filter(|round| round % target.every == 0);
                rounds.filter(|round| one(target, *round)).count() as u64
            };
        }
        round += ROUNDS_AT_ONCE;
        if until.map_or(round >= ROUNDS, |until| Instant::now() >= until) {
            break;
        }
    }
    println!("{} targets, up to round {round}", targets.len());
    for (target, accepted) in targets.iter().zip(accepted) {
        // Changes of which none is accepted do not get past the first check.
        assert!(accepted > 0, "{}: nothing but seeds was accepted", target.name);
    }
}

/// Tries one case; true if its bytes were accepted.
fn one(target: &Target, round: u64) -> bool {
    if env::var_os("LARDER_FUZZ_TOLD").is_some() {
        println!("{}: round {round}", target.name);
    }
    let mut random = Random::new(target.name, round);
    // Mostly what is inside is changed, and seals and lengths fit it; now and then the outside.
    let bytes = if random.below(8) == 0 {
        let dressed: Vec<_> = target.seeds.iter().map(|seed| (target.dress)(seed)).collect();
        mutated(&dressed, &mut random)
    } else {
        (target.dress)(&mutated(&target.seeds, &mut random))
    };
    catch_unwind(AssertUnwindSafe(|| (target.decode)(&bytes))).unwrap_or_else(|_| {
        let shown = bytes.iter().take(SHOWN_BYTES).fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        panic!("{}: round {round} fails on {} bytes: {shown}", target.name, bytes.len())
    })
}
