//! The plugin's end of the table: C functions that catch panics and call a safe [`Guest`].
#![expect(unsafe_code, reason = "the C functions of the table read what the host points at")]

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use bytes::Bytes;

use super::{
    AbiVersion, Buffer, HostLink,
    messages::{Failure, Role},
    table::{
        Handle, Head, HostTable, MAGIC, PANIC_ABORT, PANIC_UNWIND, PluginTable, Reply, STATUS_DONE,
        STATUS_FAILED, Slice,
    },
};
use crate::{Error, Result};

/// What a call gives back: an encoded message, and the bytes that go with it.
#[derive(Debug, Default)]
pub struct Answer {
    /// An encoded record of [`super::messages`].
    pub message: Bytes,
    /// The payload, empty for most.
    pub payload: Bytes,
}

/// A plugin behind the boundary, in safe terms. [`super::Shim`] is the one that everybody uses.
pub trait Guest: Send + Sync {
    /// Who the plugin is.
    fn describe(&self) -> Result<Answer>;
    /// Makes an instance.
    fn open(&self, host: HostLink, role: Role, options: &str) -> Result<Answer>;
    /// Does one operation.
    fn call(&self, handle: Handle, op: u32, message: &[u8], payload: Bytes) -> Result<Answer>;
    /// Ends what a handle is doing, soon.
    fn cancel(&self, handle: Handle);
    /// Gives a handle back.
    fn close(&self, handle: Handle);
}

/// A type that stands for one exported plugin. [`crate::export_plugin!`] makes it.
pub trait Exported: 'static {
    /// The plugin.
    fn guest() -> &'static dyn Guest;
}

/// The table of an exported plugin.
pub const fn table<E: Exported>() -> PluginTable {
    PluginTable {
        head: Head {
            abi: AbiVersion::CURRENT,
            struct_size: size_of::<PluginTable>() as u32,
            magic: MAGIC,
            panic: if cfg!(panic = "unwind") { PANIC_UNWIND } else { PANIC_ABORT },
            reserved: 0,
        },
        describe: Some(describe::<E>),
        open: Some(open::<E>),
        call: Some(call::<E>),
        cancel: Some(cancel::<E>),
        close: Some(close::<E>),
    }
}

unsafe extern "C" fn describe<E: Exported>(reply: *mut Reply) {
    // SAFETY: the host hands in a place for the reply that is its own until this returns.
    unsafe { answer(reply, || E::guest().describe()) }
}

unsafe extern "C" fn open<E: Exported>(host: *const HostTable, role: u32, options: Slice, reply: *mut Reply) {
    let work = || {
        // SAFETY: the host points at a valid table and hands its context over with this call.
        let host = unsafe { HostLink::from_raw(host) }?;
        let role = Role::from_number(role)?;
        // SAFETY: the host lends valid bytes for the length of the call.
        let options = std::str::from_utf8(unsafe { bytes_of(options) }?)
            .map_err(|error| Error::bug("the options are no UTF-8").with_source(error))?;
        E::guest().open(host, role, options)
    };
    // SAFETY: as in `describe`.
    unsafe { answer(reply, work) }
}

unsafe extern "C" fn call<E: Exported>(
    handle: Handle,
    op: u32,
    message: Slice,
    payload: *mut Buffer,
    reply: *mut Reply,
) {
    let work = || {
        // SAFETY: the host lends a valid buffer's place for the length of the call.
        let payload = unsafe { Buffer::take(payload) }.into_bytes()?;
        // SAFETY: the host lends valid bytes for the length of the call.
        let message = unsafe { bytes_of(message) }?;
        E::guest().call(handle, op, message, payload)
    };
    // SAFETY: as in `describe`.
    unsafe { answer(reply, work) }
}

unsafe extern "C" fn cancel<E: Exported>(handle: Handle) {
    let _ = guarded(|| {
        E::guest().cancel(handle);
        Ok(Answer::default())
    });
}

