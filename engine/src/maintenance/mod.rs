//! Looking after a repository.

mod blob_set;
mod check;
mod copy;
mod distinct;
#[cfg(test)]
mod faults;
mod forget;
mod key;
#[cfg(test)]
mod long_reads;
mod packs;
mod prune;
mod read_data;
mod repair;
mod report;
#[cfg(test)]
mod simulation;
mod stats;
mod usage;

pub use check::{CheckOptions, check};
pub use copy::{CopiedSnapshot, CopySetup, copy};
pub use forget::{ForgetOptions, Judged, forget};
pub use key::{NewKey, SlotChange, add_key, change_password, find_slot, remove_key};
pub use prune::{PruneOptions, PruneReport, PruneSetup, WaitingFor, prune};
pub use read_data::ReadData;
pub use repair::{Loss, RepairOptions, RepairReport, RepairSetup, repair};
pub use report::{CheckReport, Problem};
pub use stats::{SetStats, SnapshotStats, Stats, stats};
