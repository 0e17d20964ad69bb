//! The only reader of the clock: everything else is handed a [`Clock`], so that tests decide what time it is.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use larder_sdk::Time;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The moment by the wall clock, which people and other machines may set forward and back.
    fn now(&self) -> Time;
    /// Time since some fixed moment of this process; never goes back. For waits and rates.
    fn elapsed(&self) -> Duration;
}

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::elapsed`] counts from now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        SystemTime::now().into()
    }
    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved. For tests.
#[derive(Debug)]
pub struct FixedClock {
    state: Mutex<(Time, Duration)>,
}

impl FixedClock {
    /// A clock that shows `now`.
    pub fn new(now: Time) -> Self {
        Self { state: Mutex::new((now, Duration::ZERO)) }
    }
    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = (SystemTime::from(state.0) + by).into();
        state.1 += by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Time {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }
    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::new(Time::from_seconds(1_000));
        assert_eq!(clock.now(), Time::from_seconds(1_000));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Time::from_seconds(1_005));
        assert_eq!(clock.elapsed(), Duration::from_secs(5));
    }
}
