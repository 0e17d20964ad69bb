//! A source behind the boundary.

use std::sync::Arc;

use larder_sdk::{
    Container, Discovery, Error, ErrorKind, Finding, ReaderServices, Result,
    abi::{
        check,
        messages::{Discover, DiscoverMore, Discovered, Findings, Op, Read, Validate},
    },
};

use super::{ReaderHandle, call::Handle, services::Services};

/// Most containers of one source.
const CONTAINERS_MAX: usize = 1_000_000;

/// An instance of a source. Calls block; several may be made at once. Cheap to clone; closed with the last clone and the last reader.
#[derive(Clone, Debug)]
pub struct SourceHandle {
    handle: Arc<Handle>,
    services: Arc<Services>,
}

impl SourceHandle {
    pub(super) fn new(handle: Handle, services: Arc<Services>) -> Self {
        Self { handle: Arc::new(handle), services }
    }

    /// Checks, without reading data, that the source can be read. See [`larder_sdk::Source::validate`].
    pub fn validate(&self) -> Result<Vec<Finding>> {
        let limit = self.handle.callee.limits.validate;
        self.handle.ask(Op::Validate, &Validate {}, limit).map(|Findings { findings }| findings)
    }

    /// Lists the containers. See [`larder_sdk::Source::discover`].
    pub fn discover(&self) -> Result<Discovery> {
        let limit = self.handle.callee.limits.discover;
        let first: Discovered = self.handle.ask(Op::Discover, &Discover {}, limit)?;
        let mut found = Discovery { containers: first.containers, findings: first.findings };
        let rest = first
            .rest
            .map(|number| Handle::numbered(&self.handle.callee, number, self.handle.cancel.below()));
        while let Some(rest) = &rest {
            let page: Discovered = rest.ask(Op::DiscoverMore, &DiscoverMore {}, limit)?;
            if page.containers.is_empty() || found.containers.len() > CONTAINERS_MAX {
                let message =
                    format!("a listing that does not end, after {} containers", found.containers.len());
                return Err(self.handle.broken(Op::Discover, Error::new(ErrorKind::CorruptItem, message)));
            }
            found.containers.extend(page.containers);
            if page.rest.is_none() {
                break;
            }
        }
        check::containers(&found.containers).map_err(|error| self.handle.broken(Op::Discover, error))?;
        Ok(found)
    }

    /// Opens a container for reading. `services` tell the reader where it was.
    pub fn read(&self, container: &Container, services: Arc<dyn ReaderServices>) -> Result<ReaderHandle> {
        let registration = self.services.register(services);
        let question = Read { container: container.clone(), services: registration.number() };
        let answer = self.handle.call(Op::Read, &question, self.handle.callee.limits.read)?;
        let handle = Handle::opened(&self.handle.callee, &answer, self.handle.cancel.below())?;
        Ok(ReaderHandle::new(handle, registration, Arc::clone(&self.handle)))
    }

    /// Ends all calls on this source and its readers with an error of kind `Cancelled`, within 5 seconds. From any thread.
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}
