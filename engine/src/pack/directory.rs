//! A pack's directory: what lies in which frame, so that the index can be built again from packs alone.

use larder_sdk::codec::Record;
use serde::{Deserialize, Serialize};

use crate::hash::ShortId;

/// What a pack holds, frame by frame from its header on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PackDirectory {
    /// The frames in order.
    pub frames: Vec<DirectoryFrame>,
}

/// One frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryFrame {
    /// Sealed length in bytes.
    pub sealed_bytes: u32,
    /// The blobs in order.
    pub blobs: Vec<DirectoryBlob>,
}

/// One blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryBlob {
    /// The first half of its id.
    pub id: ShortId,
    /// Its plain length in bytes.
    pub bytes: u32,
}

impl Record for PackDirectory {
    const KIND: u16 = 20;
    const VERSION: u16 = 1;
}
