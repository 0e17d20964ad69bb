//! Reading mailboxes from the simulated tenant.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test whose premises fail has failed")]

mod causes;
mod faults;
mod keeper;
mod large;
mod reading;
mod sign_in;
mod support;
