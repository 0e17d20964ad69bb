//! Plugins from the engine's side: found, checked, loaded, and called with limits.
//!
//! The rest of the engine sees blocking handles ([`SourceHandle`], [`ReaderHandle`], [`DestinationHandle`]) and a [`Registry`] to get them from.
//! It never sees whether a plugin was linked in or loaded from a file. Everything a plugin says is checked here before it goes
//! further, and every error names the plugin.

mod adapter;
mod builtin;
mod call;
mod destination;
mod error;
mod library;
mod limits;
mod loaded;
mod reader;
mod registry;
mod services;
mod source;
mod threads;

pub use adapter::{ForeignDestination, ForeignSource};
pub use destination::DestinationHandle;
pub use error::PluginError;
pub use limits::CallLimits;
pub use loaded::{LoadedPlugin, Origin};
pub use reader::{BodyHandle, Fetched, ReaderEvent, ReaderHandle, Want};
pub use registry::{PluginSummary, Registry};
pub use source::SourceHandle;
