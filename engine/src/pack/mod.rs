//! Bytes of objects: small ones of one frame, large ones of many, and the frames in them. Pure: no clock, no store.

mod directory;
mod frame;
mod large;
mod small;

pub use directory::{DirectoryBlob, DirectoryFrame, PackDirectory};
pub use frame::{
    FRAME_BYTES, FRAME_PLAIN_BYTES_MAX, FrameBlob, FrameBuilder, RawFrame, decode_frame, encode_frame,
};
pub use large::{FramePlace, LargeReader, LargeWriter, Tail};
pub use small::{open_small, seal_small};
