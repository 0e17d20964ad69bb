//! Starting and stopping a tenant.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::account::{Account, Accounts, DOMAIN, PEOPLE};
use crate::application::Applications;
use crate::content::{BodyError, Rng, Size};
use crate::counters::CounterSnapshot;
use crate::fault::Faults;
use crate::federation::FederationState;
use crate::gate::{Service, Throttle};
use crate::login::{self, Tokens};
use crate::shared::Shared;
use crate::sharepoint::{Edit, Origins, SharePoint, Switches};
use crate::{control, exchange};

/// What kind of tenant to start.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Decides all content, names and ids.
    pub seed: u64,
    /// How much there is.
    pub size: Size,
    /// Pool accounts, `backup1` and on.
    pub accounts: u32,
    /// Accounts of the federated domain, `service1` and on.
    pub federated: u32,
    /// Limits of every account at SharePoint and Exchange.
    pub throttle: Throttle,
    /// Adds a file of this many bytes.
    pub big_file_bytes: Option<u64>,
    /// Adds a message of this many bytes.
    pub big_message_bytes: Option<u64>,
}

impl Default for TenantOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            size: Size::Small,
            accounts: 3,
            federated: 0,
            throttle: Throttle::default(),
            big_file_bytes: None,
            big_message_bytes: None,
        }
    }
}

/// Base addresses, without a slash at the end.
#[derive(Clone, Debug, Serialize)]
pub struct Endpoints {
    /// Stands for the login host.
    pub login: String,
    /// Stands for the tenant's SharePoint host.
    pub sharepoint: String,
    /// Stands for the OneDrive host.
    pub my: String,
    /// Stands for the SharePoint admin host.
    pub admin: String,
    /// Stands for the Exchange host; web services are at `/EWS/Exchange.asmx`.
    pub exchange: String,
    /// Stands for the federated domain's sign-in.
    pub adfs: String,
    /// The tenant's own control port.
    pub control: String,
}

/// Why a tenant did not start.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// A port could not be opened.
    #[error("the tenant cannot listen on loopback: {0}")]
    Listen(#[from] std::io::Error),
}

/// Everything behind the ports; the control port drives it too.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sharepoint: Arc<SharePoint>,
    pub(crate) exchange: Arc<Mutex<exchange::World>>,
}

/// A running tenant; stops when dropped.
#[derive(Debug)]
pub struct Tenant {
    endpoints: Endpoints,
    parts: Arc<Parts>,
    servers: Vec<JoinHandle<()>>,
}

impl Tenant {
    /// Generates the content and serves it on free ports of 127.0.0.1.
    pub async fn start(options: TenantOptions) -> Result<Self, TenantError> {
        let parts = Arc::new(Parts::generate(&options));
        let tokens = Arc::clone(parts.sharepoint.tokens());
        let mut servers = Servers::default();
        let login = servers.add(login::router(Arc::clone(&parts.shared), tokens)).await?;
        let [main, my, admin] = parts.sharepoint.routers();
        let (sharepoint, my, admin) =
            (servers.add(main).await?, servers.add(my).await?, servers.add(admin).await?);
        let web_services = exchange::router(Arc::clone(&parts.shared), Arc::clone(&parts.exchange));
        let exchange = servers.add(web_services).await?;
        let adfs = servers.add(login::adfs::router(Arc::clone(&parts.shared))).await?;
        parts.shared.federation.set_origin(adfs.clone());
        parts
            .shared
            .applications
            .set_resources([&sharepoint, &my, &admin, &exchange].into_iter().cloned().collect());
        let control = servers.add(control::router(Arc::clone(&parts))).await?;
        parts.sharepoint.set_origins(Origins { main: sharepoint.clone(), my: my.clone() });
        let endpoints = Endpoints { login, sharepoint, my, admin, exchange, adfs, control };
        Ok(Self { endpoints, parts, servers: servers.running })
    }

    /// Where the services listen.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Endpoints, accounts with passwords, and mailboxes, for clients in other processes.
    pub fn describe(&self) -> Value {
        let account = |account: Account| json!({"user": account.user, "app_password": account.app_password, "password": account.password});
        let accounts: Vec<Value> = self.parts.shared.accounts.all().into_iter().map(account).collect();
        let mut line = json!(self.endpoints);
        line["accounts"] = json!(accounts);
        line["mailboxes"] = PEOPLE.iter().map(|(local, _)| format!("{local}@{DOMAIN}")).collect();
        line
    }

