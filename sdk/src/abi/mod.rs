//! The plugin boundary: what crosses between the engine and a plugin, and nothing else does.
//!
//! A plugin hands out one small table of C functions ([`PluginTable`]), the host hands in another ([`HostTable`]). Through them go
//! messages (the records of [`messages`]) and byte buffers that are freed by the side that made them ([`Buffer`]). No Rust
//! type, allocator, panic or runtime crosses, so both sides may be built by different compilers. `docs/plugin-abi.md` has the whole.
//!
//! Three layers, of which only the first holds `unsafe` code:
//! - [`table`], [`Buffer`], [`entry`], [`PluginLink`] and [`HostLink`]: the C side and a safe face on each end of it;
//! - [`messages`]: what is said;
//! - [`Shim`]: a [`Guest`] that turns calls into those of the traits that authors write.

mod buffer;
pub mod check;
pub mod entry;
mod host_link;
pub mod messages;
mod plugin_link;
mod shim;
pub mod table;
mod version;

pub use buffer::Buffer;
pub use entry::{Answer, Guest};
pub use host_link::{HostLink, HostServer};
pub use plugin_link::{PluginLink, Refusal};
pub use shim::Shim;
pub use table::{HostTable, PluginTable};
pub use version::AbiVersion;

/// Most encoded bytes of one batch of events; larger ones are refused. A well-behaved reader stays near [`crate::limits::BATCH_BYTES`]:
/// the rest is room for the last item and for cursors.
pub const BATCH_MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Most bytes of small contents that one fetch gathers. What goes beyond comes back as a body to be read piece by piece.
pub const FETCH_BYTES_MAX: usize = 8 << 20;
/// Most wants in one fetch.
pub const FETCH_WANTS_MAX: usize = 8192;
