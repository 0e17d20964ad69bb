//! How long calls into plugins may take.

use std::time::Duration;

/// After how long a call that does not return is given up, by what it does. Waiting out a server's back-off counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallLimits {
    /// What only looks at memory: describing itself, answers, closing.
    pub quick: Duration,
    /// Making an instance, secrets included.
    pub open: Duration,
    /// `validate`.
    pub validate: Duration,
    /// `discover`.
    pub discover: Duration,
    /// Opening a container, a batch, a fetch, a piece of a body.
    pub read: Duration,
    /// One operation of a destination, its retries included.
    pub store: Duration,
    /// What is left to a call once it was cancelled.
    pub cancelled: Duration,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            quick: Duration::from_secs(30),
            open: Duration::from_mins(5),
            validate: Duration::from_mins(10),
            discover: Duration::from_hours(2),
            read: Duration::from_hours(2),
            store: Duration::from_hours(1),
            cancelled: Duration::from_millis(larder_sdk::limits::CANCEL_MS_MAX),
        }
    }
}

impl CallLimits {
    /// The same limit for everything.
    pub fn all(limit: Duration) -> Self {
        Self {
            quick: limit,
            open: limit,
            validate: limit,
            discover: limit,
            read: limit,
            store: limit,
            cancelled: limit.min(Self::default().cancelled),
        }
    }
}