    /// The accounts, gate, faults, counters and clock.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.parts.shared
    }

    /// The rules of what goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.parts.shared.faults
    }

    /// All counts so far.
    pub fn counters(&self) -> CounterSnapshot {
        self.parts.shared.counters.snapshot()
    }

    /// Applications: registering them, changing them, having their tokens run out.
    pub fn applications(&self) -> &Applications {
        &self.parts.shared.applications
    }

    /// Changes how the federated domain's sign-in behaves.
    pub fn set_federation(&self, state: FederationState) {
        self.parts.shared.federation.set_state(state);
    }

    /// Makes `count` random changes, half of them in SharePoint, half in Exchange.
    pub fn change(&self, seed: u64, count: usize) {
        self.parts.change(seed, count, None);
    }

    /// Makes one change of SharePoint, of what lies at a server-relative address; false if it does not fit what is there.
    pub fn edit(&self, path: &str, edit: Edit) -> bool {
        self.parts.sharepoint.edit(path, edit)
    }

    /// The Exchange world, for switches and looks inside.
    pub fn exchange(&self) -> &Arc<Mutex<exchange::World>> {
        &self.parts.exchange
    }

    /// Changes how SharePoint behaves.
    pub fn set_sharepoint_switches(&self, switches: Switches) {
        self.parts.sharepoint.set_switches(switches);
    }

    /// Deletes an account's app password: its sessions die, its sign-ins fail. False if there is no such account.
    pub fn revoke(&self, user: &str) -> bool {
        self.parts.revoke(user)
    }

    /// What a right backup of the tenant holds now, one JSON object per item. Reads every byte once and blocks
    /// meanwhile.
    pub fn manifest(&self) -> Result<Vec<Value>, BodyError> {
        self.parts.manifest()
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

impl Parts {
    fn generate(options: &TenantOptions) -> Self {
        let managed = (1..=options.accounts).map(Account::backup);
        let accounts = Accounts::new(managed.chain((1..=options.federated).map(Account::federated)));
        let shared = Arc::new(Shared::new(accounts, options.seed));
        for service in [Service::SharePoint, Service::Exchange] {
            shared.gate.set_throttle(None, service, options.throttle);
        }
        let tokens = Arc::new(Tokens::new(options.seed));
        let sharepoint = SharePoint::new(options, Arc::clone(&shared), tokens);
        let mut mail = exchange::World::generate(options.seed, options.size);
        if let Some(bytes) = options.big_message_bytes {
            mail.add_big_message(bytes);
        }
        Self { shared, sharepoint, exchange: Arc::new(Mutex::new(mail)) }
    }

    /// Makes `count` random changes in one service, or half and half in both.
    pub(crate) fn change(&self, seed: u64, count: usize, service: Option<Service>) {
        let rng = Rng::new(seed);
        let (files, mail) = match service {
            Some(Service::SharePoint) => (count, 0),
            Some(Service::Exchange) => (0, count),
            _ => (count - count / 2, count / 2),
        };
        self.sharepoint.change(&mut rng.fork("sharepoint"), files);
        let mut world = self.exchange.lock().unwrap_or_else(PoisonError::into_inner);
        world.change(&mut rng.fork("exchange"), mail);
    }

    pub(crate) fn revoke(&self, user: &str) -> bool {
        self.sharepoint.forget_sessions(Some(user));
        self.shared.accounts.update(user, |account| account.state = crate::account::AccountState::Revoked)
    }

    pub(crate) fn manifest(&self) -> Result<Vec<Value>, BodyError> {
        let mut lines = self.sharepoint.manifest()?;
        lines.extend(self.exchange.lock().unwrap_or_else(PoisonError::into_inner).manifest_lines());
        Ok(lines)
    }
}

#[derive(Default)]
struct Servers {
    running: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Serves on a free port and returns its base address.
    async fn add(&mut self, router: Router) -> Result<String, TenantError> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        self.running.push(tokio::spawn(async move {
            // Ends only by abort; an error here means the runtime is going down.
            let _ = axum::serve(listener, router).await;
        }));
        Ok(format!("http://{address}"))
    }
}