unsafe extern "C" fn close<E: Exported>(handle: Handle) {
    let _ = guarded(|| {
        E::guest().close(handle);
        Ok(Answer::default())
    });
}

/// Runs a call and writes what comes of it into the host's reply.
///
/// # Safety
/// `reply` is null or points to a valid [`Reply`] that nobody else uses meanwhile.
pub(super) unsafe fn answer(reply: *mut Reply, work: impl FnOnce() -> Result<Answer>) {
    let (status, answer) = match guarded(work) {
        Ok(answer) => (STATUS_DONE, answer),
        Err(error) => (STATUS_FAILED, Answer { message: Failure::encode(&error), payload: Bytes::new() }),
    };
    if reply.is_null() {
        return;
    }
    let filled = Reply {
        status,
        reserved: 0,
        message: Buffer::from_bytes(answer.message),
        payload: Buffer::from_bytes(answer.payload),
    };
    // SAFETY: the caller promises a valid place, which holds a valid reply; assigning drops that one.
    unsafe { *reply = filled }
}

/// Runs work and turns a panic into an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// The error that stands for a panic.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::bug(format!("panicked: {text}"))
}

/// The bytes of a slice.
///
/// # Safety
/// Pointer and length are those of bytes that stay valid and unchanged for `'a`, or the length is 0.
pub(super) unsafe fn bytes_of<'a>(slice: Slice) -> Result<&'a [u8]> {
    if slice.len == 0 {
        return Ok(&[]);
    }
    if slice.ptr.is_null() || isize::try_from(slice.len).is_err() {
        return Err(Error::bug("a message's pointer and length do not belong together"));
    }
    // SAFETY: not null, of possible length, and valid by the caller's promise.
    Ok(unsafe { slice::from_raw_parts(slice.ptr, slice.len) })
}

/// Makes a crate a plugin: `export_plugin!(MyPlugin)`, where `MyPlugin` is a unit struct that implements [`crate::Plugin`].
///
/// The library then exports `larder_plugin_CRATE` (so that several plugins link into one binary), and the crate a function
/// `larder_plugin()` for those who link it. Use it once, at the crate's top.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:path) => {
        $crate::export_guest!({
            static SHIM: $crate::abi::Shim = $crate::abi::Shim::new(&$plugin);
            &SHIM
        });
    };
}

/// [`export_plugin!`] for a hand-made [`Guest`]; with a head, for one that lies about itself.
#[doc(hidden)]
#[macro_export]
macro_rules! export_guest {
    ($guest:expr) => {
        /// The plugin's table, for programs that link it.
        pub fn larder_plugin() -> &'static $crate::abi::PluginTable {
            $crate::export_guest!(@table $guest, table());
            &TABLE
        }
        $crate::export_guest!(@symbol "", larder_plugin());
    };
    ($suffix:literal, $head:expr, $guest:expr) => {
        const _: () = {
            fn larder_plugin() -> &'static $crate::abi::PluginTable {
                $crate::export_guest!(@table $guest, table().with_head($head));
                &TABLE
            }
            $crate::export_guest!(@symbol $suffix, larder_plugin());
        };
    };
    (@table $guest:expr, $($table:tt)+) => {
        struct Export;
        impl $crate::abi::entry::Exported for Export {
            fn guest() -> &'static dyn $crate::abi::Guest {
                $guest
            }
        }
        const fn table() -> $crate::abi::PluginTable {
            $crate::abi::entry::table::<Export>()
        }
        static TABLE: $crate::abi::PluginTable = $($table)+;
    };
    (@symbol $suffix:literal, $table:expr) => {
        const _: () = {
            #[unsafe(export_name = concat!("larder_plugin_", env!("CARGO_CRATE_NAME"), $suffix))]
            extern "C" fn entry() -> *const $crate::abi::PluginTable {
                $table
            }
        };
    };
}
