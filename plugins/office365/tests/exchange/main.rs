//! Reading mailboxes from the simulated tenant.

mod faults;
mod keeper;
mod large;
mod reading;
mod support;
