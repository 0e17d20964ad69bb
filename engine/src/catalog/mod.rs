//! What a container's tree holds: items, cursors, debts, listings under way. Keys and records; pure.

mod item;
mod key;
mod record;

pub use item::{Content, ItemRecord, StreamRecord};
pub use key::{
    CHILD, LISTING, OWED, SCOPE, child_key, child_prefix, cursor_key, listing_key, owed_key, parse_child,
    parse_owed, parse_scope, parse_where, where_key,
};
pub use record::{CursorRecord, ListingRecord, OwedRecord, Seen};
