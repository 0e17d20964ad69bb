//! Prolly trees: ordered maps cut into nodes at content-defined places, so that equal maps are equal nodes and an edit touches only the
//! paths to what changed. Pure: nodes come from and go to a [`NodeStore`].

mod edit;
mod finger;
mod node;
mod read;
mod together;

pub use edit::edit;
pub use finger::Finger;
pub use node::{Child, KEY_BYTES_MAX, Node, VALUE_BYTES_MAX};
pub use read::{Scan, get, prefetch, scan, scan_around};
#[cfg(test)]
pub(crate) use together::nodes_entered;
pub use together::{Alike, Row, SeeNode, Together, Trees, together};

use std::sync::Arc;

use larder_sdk::Result;
use serde::{Deserialize, Serialize};

use crate::hash::BlobId;

/// A tree's root node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The root node's blob.
    pub id: BlobId,
    /// Its level: 0 if it is a leaf.
    pub level: u8,
    /// Entries in the whole tree.
    pub entries: u64,
}

/// Where nodes are kept.
pub trait NodeStore {
    /// Reads a node.
    fn load(&self, id: &BlobId) -> Result<Arc<Node>>;
    /// Says which nodes will be read soon, so that they can be fetched together.
    fn prefetch(&self, _ids: &[BlobId]) {}
    /// Keeps a node; returns its id.
    fn save(&self, node: &Node) -> Result<BlobId>;
    /// Draws a number from level and key under the repository's key: it decides where nodes end.
    fn draw(&self, level: u8, key: &[u8]) -> u32;
}

/// One change: a value to set, or `None` to remove the key.
pub type Edit = (Vec<u8>, Option<Vec<u8>>);

#[cfg(test)]
mod tests;
