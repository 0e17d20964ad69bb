//! A repository: its keys, its index, its objects. Everything that reads or writes stored bytes goes through here.

mod blobs;
mod copies;
mod create;
mod held;
mod index;
mod keys;
pub mod layout;
mod local;
mod nodes;
mod objects;
pub mod packer;
mod ranged;
mod reading;
mod records;
mod saver;
mod segments;
pub mod session;

pub use blobs::BlobReader;
pub use create::{CreateOptions, Maker, create, create_by};
pub use held::Held;
pub use index::{Claim, Index, IndexView, LoadedSegments};
pub use keys::{LABEL_BYTES_MAX, Slot, SlotNote};
pub use local::LocalState;
pub use nodes::Nodes;
pub use objects::{ConfigRecord, DRAFT, Repository, check_control_objects, control_copies};
pub use reading::{Reader, Reading};
pub use saver::{FrameSlot, Saver};
pub use segments::StoredSegment;
pub use session::Session;
