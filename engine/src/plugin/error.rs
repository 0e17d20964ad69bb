//! Why a plugin cannot be used.

use std::path::PathBuf;

use larder_sdk::abi::Refusal;

/// Why a plugin cannot be used. Each message names the file or the plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// No plugin of that name.
    #[error("there is no plugin `{name}`; known: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are, for people.
        known: String,
    },
    /// A file or folder that cannot be looked at.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that others could have written.
    #[error("{} is not trusted: {why}", path.display())]
    Untrusted {
        /// Which.
        path: PathBuf,
        /// What is wrong with its owner or mode.
        why: String,
    },
    /// A file that is not the pinned one.
    #[error("{} has the digest {found}, pinned is {pinned}", path.display())]
    Pin {
        /// Which.
        path: PathBuf,
        /// From the config.
        pinned: blake3::Hash,
        /// Of the file.
        found: blake3::Hash,
    },
    /// A file that the system does not load.
    #[error("cannot load {}: {source}", path.display())]
    Load {
        /// Which.
        path: PathBuf,
        /// Why.
        source: libloading::Error,
    },
    /// A library without a plugin's entry.
    #[error(
        "{} exports no `{symbol}`: it is no Larder plugin, or the file was renamed after it was built",
        path.display()
    )]
    NoEntry {
        /// Which.
        path: PathBuf,
        /// The symbol looked for.
        symbol: String,
    },
    /// A table that cannot be used.
    #[error("{what} is refused: {refusal}")]
    Refused {
        /// The file, or the linked plugin.
        what: String,
        /// Why.
        refusal: Refusal,
    },
    /// A plugin that cannot say who it is.
    #[error("{what} does not say who it is: {source}")]
    Undescribed {
        /// The file, or the linked plugin.
        what: String,
        /// What it said instead.
        source: Box<larder_sdk::Error>,
    },
}
