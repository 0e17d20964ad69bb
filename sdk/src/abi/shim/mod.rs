//! The plugin's side in safe terms: calls by number and message become calls of the traits that authors write.

mod body;
mod destination;
mod fetch;
mod objects;
mod reader;
mod services;
mod source;
mod stop;

use std::sync::Arc;

use bytes::Bytes;

use self::{
    body::BodyObject,
    destination::DestinationObject,
    objects::{Object, Objects},
    reader::ReaderObject,
    services::ForeignServices,
    source::SourceObject,
};
use super::{
    Answer, FETCH_WANTS_MAX, Guest, HostLink,
    messages::{
        AnswerOffers, Delete, Described, Done, Fetch, Finish, Get, GetRange, List, Op, Opened, Put,
        PutIfAbsent, Read, Role, Stat,
    },
    table::Handle,
};
use crate::{
    Error, ErrorKind, Host, Plugin, Result,
    codec::{self, Record},
    runtime,
};

/// A plugin as a [`Guest`]. [`crate::export_plugin!`] makes a static one.
pub struct Shim {
    plugin: &'static dyn Plugin,
    objects: Objects,
}

impl Shim {
    /// Wraps a plugin.
    pub const fn new(plugin: &'static dyn Plugin) -> Self {
        Self { plugin, objects: Objects::new() }
    }

    fn on_source(&self, source: &Arc<SourceObject>, op: Op, message: &[u8]) -> Result<Answer> {
        match op {
            Op::Validate => source.validate(),
            Op::Discover => source.discover(&self.objects),
            Op::Read => {
                let Read { container, services } = codec::decode(message)?;
                let reader = source.read(&container, services)?;
                answer(&Opened { handle: self.objects.insert(Object::Reader(Arc::new(reader))) })
            }
            other => Err(misplaced(other, "a source")),
        }
    }

    fn on_reader(&self, reader: &Arc<ReaderObject>, op: Op, message: &[u8]) -> Result<Answer> {
        match op {
            Op::Next => reader.next(),
            Op::AnswerOffers => {
                reader.answer(&codec::decode::<AnswerOffers>(message)?.wanted)?;
                answer(&Done {})
            }
            Op::Fetch => {
                let Fetch { wants } = codec::decode(message)?;
                if wants.len() > FETCH_WANTS_MAX {
                    return Err(Error::bug(format!("{} wants in one fetch", wants.len())));
                }
                fetch::fetch(reader, &wants, &self.objects)
            }
            Op::Finish => {
                reader.finish(&codec::decode::<Finish>(message)?.offers);
                answer(&Done {})
            }
            other => Err(misplaced(other, "a reader")),
        }
    }
}

impl Guest for Shim {
    fn describe(&self) -> Result<Answer> {
        answer(&Described { info: self.plugin.info() })
    }

    fn open(&self, host: HostLink, role: Role, options: &str) -> Result<Answer> {
        let _entered = runtime::enter()?;
        let services = ForeignServices::new(host);
        let host = Host::new(services.clone());
        let object = match role {
            Role::Source => {
                let source = self.plugin.source(options, host)?;
                Object::Source(Arc::new(SourceObject::new(source, services)))
            }
            Role::Destination => {
                let destination = self.plugin.destination(options, host)?;
                Object::Destination(Arc::new(DestinationObject::new(destination)))
            }
        };
        answer(&Opened { handle: self.objects.insert(object) })
    }

    fn call(&self, handle: Handle, op: u32, message: &[u8], payload: Bytes) -> Result<Answer> {
        let op = Op::from_number(op)?;
        match self.objects.get(handle)? {
            Object::Source(source) => self.on_source(&source, op, message),
            Object::Listing(listing) if op == Op::DiscoverMore => listing.page(handle),
            Object::Listing(_) => Err(misplaced(op, "a listing")),
            Object::Reader(reader) => self.on_reader(&reader, op, message),
            Object::Body(body) if op == Op::ReadBody => body.read(),
            Object::Body(_) => Err(misplaced(op, "a body")),
            Object::Destination(destination) => on_destination(&destination, op, message, payload),
        }
    }

    fn cancel(&self, handle: Handle) {
        if let Ok(object) = self.objects.get(handle) {
            object.cancel();
        }
    }

    fn close(&self, handle: Handle) {
        // Authors' destructors may end tasks and connections, which needs the runtime around them.
        let _entered = runtime::enter();
        match self.objects.remove(handle) {
            Some(Object::Reader(reader)) => {
                reader.stop().cancel();
                for body in reader.bodies() {
                    self.objects.remove(body);
                }
            }
            Some(Object::Body(body)) => body.reader().forget_body(handle),
            _ => {}
        }
    }
}

fn on_destination(destination: &DestinationObject, op: Op, message: &[u8], payload: Bytes) -> Result<Answer> {
    match op {
        Op::Capabilities => destination.capabilities(),
        Op::Put => destination.put(&codec::decode::<Put>(message)?.key, payload),
        Op::PutIfAbsent => destination.put_if_absent(&codec::decode::<PutIfAbsent>(message)?.key, payload),
        Op::Get => destination.get(&codec::decode::<Get>(message)?.key),
        Op::GetRange => {
            let GetRange { key, start, end } = codec::decode(message)?;
            destination.get_range(&key, start..end)
        }
        Op::Head => destination.head(&codec::decode::<Stat>(message)?.key),
        Op::List => {
            let List { folder, token } = codec::decode(message)?;
            destination.list(&folder, token)
        }
        Op::Delete => destination.delete(&codec::decode::<Delete>(message)?.key),
        other => Err(misplaced(other, "a destination")),
    }
}

/// An answer without a payload.
fn answer<R: Record>(record: &R) -> Result<Answer> {
    answer_with(record, Bytes::new())
}

fn answer_with<R: Record>(record: &R, payload: Bytes) -> Result<Answer> {
    Ok(Answer { message: codec::encode(record)?.into(), payload })
}

fn misplaced(op: Op, on: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("operation {op:?} is none of {on}"))
}
