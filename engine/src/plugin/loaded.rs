//! A plugin that is ready for use.

use std::{fmt, path::PathBuf, sync::Arc};

use larder_sdk::{
    Error, ErrorKind, HostServices, PluginInfo, Result,
    abi::{
        AbiVersion, HostServer, PluginLink, check,
        messages::{Described, Role},
    },
    codec,
};

use super::{
    CallLimits, DestinationHandle, PluginError, SourceHandle,
    call::{Callee, Cancel, Handle},
    services::Services,
    threads::{CallThreads, Patience},
};

/// Where a plugin came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is part of this program.
    Linked,
    /// It was loaded.
    File {
        /// From where.
        path: PathBuf,
        /// BLAKE3 of the file.
        digest: blake3::Hash,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linked => f.write_str("a linked plugin"),
            Self::File { path, .. } => path.display().fmt(f),
        }
    }
}

/// A plugin that passed the handshake and said who it is.
pub struct LoadedPlugin {
    info: PluginInfo,
    origin: Origin,
    callee: Arc<Callee>,
}

impl LoadedPlugin {
    /// Asks a linked or loaded plugin who it is.
    pub(super) fn new(
        link: PluginLink,
        origin: Origin,
        limits: CallLimits,
    ) -> std::result::Result<Self, PluginError> {
        let threads = Arc::new(CallThreads::default());
        let patience = Patience { limit: limits.quick, cancelled_limit: limits.quick, cancelled: &|| false };
        let info = threads
            .run("describe", patience, move || link.describe())
            .and_then(|answer| codec::decode::<Described>(&answer.message))
            .and_then(|Described { info }| check::info(&info).map(|()| info))
            .map_err(|source| PluginError::Undescribed {
                what: origin.to_string(),
                source: Box::new(source),
            })?;
        let callee = Arc::new(Callee { name: info.name.clone(), link, threads, limits });
        Ok(Self { info, origin, callee })
    }

    /// Who it is and what it offers.
    pub fn info(&self) -> &PluginInfo {
        &self.info
    }

    /// Where it came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The ABI it was built for.
    pub fn abi(&self) -> AbiVersion {
        self.callee.link.abi()
    }

    /// Makes a source from a set's options as JSON text.
    pub fn source(&self, options_json: &str, services: Arc<dyn HostServices>) -> Result<SourceHandle> {
        self.offers(self.info.source.is_some(), "source")?;
        let services = Arc::new(Services::new(services));
        let handle = self.open(Role::Source, options_json, Arc::clone(&services))?;
        Ok(SourceHandle::new(handle, services))
    }

    /// Makes a destination from a repository's URL and options: JSON text `{"url": …, "options": {…}}`.
    pub fn destination(
        &self,
        options_json: &str,
        services: Arc<dyn HostServices>,
    ) -> Result<DestinationHandle> {
        self.offers(self.info.destination.is_some(), "destination")?;
        let services = Arc::new(Services::new(services));
        DestinationHandle::new(self.open(Role::Destination, options_json, services)?)
    }

    fn offers(&self, offered: bool, what: &str) -> Result<()> {
        if offered {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Configuration, format!("plugin `{}` is no {what}", self.info.name)))
    }

    fn open(&self, role: Role, options: &str, services: Arc<Services>) -> Result<Handle> {
        let (options, services): (_, Arc<dyn HostServer>) = (options.to_owned(), services);
        let limit = self.callee.limits.open;
        let answer =
            self.callee.run("open", limit, &|| false, move |link| link.open(services, role, &options))?;
        Handle::opened(&self.callee, &answer, Cancel::default())
    }
}

impl fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("name", &self.info.name)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
