//! An instance of a source.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Object, Objects, answer, reader::ReaderObject, services::ForeignServices, stop::Stop};
use crate::{
    Container, Error, ReaderHost, Result, Source,
    abi::{
        Answer,
        messages::{Discovered, Findings},
        table::Handle,
    },
    codec,
};

/// A page of containers ends at about this many encoded bytes.
const PAGE_BYTES: usize = 1 << 20;

pub(super) struct SourceObject {
    source: Arc<dyn Source>,
    services: ForeignServices,
    stop: Stop,
}

impl SourceObject {
    pub(super) fn new(source: Box<dyn Source>, services: ForeignServices) -> Self {
        Self { source: source.into(), services, stop: Stop::new() }
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn validate(&self) -> Result<Answer> {
        let findings = self.stop.run(self.source.validate())?;
        answer(&Findings { findings })
    }

    /// Lists the containers and answers the first page; what is left over waits under a handle of its own.
    pub(super) fn discover(&self, objects: &Objects) -> Result<Answer> {
        let discovery = self.stop.run(self.source.discover())?;
        let mut rest = discovery.containers;
        // Taken from the end, page by page.
        rest.reverse();
        let containers = take_page(&mut rest)?;
        let rest =
            (!rest.is_empty()).then(|| objects.insert(Object::Listing(Arc::new(Listing(Mutex::new(rest))))));
        answer(&Discovered { containers, findings: discovery.findings, rest })
    }

    pub(super) fn read(&self, container: &Container, services: u64) -> Result<ReaderObject> {
        let host = ReaderHost::new(self.services.reader(services));
        let reader = self.stop.run(self.source.read(container, host))?;
        let moves = self.services.abi().knows_moves();
        Ok(ReaderObject::new(reader, Arc::clone(&self.source), self.stop.below(), moves))
    }
}

/// Containers that did not fit a discovery's first page, last one first.
pub(super) struct Listing(Mutex<Vec<Container>>);

impl Listing {
    pub(super) fn page(&self, handle: Handle) -> Result<Answer> {
        let mut rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let containers = take_page(&mut rest)?;
        let rest = (!rest.is_empty()).then_some(handle);
        answer(&Discovered { containers, findings: Vec::new(), rest })
    }
}

fn take_page(rest: &mut Vec<Container>) -> Result<Vec<Container>> {
    let mut page = Vec::new();
    let mut bytes = 0;
    while bytes < PAGE_BYTES
        && let Some(container) = rest.pop()
    {
        let length = codec::encode_plain(&container)?.len();
        if length > crate::limits::ITEM_BYTES_MAX {
            return Err(Error::bug(format!("container \"{}\" has {length} bytes", container.title)));
        }
        bytes += length;
        page.push(container);
    }
    Ok(page)
}
