//! The host's end of the table: the handshake, and calls in safe terms.
#![expect(unsafe_code, reason = "the plugin's table and its functions are reached by pointer")]

use std::{ptr, result, sync::Arc};

use bytes::Bytes;

use super::{
    AbiVersion, Answer, Buffer, HostServer, HostTable, PluginTable,
    messages::{Failure, Role},
    table::{
        CallFn, DescribeFn, Handle, HandleFn, Head, MAGIC, OpenFn, PANIC_UNWIND, Reply, STATUS_DONE,
        STATUS_FAILED, STATUS_UNANSWERED, Slice,
    },
};
use crate::{Error, Result, limits::MESSAGE_BYTES_MAX};

/// Why a table was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing, or something else, where a table should be.
    #[error("its entry returns no Larder plugin table")]
    NoTable,
    /// Another major version.
    #[error("it was built for plugin ABI {theirs}, this program speaks {ours}")]
    Abi {
        /// The plugin's.
        theirs: AbiVersion,
        /// The host's.
        ours: AbiVersion,
    },
    /// A table too short for the version it names.
    #[error("its table has {theirs} bytes, where plugin ABI {abi} needs {needed}")]
    Size {
        /// The version that the plugin names.
        abi: AbiVersion,
        /// Bytes announced.
        theirs: u32,
        /// Bytes needed.
        needed: u32,
    },
    /// Built so that a panic ends the process.
    #[error(
        "it was built so that a panic ends the process (panic = \"abort\"); build it with panic = \"unwind\""
    )]
    PanicAborts,
    /// A function that is not there.
    #[error("its table has no function `{0}`")]
    Missing(&'static str),
}

/// A plugin that passed the handshake. Calls are made as they come: on the caller's thread, for as long as they take.
#[derive(Clone, Copy, Debug)]
pub struct PluginLink {
    abi: AbiVersion,
    describe: DescribeFn,
    open: OpenFn,
    call: CallFn,
    cancel: HandleFn,
    close: HandleFn,
}

impl PluginLink {
    /// Checks a linked plugin's table.
    pub fn new(table: &'static PluginTable) -> result::Result<Self, Refusal> {
        // SAFETY: a reference that lives for ever is valid, and a table's private fields come from `entry::table` alone.
        unsafe { Self::from_raw(table) }
    }

    /// Checks a table of which only the address is known.
    ///
    /// # Safety
    /// `table` is null, or points to at least a [`Head`]; if that head names this ABI and a size, then to that many bytes of a table
    /// whose functions keep the boundary's contract. All of it stays valid until the process ends.
    pub unsafe fn from_raw(table: *const PluginTable) -> result::Result<Self, Refusal> {
        if table.is_null() || !table.is_aligned() {
            return Err(Refusal::NoTable);
        }
        // SAFETY: the caller promises a head there, and it was checked to be aligned.
        let head = unsafe { ptr::read(table.cast::<Head>()) };
        check(&head)?;
        // SAFETY: the head names our ABI and at least our size, so the caller promises a whole table.
        let table = unsafe { &*table };
        Ok(Self {
            abi: head.abi,
            describe: table.describe.ok_or(Refusal::Missing("describe"))?,
            open: table.open.ok_or(Refusal::Missing("open"))?,
            call: table.call.ok_or(Refusal::Missing("call"))?,
            cancel: table.cancel.ok_or(Refusal::Missing("cancel"))?,
            close: table.close.ok_or(Refusal::Missing("close"))?,
        })
    }

    /// The plugin's own ABI version.
    pub fn abi(&self) -> AbiVersion {
        self.abi
    }

    /// Asks who the plugin is.
    pub fn describe(&self) -> Result<Answer> {
        let mut reply = Reply::UNANSWERED;
        // SAFETY: the function passed the handshake; the reply lives until it returns.
        unsafe { (self.describe)(&raw mut reply) }
        outcome(reply)
    }

    /// Makes an instance with a host of its own.
    pub fn open(&self, host: Arc<dyn HostServer>, role: Role, options: &str) -> Result<Answer> {
        let host = HostTable::serve(host);
        let mut reply = Reply::UNANSWERED;
        // SAFETY: as in `describe`; the table lives until the call returns, and its context belongs to the plugin from here on.
        unsafe { (self.open)(&raw const host, role as u32, Slice::of(options.as_bytes()), &raw mut reply) }
        outcome(reply)
    }

    /// Does one operation on a handle. The payload is lent, not copied.
    pub fn call(&self, handle: Handle, op: u32, message: &[u8], payload: Bytes) -> Result<Answer> {
        let mut payload = Buffer::from_bytes(payload);
        let mut reply = Reply::UNANSWERED;
        // SAFETY: as in `describe`; message, payload's place and reply live until the call returns.
        unsafe { (self.call)(handle, op, Slice::of(message), &raw mut payload, &raw mut reply) }
        outcome(reply)
    }

    /// Asks the plugin to end what a handle is doing.
    pub fn cancel(&self, handle: Handle) {
        // SAFETY: the function passed the handshake, and takes any number.
        unsafe { (self.cancel)(handle) }
    }

    /// Gives a handle back.
    pub fn close(&self, handle: Handle) {
        // SAFETY: as in `cancel`.
        unsafe { (self.close)(handle) }
    }
}

fn check(head: &Head) -> result::Result<(), Refusal> {
    let (theirs, ours) = (head.abi, AbiVersion::CURRENT);
    if head.magic != MAGIC {
        return Err(Refusal::NoTable);
    }
    if !theirs.fits(ours) {
        return Err(Refusal::Abi { theirs, ours });
    }
    let needed = size_of::<PluginTable>() as u32;
    if head.struct_size < needed {
        return Err(Refusal::Size { abi: theirs, theirs: head.struct_size, needed });
    }
    if head.panic != PANIC_UNWIND {
        return Err(Refusal::PanicAborts);
    }
    Ok(())
}

/// What a reply says.
pub(super) fn outcome(reply: Reply) -> Result<Answer> {
    let message = reply.message.into_bytes()?;
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Error::bug(format!(
            "an answer of {} bytes, more than a message may have",
            message.len()
        )));
    }
    match reply.status {
        STATUS_DONE => Ok(Answer { message, payload: reply.payload.into_bytes()? }),
        STATUS_FAILED => Err(Failure::decode(&message)),
        STATUS_UNANSWERED => Err(Error::bug("a call returned without an answer")),
        other => Err(Error::bug(format!("a call returned the unknown status {other}"))),
    }
}
