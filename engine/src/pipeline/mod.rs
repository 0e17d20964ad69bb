//! From a source's items to a snapshot.
//!
//! ```text
//! reader.next ─ decide ─ answer ─┐            (a thread per container)
//!              fetch ─ chunk ─ hash ─ dedup ─┐ (a few threads per container)
//!                   frames ─ compress ─ seal ─ pack ─ upload   (`repository::Saver`)
//! edits in the order of events ─ tree ─ checkpoint ─ snapshot  (one coordinator)
//! ```

mod base;
mod budget;
mod commit;
mod container;
mod counts;
mod fetch;
mod run;
mod state;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub use base::latest_of_set;
#[cfg(test)]
pub(crate) use base::{Base, Opening, announce};
pub use run::{ContainerSummary, RunOptions, RunSetup, RunSummary, run};
