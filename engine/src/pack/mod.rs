//! Bytes of objects: small ones of one frame, large ones of many, and the frames in them. Pure: no clock, no store.

mod column;
mod compression;
mod directory;
mod frame;
mod large;
mod small;

pub use column::Column;
pub use compression::Compression;
pub use directory::{DirectoryBlob, DirectoryFrame, PackDirectory};
pub use frame::{
    FRAME_PLAIN_BYTES_MAX, FrameBlob, FrameBuilder, LARGE_BLOB_BYTES, RawFrame, TREE_FRAME_BYTES,
    decode_frame, encode_frame,
};
pub use large::{FramePlace, LargeReader, LargeWriter, Tail};
pub use small::{open_small, seal_small};
