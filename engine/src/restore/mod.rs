//! From a snapshot back to files.

mod batch;
pub mod directory;
mod gather;
mod plan;
mod run;
mod verify;

pub use plan::{Overwrite, RestoreOptions, RestoreReport};
pub use run::restore;
pub use verify::{VerifyReport, verify};
