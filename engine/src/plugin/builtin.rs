//! The plugins that are part of this program, one cargo feature each. The only file that names them.

use larder_sdk::abi::PluginTable;

/// The tables of the linked plugins.
pub(super) fn tables() -> Vec<&'static PluginTable> {
    [
        #[cfg(feature = "files")]
        larder_files::larder_plugin(),
        #[cfg(feature = "object-store")]
        larder_object_store::larder_plugin(),
        #[cfg(feature = "office365")]
        larder_office365::larder_plugin(),
    ]
    .into()
}
