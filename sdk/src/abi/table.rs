//! The C structs. Their layout is the boundary's: what stands here is what a plugin in another language writes down.

use std::ffi::c_void;

use super::{AbiVersion, Buffer};

/// The eight bytes that tell a table from anything else.
pub const MAGIC: [u8; 8] = *b"larder\xAB\x01";
/// A panic unwinds and is caught at the boundary.
pub const PANIC_UNWIND: u32 = 1;
/// A panic ends the process. Such a plugin is refused.
pub const PANIC_ABORT: u32 = 2;

/// [`Reply::status`] as the caller sets it.
pub const STATUS_UNANSWERED: u32 = u32::MAX;
/// The call succeeded.
pub const STATUS_DONE: u32 = 0;
/// The call failed: the message is a [`super::messages::Failure`].
pub const STATUS_FAILED: u32 = 1;

/// The number of an instance, a reader or a body on the plugin's side. Never 0, never used twice.
pub type Handle = u64;

/// Borrowed bytes, valid for the length of the call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Slice {
    /// First byte; may be null if there is none.
    pub ptr: *const u8,
    /// How many.
    pub len: usize,
}

impl Slice {
    /// Lends bytes for a call.
    pub fn of(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }
}

/// Where an answer goes. The caller makes it with [`Reply::UNANSWERED`], the callee fills it, the caller owns the buffers.
#[derive(Debug)]
#[repr(C)]
pub struct Reply {
    /// One of the `STATUS_` numbers.
    pub status: u32,
    /// 0.
    pub reserved: u32,
    /// The encoded answer or failure.
    pub message: Buffer,
    /// Bytes that go with it.
    pub payload: Buffer,
}

impl Reply {
    /// What a caller hands in.
    pub const UNANSWERED: Self =
        Self { status: STATUS_UNANSWERED, reserved: 0, message: Buffer::EMPTY, payload: Buffer::EMPTY };
}

/// The beginning of every plugin's table. It never changes, whatever the ABI version; the rest is read only if this fits.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Head {
    /// The ABI that the plugin was built for.
    pub abi: AbiVersion,
    /// Bytes of the whole table.
    pub struct_size: u32,
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`PANIC_UNWIND`] or [`PANIC_ABORT`].
    pub panic: u32,
    /// 0.
    pub reserved: u32,
}

/// Says who the plugin is: a [`super::messages::Described`].
pub type DescribeFn = unsafe extern "C" fn(reply: *mut Reply);
/// Makes an instance: a [`super::messages::Opened`]. Takes over the host table's context, whatever comes of it.
pub type OpenFn = unsafe extern "C" fn(host: *const HostTable, role: u32, options: Slice, reply: *mut Reply);
/// Does one operation on a handle. Takes the payload out of its place, or leaves it to the caller.
pub type CallFn =
    unsafe extern "C" fn(handle: Handle, op: u32, message: Slice, payload: *mut Buffer, reply: *mut Reply);
/// Cancels or closes a handle. Unknown handles are ignored.
pub type HandleFn = unsafe extern "C" fn(handle: Handle);

/// What a plugin hands out. It lives for as long as the process.
#[derive(Debug)]
#[repr(C)]
pub struct PluginTable {
    pub(super) head: Head,
    pub(super) describe: Option<DescribeFn>,
    pub(super) open: Option<OpenFn>,
    pub(super) call: Option<CallFn>,
    pub(super) cancel: Option<HandleFn>,
    pub(super) close: Option<HandleFn>,
}

impl PluginTable {
    /// The same functions under another beginning. Only for plugins that test how a host answers a lie.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }
    /// The beginning.
    pub const fn head(&self) -> Head {
        self.head
    }
}

/// What a host hands to an instance. The plugin copies it and calls `release` once, when nothing of the instance is left.
#[derive(Debug)]
#[repr(C)]
pub struct HostTable {
    /// The ABI that the host was built for.
    pub abi: AbiVersion,
    /// Bytes of this table.
    pub struct_size: u32,
    /// Goes first into both functions.
    pub context: *mut c_void,
    /// Does one host operation. May be called on any thread, several at once.
    pub call: Option<unsafe extern "C" fn(context: *mut c_void, op: u32, message: Slice, reply: *mut Reply)>,
    /// Gives the context back.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void)>,
}
