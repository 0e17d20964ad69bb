//! SharePoint and OneDrive of the tenant: REST under `/_api/`, cookies from tokens, file contents.

mod answer;
mod api;
mod call;
mod challenge;
mod changes;
mod digest;
mod download;
mod edits;
mod error;
mod model;
mod odata;
mod render_list;
mod resource;
mod search;
mod serve;
mod session;
mod switches;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use serde_json::Value;

use crate::content::{BodyError, Rng};
use crate::login::Tokens;
use crate::shared::Shared;
use crate::tenant::TenantOptions;
use digest::DigestKey;
use model::{Host, World};
use session::Sessions;
use write::Uploads;

pub use edits::Edit;
pub use switches::{ExpiredTokens, Switches};

/// Where the hosts can be reached; known once they listen.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    pub(crate) main: String,
    pub(crate) my: String,
}

/// The SharePoint part of a tenant.
#[derive(Debug)]
pub(crate) struct SharePoint {
    shared: Arc<Shared>,
    tokens: Arc<Tokens>,
    world: Mutex<World>,
    sessions: Sessions,
    uploads: Uploads,
    switches: Mutex<Switches>,
    digest_key: DigestKey,
    origins: OnceLock<Origins>,
}

impl SharePoint {
    /// Generates the content.
    pub(crate) fn new(options: &TenantOptions, shared: Arc<Shared>, tokens: Arc<Tokens>) -> Arc<Self> {
        let accounts: Vec<(String, String)> =
            shared.accounts.all().into_iter().map(|account| (account.user, account.display_name)).collect();
        let world = World::generate(options.seed, options.size, &accounts, options.big_file_bytes);
        Arc::new(Self {
            shared,
            tokens,
            world: Mutex::new(world),
            sessions: Sessions::new(options.seed),
            uploads: Uploads::default(),
            switches: Mutex::default(),
            digest_key: DigestKey::new(options.seed),
            origins: OnceLock::new(),
        })
    }

    /// Tokens the login host hands out and this one redeems.
    pub(crate) fn tokens(&self) -> &Arc<Tokens> {
        &self.tokens
    }

    /// Tells where the hosts listen; the first call counts.
    pub(crate) fn set_origins(&self, origins: Origins) {
        self.world().fill_admin_list(&origins.main, &origins.my);
        // A second call would be a mistake of ours without harm: the addresses cannot change.
        let _ = self.origins.set(origins);
    }

    /// The routers of the main, OneDrive and admin hosts.
    pub(crate) fn routers(self: &Arc<Self>) -> [Router; 3] {
        [Host::Main, Host::My, Host::Admin].map(|host| serve::router(Arc::clone(self), host))
    }

    /// Makes `count` random changes.
    pub(crate) fn change(&self, rng: &mut Rng, count: usize) {
        let now = self.shared.clock.now_ms();
        self.world().change(rng, count, now);
    }

    /// What a right backup holds. Reads every byte once, so it takes its time.
    pub(crate) fn manifest(&self) -> Result<Vec<Value>, BodyError> {
        let lines = self.world().manifest();
        lines.into_iter().map(model::Line::finish).collect()
    }

    /// Changes how the service behaves.
    pub(crate) fn set_switches(&self, switches: Switches) {
        *self.switches.lock().unwrap_or_else(PoisonError::into_inner) = switches;
    }

    /// Forgets the sessions of one account, or of all.
    pub(crate) fn forget_sessions(&self, user: Option<&str>) {
        self.sessions.forget(user);
    }

    fn switches(&self) -> Switches {
        *self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
