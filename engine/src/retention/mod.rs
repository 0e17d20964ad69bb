//! Which snapshots of a set are kept. Pure: rules and times in, reasons out.

mod age;
mod select;

pub use age::Age;
pub use select::{Candidate, Rule, select};

/// How many snapshots to keep, by rule; 0 where a rule is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The last ones.
    pub last: u32,
    /// One an hour.
    pub hourly: u32,
    /// One a day.
    pub daily: u32,
    /// One a week.
    pub weekly: u32,
    /// One a month.
    pub monthly: u32,
    /// One a year.
    pub yearly: u32,
    /// All that are at most so much older than the newest.
    pub within: Option<Age>,
    /// All that have any of these tags.
    pub tags: Vec<String>,
}

impl Keep {
    /// True if no rule is given, so that nothing but the newest would stay.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
