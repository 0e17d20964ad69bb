//! A destination behind the boundary, as a [`Store`].

use std::ops::Range;

use bytes::Bytes;
use larder_sdk::{
    Capabilities, Error, ErrorKind, ListPage, ObjectInfo, ObjectKey, Result,
    abi::{
        check,
        messages::{
            AskCapabilities, Delete, Done, Get, GetRange, List, Op, Put, PutIfAbsent, Stat,
            TheseCapabilities, ThisObject, ThisPage,
        },
    },
    codec::{self, Record},
    limits::OBJECT_BYTES_MAX,
};

use super::call::Handle;
use crate::store::Store;

/// Most empty pages in a row before a listing is taken to be endless.
const EMPTY_PAGES_MAX: usize = 100;

/// An instance of a destination. Calls block; any number may be made at once.
#[derive(Debug)]
pub struct DestinationHandle {
    handle: Handle,
    capabilities: Capabilities,
}

impl DestinationHandle {
    pub(super) fn new(handle: Handle) -> Result<Self> {
        let limit = handle.callee.limits.quick;
        let TheseCapabilities { capabilities } = handle.ask(Op::Capabilities, &AskCapabilities {}, limit)?;
        Ok(Self { handle, capabilities })
    }

    /// One page of a folder. See [`larder_sdk::Destination::list`].
    pub fn list_page(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        let question = List { folder: folder.to_owned(), token };
        let ThisPage { page } = self.handle.ask(Op::List, &question, self.handle.callee.limits.store)?;
        check::page(folder, &page).map_err(|error| self.handle.broken(Op::List, error))?;
        Ok(page)
    }

    /// Ends all calls with an error of kind `Cancelled`, within 5 seconds. From any thread.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    fn done<Q: Record>(&self, op: Op, question: &Q, payload: Bytes) -> Result<()> {
        self.data(op, question, payload).map(drop)
    }

    fn data<Q: Record>(&self, op: Op, question: &Q, payload: Bytes) -> Result<Bytes> {
        let answer = self.handle.call_with(op, question, payload, self.handle.callee.limits.store)?;
        let Done {} = codec::decode(&answer.message).map_err(|error| self.handle.broken(op, error))?;
        Ok(answer.payload)
    }
}

impl Store for DestinationHandle {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.done(Op::Put, &Put { key: key.clone() }, data).map_err(about(key.as_str()))
    }

    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.done(Op::PutIfAbsent, &PutIfAbsent { key: key.clone() }, data).map_err(about(key.as_str()))
    }

    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        let data =
            self.data(Op::Get, &Get { key: key.clone() }, Bytes::new()).map_err(about(key.as_str()))?;
        if data.len() as u64 > OBJECT_BYTES_MAX {
            let error = broken(format!("{key}: {} bytes, more than an object may have", data.len()));
            return Err(self.handle.broken(Op::Get, error));
        }
        Ok(data)
    }

    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        let asked = range.end.saturating_sub(range.start);
        let question = GetRange { key: key.clone(), start: range.start, end: range.end };
        let data = self.data(Op::GetRange, &question, Bytes::new()).map_err(about(key.as_str()))?;
        if data.len() as u64 != asked {
            let error = broken(format!("{key}: {} bytes for a range of {asked}", data.len()));
            return Err(self.handle.broken(Op::GetRange, error));
        }
        Ok(data)
    }

    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let question = Stat { key: key.clone() };
        let found = self.handle.ask(Op::Head, &question, self.handle.callee.limits.store);
        found.map(|ThisObject { info }| info).map_err(about(key.as_str()))
    }

    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        let mut objects = Vec::new();
        // A folder's folders have longer names than itself, and names are bounded: this ends.
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let mut token = None;
            let mut empty = 0;
            loop {
                let page = self.list_page(&folder, token).map_err(about(&folder))?;
                empty = if page.objects.is_empty() && page.folders.is_empty() { empty + 1 } else { 0 };
                objects.extend(page.objects);
                folders.extend(page.folders);
                token = page.next;
                if token.is_none() {
                    break;
                }
                if empty > EMPTY_PAGES_MAX {
                    let error = broken(format!("folder \"{folder}\": a listing that does not end"));
                    return Err(self.handle.broken(Op::List, error));
                }
            }
        }
        Ok(objects)
    }

    fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.done(Op::Delete, &Delete { key: key.clone() }, Bytes::new()).map_err(about(key.as_str()))
    }
}

/// Names the object or folder in an error, unless the plugin did.
fn about(name: &str) -> impl Fn(Error) -> Error {
    move |error| if error.message().contains(name) { error } else { error.context(format_args!("`{name}`")) }
}

fn broken(message: String) -> Error {
    Error::new(ErrorKind::CorruptItem, message)
}
