//! Larder plugin `files`: directories of a POSIX file system as a source.
//!
//! Each configured path is a container. An item's id is its path below the root with byte 0 where the path has `/`
//! ([`path_id`]), so a sorted walk ([`walk`]) merges with what the engine stored in one pass, and an equal tag
//! ([`item`]) means that a file is not read again. Nothing below a root is ever reached through a symbolic link ([`root`]).
#![forbid(unsafe_code)]

mod body;
mod exclude;
mod failure;
mod item;
mod names;
mod options;
mod path_id;
mod reader;
mod root;
mod source;
#[cfg(test)]
mod tests;
mod walk;

use larder_sdk::{Host, Plugin, PluginInfo, Result, Source};

use crate::{options::Options, source::FilesSource};

/// The plugin. Its name in a config file is `files`.
pub struct FilesPlugin;

larder_sdk::export_plugin!(FilesPlugin);

impl Plugin for FilesPlugin {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("files", env!("CARGO_PKG_VERSION"), "Directories and files of this machine")
            .with_source(options::schema())
    }

    fn source(&self, options: &str, _host: Host) -> Result<Box<dyn Source>> {
        Ok(Box::new(FilesSource::new(Options::parse(options)?)))
    }
}
