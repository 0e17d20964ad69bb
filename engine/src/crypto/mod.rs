//! Keys and sealing. Pure: no clock, no store.

mod key;
mod recovery;
mod seal;
mod slot;

pub use key::{Key, KeyRole, Keys};
pub use recovery::{Looks, looks_of, recovery_key};
pub use seal::{HEADER_BYTES, Header, OVERHEAD_BYTES, ObjectKind, ObjectSealer, claims_kind, padme};
pub use slot::{KdfCost, KeySlot};
