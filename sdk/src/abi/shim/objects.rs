//! The plugin's side keeps what it opened under numbers; the host holds numbers, never pointers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{BodyObject, DestinationObject, ReaderObject, SourceObject, source::Listing};
use crate::{Error, Result, abi::table::Handle};

/// Something that was opened.
#[derive(Clone)]
pub(super) enum Object {
    Source(Arc<SourceObject>),
    Listing(Arc<Listing>),
    Reader(Arc<ReaderObject>),
    Body(Arc<BodyObject>),
    Destination(Arc<DestinationObject>),
}

impl Object {
    /// Makes pending and later calls end with an error of kind `Cancelled`.
    pub(super) fn cancel(&self) {
        match self {
            Self::Source(source) => source.stop().cancel(),
            Self::Reader(reader) => reader.stop().cancel(),
            Self::Body(body) => body.stop().cancel(),
            Self::Destination(destination) => destination.stop().cancel(),
            Self::Listing(_) => {}
        }
    }
}

/// What is open, by handle.
pub(super) struct Objects(Mutex<Table>);

struct Table {
    last: Handle,
    open: BTreeMap<Handle, Object>,
}

impl Objects {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Table { last: 0, open: BTreeMap::new() }))
    }

    pub(super) fn insert(&self, object: Object) -> Handle {
        let mut table = self.lock();
        table.last += 1;
        let handle = table.last;
        table.open.insert(handle, object);
        handle
    }

    pub(super) fn get(&self, handle: Handle) -> Result<Object> {
        let found = self.lock().open.get(&handle).cloned();
        found.ok_or_else(|| Error::bug(format!("handle {handle} is not open")))
    }

    /// Takes an object out. What drops it runs the author's destructors, so that must not happen under the lock.
    pub(super) fn remove(&self, handle: Handle) -> Option<Object> {
        self.lock().open.remove(&handle)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
