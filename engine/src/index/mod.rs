//! The index: where each blob lies. Segments are sorted and immutable; in memory it is one table. Pure but for what callers read.

mod segment;
mod table;

pub use segment::{PAGE_ENTRIES, SegmentDirectory, SegmentPage, decode_page, encode_segment};
pub use table::{Claim, Index, Location};

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
