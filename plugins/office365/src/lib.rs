//! Larder plugin `office365`: SharePoint and Exchange of a Microsoft 365 tenant, read through a pool of accounts.
//!
//! [`auth`] turns app passwords into sessions, [`pool`] decides which account sends a request and when, [`sharepoint`] and
//! [`exchange`] know what to ask for and what the answers are as items.
#![forbid(unsafe_code)]
#![expect(clippy::doc_markdown, reason = "SharePoint, OneDrive, OData and ETag are names, not code")]

mod auth;
pub mod codes;
mod error;
mod exchange;
mod feed;
mod http;
mod options;
mod pool;
mod rules;
mod sharepoint;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod validate;

use larder_sdk::{Host, Plugin, PluginInfo, Result, Source};

pub use source::Office365;

/// The plugin.
pub struct Office365Plugin;

impl Plugin for Office365Plugin {
    fn info(&self) -> PluginInfo {
        PluginInfo::new(
            "office365",
            env!("CARGO_PKG_VERSION"),
            "SharePoint, OneDrive and Exchange of Microsoft 365",
        )
        .with_source(options::schema())
        .with_codes(codes::explained())
    }

    fn source(&self, options: &str, host: Host) -> Result<Box<dyn Source>> {
        Ok(Box::new(Office365::new(options, host)?))
    }
}

larder_sdk::export_plugin!(Office365Plugin);
