//! Trying again: how often, for how long, with which waits.
//!
//! All tries of a call share one budget, so that a store that cannot be reached is given up after about half a minute, whatever
//! the reason. A put that took longer than that by itself still gets its share of tries.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use crate::failure::{Again, Failure, Outcome};

/// Tries of one call at most.
const TRIES_MAX: u32 = 10;
/// Tries of one call at least, if they may help, however long each took.
const TRIES_MIN: u32 = 3;
/// No further try begins after this time, [`TRIES_MIN`] apart.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first wait; each further one is twice as long.
const WAIT_FIRST: Duration = Duration::from_millis(100);
/// The longest wait of our own choice.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The longest wait a store may ask for; beyond it the caller is told instead.
pub(crate) const WAIT_ASKED_MAX: Duration = Duration::from_secs(30);

/// Makes a call until it succeeds, fails for good, or the bounds are reached; then the last failure is returned. `tell` hears of each
/// failure that is followed by another try.
pub(crate) async fn run<T, F>(mut call: impl FnMut() -> F, tell: impl Fn(&Failure, Duration)) -> Outcome<T>
where
    F: Future<Output = Outcome<T>>,
{
    let started = Instant::now();
    let mut tries = 0;
    let mut doubtful = 0;
    loop {
        let failure = match call().await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        tries += 1;
        let asked = match failure.again() {
            Again::Never => return Err(failure),
            Again::Times(most) if doubtful >= most => return Err(failure),
            Again::Times(_) => {
                doubtful += 1;
                Duration::ZERO
            }
            Again::After(asked) => asked.unwrap_or_default(),
        };
        let spent = started.elapsed() >= PATIENCE && tries >= TRIES_MIN;
        if spent || tries >= TRIES_MAX || asked > WAIT_ASKED_MAX {
            return Err(failure);
        }
        let wait = wait(tries).max(asked);
        tell(&failure, wait);
        tokio::time::sleep(wait).await;
    }
}

/// The wait after that many tries: doubling, and between half and all of it by chance, so that many clients do not come back at once.
fn wait(tries: u32) -> Duration {
    let full = WAIT_FIRST.saturating_mul(1 << (tries - 1).min(10)).min(WAIT_MAX);
    // Without random bytes the full wait is as good.
    let chance = getrandom::u32().unwrap_or(u32::MAX);
    full / 2 + (full / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::failure::{Answer, Stage};

    fn answer(status: u16) -> Failure {
        Failure::Answered(Answer { status, ..Answer::default() })
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    /// Fails with `failure` until the given try; returns how many tries there were and whether the last succeeded.
    fn tries(failure: &Failure, succeeds_at: u32) -> (u32, bool) {
        let count = Cell::new(0);
        let call = || {
            count.set(count.get() + 1);
            let outcome = if count.get() >= succeeds_at { Ok(()) } else { Err(failure.clone()) };
            async { outcome }
        };
        let succeeded = block_on(run(call, |_, _| ())).is_ok();
        (count.get(), succeeded)
    }

    #[test]
    fn passing_trouble_is_tried_again_and_final_words_are_not() {
        assert_eq!(tries(&answer(503), 4), (4, true));
        assert_eq!(tries(&answer(403), 2), (1, false));
        assert_eq!(tries(&answer(507), 2), (1, false));
        assert_eq!(tries(&answer(501), 2), (1, false));
    }

    #[test]
    fn silence_is_tried_again_once() {
        let silent = Failure::Unanswered { host: String::new(), stage: Stage::Silent, cause: String::new() };
        assert_eq!(tries(&silent, 9), (2, false));
    }

    #[test]
    fn a_long_wait_is_left_to_the_caller() {
        let asked = Failure::Answered(Answer {
            status: 429,
            retry_after: Some(WAIT_ASKED_MAX + Duration::from_secs(1)),
            ..Answer::default()
        });
        assert_eq!(tries(&asked, 2), (1, false));
    }

    #[test]
    fn waits_grow_to_a_bound() {
        assert!(wait(1) >= WAIT_FIRST / 2 && wait(1) <= WAIT_FIRST);
        assert!(wait(40) >= WAIT_MAX / 2 && wait(40) <= WAIT_MAX);
    }
}
