//! Every bound that both sides of the boundary rely on.

/// Longest message across the boundary, encoded, in bytes. A batch of events stays well under it.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// A reader ends its batch of events at about this many encoded bytes: large enough to hide a call, small enough for memory.
pub const BATCH_BYTES: usize = 512 << 10;
/// Most events in one batch.
pub const BATCH_EVENTS_MAX: usize = 4096;
/// Largest piece that one [`crate::Body::read`] returns, in bytes.
pub const PIECE_BYTES_MAX: usize = 1 << 20;
/// Most bodies of one container that the host holds open at once.
pub const OPEN_BODIES_MAX: usize = 16;
/// Contents up to this size come back from a fetch without a further call, in bytes; those that a plugin has in memory, up to
/// [`PIECE_BYTES_MAX`].
pub const SMALL_BODY_BYTES_MAX: usize = 128 << 10;
/// Most streams of one item.
pub const STREAMS_MAX: usize = 4096;
/// Most bytes of an item's metadata, encoded: what is larger belongs in a stream.
pub const ITEM_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of a [`crate::Value`], and of the options that a plugin declares.
pub const VALUE_DEPTH_MAX: usize = 32;
/// Longest error text that crosses the boundary, in bytes; longer ones are cut.
pub const ERROR_TEXT_BYTES_MAX: usize = 8 << 10;
/// Most codes that one plugin explains.
pub const CODES_MAX: usize = 1000;
/// Longest code of a finding or error, in bytes.
pub const CODE_BYTES_MAX: usize = 64;
/// Most entries in one page of a destination's listing.
pub const LIST_PAGE_MAX: usize = 1000;
/// Largest object a destination must take, in bytes.
pub const OBJECT_BYTES_MAX: u64 = 128 << 20;
/// How long a call may still run after `cancel`, in milliseconds.
pub const CANCEL_MS_MAX: u64 = 5_000;
