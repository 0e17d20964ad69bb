//! One account of the pool: who it is, how it signs in, and how it has fared.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{auth::SignIn, error::Explanation, options::Service};

/// How long a refused account is left alone the first time, unless the refusal says otherwise. A changed password or policy
/// takes minutes to spread, and each try counts towards a lockout.
const SET_ASIDE: Duration = Duration::from_secs(600);
/// Longest time an account is left alone.
const SET_ASIDE_MAX: Duration = Duration::from_secs(3600);

/// An account by its place in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AccountId(pub(super) usize);

/// What does not change about an account while a set runs.
pub(super) struct Account {
    pub(super) user: String,
    /// For messages: the user, and the app password's label if it has one.
    pub(super) shown: String,
    pub(super) services: Vec<Service>,
    pub(super) sign_in: SignIn,
}

/// Why an account is set aside, and until when.
#[derive(Clone, Debug)]
pub(super) struct Quarantine {
    pub(super) reason: Explanation,
    pub(super) probe_at: Instant,
    /// How often in a row.
    pub(super) times: u32,
}

impl Quarantine {
    /// The next quarantine after `before`, each twice as long as the last.
    pub(super) fn next(before: Option<&Self>, reason: Explanation, now: Instant) -> Self {
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let wait = reason.again_after.unwrap_or(SET_ASIDE).saturating_mul(1 << (times - 1).min(10));
        Self { probe_at: now + wait.min(SET_ASIDE_MAX), reason, times }
    }
}

/// Whether a request on its way is alive: the server owes something, or somebody reads what has come.
#[derive(Debug)]
pub(super) struct Activity(Mutex<(bool, Instant)>);

impl Activity {
    /// A request about to be sent.
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new((true, now)))
    }
    /// Notes whether somebody waits for the server.
    pub(super) fn waiting(&self, waiting: bool, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (waiting, now);
    }
    /// True if nobody has asked for more of the answer for `time`.
    pub(super) fn stalled(&self, now: Instant, time: Duration) -> bool {
        let (waiting, last) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !waiting && now.saturating_duration_since(last) >= time
    }
}
