//! Looking after a repository.

mod check;
mod report;

pub use check::{CheckOptions, check};
pub use report::{CheckReport, Problem};
