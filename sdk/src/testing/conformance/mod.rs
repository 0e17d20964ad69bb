//! Whether a source or a destination keeps its contract, seen from outside.
//!
//! Each check ends at the first violation and says what was done, what came of it, and what the contract is.

mod destination;
mod reading;
mod source;

use std::fmt;

pub use destination::check_destination;
pub use source::{SourceReport, check_source};

use crate::Error;

/// A rule that was broken.
#[derive(Debug)]
pub struct Violation {
    check: String,
    text: String,
}

impl Violation {
    fn new(check: &str, text: impl Into<String>) -> Self {
        Self { check: check.to_owned(), text: text.into() }
    }
    /// Which check found it: `discover`, `put_if_absent` …
    pub fn check(&self) -> &str {
        &self.check
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.text)
    }
}

impl std::error::Error for Violation {}

type Checked<T = ()> = Result<T, Violation>;

/// Ends a check with a violation unless something holds.
macro_rules! ensure {
    ($holds:expr, $check:expr, $($text:tt)+) => {
        if !$holds {
            return Err($crate::testing::conformance::Violation::new($check, format!($($text)+)));
        }
    };
}
use ensure;

/// Turns an error where none may be into a violation.
trait OrViolation<T> {
    fn or_violation(self, check: &str, what: &str) -> Checked<T>;
}

impl<T> OrViolation<T> for crate::Result<T> {
    fn or_violation(self, check: &str, what: &str) -> Checked<T> {
        self.map_err(|error| Violation::new(check, format!("{what} failed: {}", chain(&error))))
    }
}

/// An error with everything that caused it.
fn chain(error: &Error) -> String {
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |cause| cause.source());
    causes.fold(format!("{error:?}"), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
