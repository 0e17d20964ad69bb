//! Starting and stopping a tenant.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::account::{Account, Accounts};
use crate::content::{Rng, Size};
use crate::counters::CounterSnapshot;
use crate::exchange;
use crate::fault::Faults;
use crate::gate::{Service, Throttle};
use crate::shared::Shared;

/// What kind of tenant to start.
#[derive(Clone, Debug)]
pub struct TenantOptions {
    /// Decides all content, names and ids.
    pub seed: u64,
    /// How much there is.
    pub size: Size,
    /// Pool accounts, `backup1` and on.
    pub accounts: u32,
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

/// A running tenant; stops when dropped.
#[derive(Debug)]
pub struct Tenant {
    endpoints: Endpoints,
    shared: Arc<Shared>,
    exchange: Arc<Mutex<exchange::World>>,
    servers: Vec<JoinHandle<()>>,
}

impl Tenant {
    /// Generates the content and serves it on free ports of 127.0.0.1.
    pub async fn start(options: TenantOptions) -> Result<Self, TenantError> {
        let accounts = Accounts::new((1..=options.accounts).map(Account::backup));
        let shared = Arc::new(Shared::new(accounts, options.seed));
        for service in [Service::SharePoint, Service::Exchange] {
            shared.gate.set_throttle(None, service, options.throttle);
        }
        let mut mail = exchange::World::generate(options.seed, options.size);
        if let Some(bytes) = options.big_message_bytes {
            mail.add_big_message(bytes);
        }
        let mail = Arc::new(Mutex::new(mail));
        let mut servers = Vec::new();
        let exchange = serve(exchange::router(Arc::clone(&shared), Arc::clone(&mail)), &mut servers).await?;
        let endpoints = Endpoints {
            login: String::new(),
            sharepoint: String::new(),
            my: String::new(),
            admin: String::new(),
            exchange: base(exchange),
            control: String::new(),
        };
        Ok(Self { endpoints, shared, exchange: mail, servers })
    }

    /// Where the services listen.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The accounts, gate, faults, counters and clock.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The rules of what goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// All counts so far.
    pub fn counters(&self) -> CounterSnapshot {
        self.shared.counters.snapshot()
    }

    /// Changes `count` things per service at random.
    pub fn change(&self, seed: u64, count: usize) {
        let mut rng = Rng::new(seed);
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner).change(&mut rng, count);
    }

    /// What a right backup of the tenant holds now, one JSON object per item.
    pub fn manifest(&self) -> Vec<serde_json::Value> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner).manifest_lines()
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

fn base(address: SocketAddr) -> String {
    format!("http://{address}")
}

async fn serve(router: Router, servers: &mut Vec<JoinHandle<()>>) -> Result<SocketAddr, TenantError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    servers.push(tokio::spawn(async move {
        // Ends only by abort; an error here means the runtime is going down.
        let _ = axum::serve(listener, router).await;
    }));
    Ok(address)
}
