//! Looking after a repository.

mod check;
mod forget;
mod prune;
mod report;
#[cfg(test)]
mod simulation;
mod usage;

pub use check::{CheckOptions, check};
pub use forget::{ForgetOptions, Judged, forget};
pub use prune::{PruneOptions, PruneReport, PruneSetup, WaitingFor, prune};
pub use report::{CheckReport, Problem};
