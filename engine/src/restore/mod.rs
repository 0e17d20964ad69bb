//! From a snapshot back to files.

pub mod directory;
mod plan;
mod run;

pub use plan::{Overwrite, RestoreOptions, RestoreReport};
pub use run::restore;
