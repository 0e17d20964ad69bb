//! Reading mailboxes from the simulated tenant.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test whose premises fail has failed")]

mod causes;
mod faults;
mod fidelity;
mod keeper;
mod large;
mod moves;
mod public;
mod reading;
mod settings;
mod sign_in;
mod support;
