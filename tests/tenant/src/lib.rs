//! A simulated Microsoft 365 tenant: one loopback server per Microsoft host, with deterministic content, throttles
//! per account, faults on demand, and a manifest of what a right backup of it holds.
//!
//! It stands in for the cloud wherever tests or the quick start need one, and it is strict: what Microsoft's servers
//! refuse, it refuses. Start one with [`Tenant::start`]; it stops when dropped.
//!
//! ```no_run
//! # async fn demo() -> Result<(), larder_tenant::TenantError> {
//! let tenant = larder_tenant::Tenant::start(larder_tenant::TenantOptions::default()).await?;
//! println!("{}", tenant.endpoints().sharepoint);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::doc_markdown, reason = "SharePoint, OneDrive and OData are names of products, not of code")]

pub mod account;
pub mod application;
pub mod clock;
pub mod content;
mod control;
pub mod counters;
pub mod exchange;
pub mod fault;
pub mod federation;
pub mod gate;
mod login;
pub mod shared;
pub mod sharepoint;
mod tenant;
mod xml;

pub use tenant::{Endpoints, Tenant, TenantError, TenantOptions};
