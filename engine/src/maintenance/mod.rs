//! Looking after a repository.

mod check;
mod forget;
mod report;

pub use check::{CheckOptions, check};
pub use forget::{ForgetOptions, Judged, forget};
pub use report::{CheckReport, Problem};
