//! A tenant, and a source that reads its mailboxes.

use larder_office365::Office365;
use larder_sdk::{Error, Host, HostServices, LogLevel, Result, Secret, SecretRef};
use larder_tenant::{
    Tenant, TenantOptions,
    counters::CounterSnapshot,
    fault::{FaultKind, FaultRule},
    gate::Service,
};
use serde_json::{Value, json};

/// A host whose secrets are app passwords, by user name.
#[derive(Clone)]
struct Keys(Vec<(String, String)>);

impl HostServices for Keys {
    fn log(&self, level: LogLevel, text: &str) {
        println!("{level:?}: {text}");
    }

    fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        let SecretRef::Env(user) = reference else { return Err(Error::bug("tests name users")) };
        let found = self.0.iter().find(|(name, _)| name == user);
        found.map(|(_, password)| Secret::new(password.as_str())).ok_or_else(|| Error::bug("no such user"))
    }
}

/// What stands for the address of the public folders.
pub(crate) const PUBLIC: &str = "Public Folders";

/// A running tenant and what a config says of it.
pub(crate) struct Bench {
    pub(crate) tenant: Tenant,
    keys: Keys,
    pub(crate) options: Value,
}

impl Bench {
    /// A tenant with a set that reads all mailboxes and nothing else.
    pub(crate) async fn start(options: TenantOptions) -> Self {
        let tenant = Tenant::start(options).await.unwrap();
        let accounts = tenant.shared().accounts.all();
        let keys =
            accounts.iter().map(|account| (account.user.clone(), account.app_password.clone())).collect();
        let listed: Vec<Value> = accounts
            .iter()
            .map(|account| json!({"user": account.user, "password": {"env": account.user}}))
            .collect();
        let endpoint = format!("{}/EWS/Exchange.asmx", tenant.endpoints().exchange);
        let options = json!({
            "tenant": "contoso",
            "accounts": listed,
            "exchange": {"mailboxes": ["*@contoso.example"]},
            "endpoints": {"exchange": endpoint, "login": tenant.endpoints().login},
        });
        Self { tenant, keys: Keys(keys), options }
    }

    /// The set's accounts from now on; `secrets` are found under these names.
    pub(crate) fn set_accounts(&mut self, accounts: Value, secrets: &[(&str, &str)]) {
        self.options["accounts"] = accounts;
        self.keys.0.extend(secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }

    /// The same with the default tenant, reading one mailbox by its address.
    pub(crate) async fn one_mailbox(address: &str) -> Self {
        let mut bench = Self::start(TenantOptions::default()).await;
        bench.options["exchange"] = json!({"mailboxes": [address]});
        bench
    }

    /// The source of the options as they are now.
    pub(crate) fn source(&self) -> Office365 {
        let mut options = self.options.clone();
        // Most tests are about mailboxes alone.
        if options["exchange"]["public_folders"].is_null() {
            options["exchange"]["public_folders"] = json!(false);
        }
        Office365::new(&options.to_string(), Host::new(self.keys.clone())).unwrap()
    }

    /// The manifest's lines of the mailboxes.
    pub(crate) fn manifest(&self) -> Vec<Value> {
        let mut lines = self.tenant.exchange().lock().unwrap().manifest_lines();
        lines.retain(|line| line["mailbox"] != PUBLIC);
        lines
    }

    /// The manifest's lines of one mailbox, or of the public folders.
    pub(crate) fn manifest_of(&self, mailbox: &str) -> Vec<Value> {
        let mut lines = self.tenant.exchange().lock().unwrap().manifest_lines();
        lines.retain(|line| line["mailbox"] == mailbox);
        lines
    }

    /// Has something go wrong at Exchange.
    pub(crate) fn fault(&self, operation: &str, kind: FaultKind, change: impl FnOnce(&mut FaultRule)) {
        let mut rule = FaultRule::new(kind);
        rule.service = Some(Service::Exchange);
        rule.operation = Some(operation.to_owned());
        change(&mut rule);
        self.tenant.faults().add(rule);
    }

    /// Counts since `before`, of one operation.
    pub(crate) fn requests_since(&self, before: &CounterSnapshot, operation: &str) -> u64 {
        self.tenant.counters().operation(Service::Exchange, operation)
            - before.operation(Service::Exchange, operation)
    }
}
