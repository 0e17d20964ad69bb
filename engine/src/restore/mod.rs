//! From a snapshot back to files.

mod plan;
mod run;

pub use plan::{Overwrite, RestoreOptions, RestoreReport};
pub use run::restore;
