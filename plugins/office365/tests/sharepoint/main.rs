//! The source against the simulated tenant: SharePoint, sign-in and the pool.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::doc_markdown, reason = "SharePoint is a name, not code")]

mod causes;
mod faults;
mod keeper;
mod permissions;
mod pitfalls;
mod pool;
mod reading;
mod schema;
mod sign_in;
mod support;
mod versions;
