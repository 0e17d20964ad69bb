//! Larder's standard destination: repositories in folders, in memory, on S3, Azure, Google Cloud Storage and `WebDAV`.
//!
//! A repository's URL says which: `file:///PATH`, `memory:///NAME`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`,
//! `gs://BUCKET/PREFIX`, `https://HOST/PATH` (`WebDAV`; `http://` with `allow_http`). The options are in [`Plugin::info`].
//!
//! `WebDAV` has no put that fails if the object is there: a look and a put stand in for it, and the capability is not claimed. Its
//! listings come a whole folder at a time.
#![forbid(unsafe_code)]

mod answer;
mod error;
mod failure;
mod local;
mod location;
mod memory;
mod names;
mod nearest;
mod options;
mod page;
mod remote;
mod retry;
mod store;

use larder_sdk::{Destination, Host, Plugin, PluginInfo, Result};

use crate::{local::LocalStore, location::Scheme, memory::MemoryStore, remote::RemoteStore};

/// The plugin.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObjectStorePlugin;

larder_sdk::export_plugin!(ObjectStorePlugin);

impl Plugin for ObjectStorePlugin {
    fn info(&self) -> PluginInfo {
        PluginInfo::new(
            "object-store",
            env!("CARGO_PKG_VERSION"),
            "Folders, S3, Azure, Google Cloud Storage, WebDAV",
        )
        .with_destination(options::schema())
    }

    fn destination(&self, options: &str, host: Host) -> Result<Box<dyn Destination>> {
        let (location, options) = options::parse(options, &host)?;
        Ok(match location.scheme {
            Scheme::File => Box::new(LocalStore::open(location.folder.clone(), location.to_string())),
            Scheme::Memory => Box::new(MemoryStore::open(&location.root, location.to_string())),
            Scheme::S3 | Scheme::Azure | Scheme::Google | Scheme::WebDav => {
                Box::new(RemoteStore::open(&location, &options, host)?)
            }
        })
    }
}
