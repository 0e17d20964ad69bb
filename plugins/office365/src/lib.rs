//! Larder plugin `office365`: SharePoint and Exchange of a Microsoft 365 tenant, read through a pool of accounts.
#![forbid(unsafe_code)]

mod auth;
mod error;
mod exchange;
mod http;
mod options;
mod pool;
