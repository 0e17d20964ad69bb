//! A source behind the boundary.

use std::{collections::HashSet, sync::Arc};

use larder_sdk::{
    Container, Discovery, Error, ErrorKind, Finding, ReaderServices, Result,
    abi::messages::{Discover, DiscoverMore, Discovered, Findings, Op, Read, Validate},
    codec,
};

use super::{ReaderHandle, call::Handle, check, services::Services};

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
                let message = format!("a listing that does not end, after {} containers", found.containers.len());
                return Err(self.handle.broken(Op::Discover, Error::new(ErrorKind::CorruptItem, message)));
            }
            found.containers.extend(page.containers);
            if page.rest.is_none() {
                break;
            }
        }
        check_containers(&found.containers).map_err(|error| self.handle.broken(Op::Discover, error))?;
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

fn check_containers(containers: &[Container]) -> Result<()> {
    let mut seen = HashSet::with_capacity(containers.len());
    for container in containers {
        check::container(container)?;
        if codec::encode_plain(container)?.len() > larder_sdk::limits::ITEM_BYTES_MAX {
            let message = format!("container \"{}\" is too large", container.id.display());
            return Err(Error::new(ErrorKind::CorruptItem, message));
        }
        if !seen.insert(&container.id) {
            let message = format!("container \"{}\" is listed twice", container.id.display());
            return Err(Error::new(ErrorKind::CorruptItem, message));
        }
    }
    Ok(())
}
