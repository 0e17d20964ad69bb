//! The way back: a plugin calls its host.
#![expect(unsafe_code, reason = "the host's context and functions are reached by pointer")]

use std::{ffi::c_void, ptr, sync::Arc};

use bytes::Bytes;

use super::{
    AbiVersion, Answer,
    entry::{answer, bytes_of, guarded},
    plugin_link::outcome,
    table::{HostTable, Reply, Slice},
};
use crate::{Error, ErrorKind, Result};

/// What a host does for an instance, in safe terms: one operation in, an encoded answer out.
pub trait HostServer: Send + Sync + 'static {
    /// Does one host operation. May block, but never on the plugin.
    fn call(&self, op: u32, message: &[u8]) -> Result<Bytes>;
}

impl HostTable {
    /// A table over a server. Its context is given back through [`HostLink`]'s drop on the other side.
    pub fn serve(server: Arc<dyn HostServer>) -> Self {
        Self {
            abi: AbiVersion::CURRENT,
            struct_size: size_of::<Self>() as u32,
            context: Box::into_raw(Box::new(server)).cast(),
            call: Some(serve_call),
            release: Some(serve_release),
        }
    }
}

unsafe extern "C" fn serve_call(context: *mut c_void, op: u32, message: Slice, reply: *mut Reply) {
    let work = || {
        // SAFETY: the context came from `HostTable::serve` and is valid until released; the plugin only hands it back.
        let server = unsafe { &*context.cast::<Arc<dyn HostServer>>() };
        // SAFETY: the plugin lends valid bytes for the length of the call.
        let message = unsafe { bytes_of(message) }?;
        Ok(Answer { message: server.call(op, message)?, payload: Bytes::new() })
    };
    // SAFETY: the plugin hands in a place for the reply that is its own until this returns.
    unsafe { answer(reply, work) }
}

unsafe extern "C" fn serve_release(context: *mut c_void) {
    let _ = guarded(|| {
        // SAFETY: the context came out of `Box::into_raw` in `HostTable::serve`, and is released once.
        drop(unsafe { Box::from_raw(context.cast::<Arc<dyn HostServer>>()) });
        Ok(())
    });
}

/// A plugin's hold on its host. Gives the context back when dropped.
#[derive(Debug)]
pub struct HostLink(HostTable);

// SAFETY: the boundary's contract lets a plugin call the host on any thread, several at once.
unsafe impl Send for HostLink {}
// SAFETY: as above.
unsafe impl Sync for HostLink {}

impl HostLink {
    /// Takes a host's table over, its context with it.
    ///
    /// # Safety
    /// `table` is null or points to a table whose context is valid until its release function is called.
    pub(super) unsafe fn from_raw(table: *const HostTable) -> Result<Self> {
        if table.is_null() {
            return Err(Error::bug("the host gave no table"));
        }
        // SAFETY: not null, and valid by the caller's promise. The copy owns the context from here on.
        let link = Self(unsafe { ptr::read(table) });
        if !link.0.abi.fits(AbiVersion::CURRENT) || (link.0.struct_size as usize) < size_of::<HostTable>() {
            let message = format!(
                "the host speaks plugin ABI {}, this plugin was built for {}",
                link.0.abi,
                AbiVersion::CURRENT
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(link)
    }

    /// The version the host speaks.
    pub fn abi(&self) -> AbiVersion {
        self.0.abi
    }

    /// Does one host operation and returns the encoded answer. Blocks for as long as the host takes.
    pub fn call(&self, op: u32, message: &[u8]) -> Result<Bytes> {
        let Some(call) = self.0.call else {
            return Err(Error::bug("the host has no `call`"));
        };
        let mut reply = Reply::UNANSWERED;
        // SAFETY: the function and its context belong together; message and reply live until the call returns.
        unsafe { call(self.0.context, op, Slice::of(message), &raw mut reply) }
        outcome(reply).map(|answer| answer.message)
    }
}

impl Drop for HostLink {
    fn drop(&mut self) {
        if let Some(release) = self.0.release.take() {
            // SAFETY: given by the host for this context; `take` makes sure that it is called once.
            unsafe { release(self.0.context) }
        }
    }
}
