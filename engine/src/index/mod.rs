//! The index: where each blob lies. The bytes of its sorted, immutable segments, and what a lookup is made of: rows, a filter, a table
//! in memory, claims. Pure; `repository/index` puts the parts together over the store and the local cache.

mod claims;
mod delta;
mod filter;
mod id_hash;
mod row;
mod segment;

pub use claims::Claims;
pub use delta::Delta;
pub use filter::Filter;
pub use id_hash::{IdHash, IdHasher};
pub use row::{PackTable, ROW_BYTES, Row};
pub use segment::{PAGE_ENTRIES, SegmentDirectory, SegmentPage, decode_page, encode_segment};

use serde::{Deserialize, Serialize};

use crate::{
    hash::{ObjectName, ShortId},
    pack::FramePlace,
};

/// One blob and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The first half of its id.
    pub id: ShortId,
    /// The pack.
    pub pack: ObjectName,
    /// The frame in the pack.
    pub frame: FramePlace,
    /// The blob's offset in the frame's plain blobs, in bytes.
    pub offset: u32,
    /// The blob's length in bytes.
    pub bytes: u32,
}

/// Where a blob lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Data or tree.
    pub kind: BlobKind,
    /// The pack.
    pub pack: ObjectName,
    /// The frame in the pack.
    pub frame: FramePlace,
    /// Offset in the frame's plain blobs.
    pub offset: u32,
    /// Length in bytes.
    pub bytes: u32,
}

/// Which of the two indexes: trees are kept apart from data, so that browsing never needs archived data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BlobKind {
    /// Chunks of streams.
    Data,
    /// Tree nodes, large records, chunk lists.
    Tree,
}

impl BlobKind {
    /// Both.
    pub const ALL: [BlobKind; 2] = [BlobKind::Data, BlobKind::Tree];
}
