//! Looking after a repository.

mod check;
mod distinct;
mod forget;
mod prune;
mod report;
#[cfg(test)]
mod simulation;
mod stats;
mod usage;

pub use check::{CheckOptions, check};
pub use forget::{ForgetOptions, Judged, forget};
pub use prune::{PruneOptions, PruneReport, PruneSetup, WaitingFor, prune};
pub use report::{CheckReport, Problem};
pub use stats::{SetStats, SnapshotStats, Stats, stats};
