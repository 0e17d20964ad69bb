//! The source against the simulated tenant: SharePoint, sign-in and the pool.

mod faults;
mod keeper;
mod pool;
mod reading;
mod support;
