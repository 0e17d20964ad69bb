//! Which snapshots of a set are kept. Pure: rules and times in, reasons out.

mod select;

pub use select::{Rule, select};

/// How many snapshots to keep, by rule; 0 where a rule is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
}
