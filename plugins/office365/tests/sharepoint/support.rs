//! A tenant, and a source that reads it.

use std::sync::{Arc, Mutex};

use larder_office365::Office365;
use larder_sdk::{Error, ErrorKind, Host, HostServices, LogLevel, Name, Result, Secret, SecretRef};
use larder_tenant::{Tenant, TenantOptions};
use serde_json::{Value, json};

/// A host whose secrets are the accounts' app passwords, by user name.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    passwords: Vec<(String, String)>,
    lines: Arc<Mutex<Vec<(LogLevel, String)>>>,
}

impl Keys {
    /// Everything that was logged for people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|(level, _)| *level < LogLevel::Debug).map(|(_, text)| text.clone()).collect()
    }

    /// Everything that was logged at all.
    pub(crate) fn everything(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|(_, text)| text.clone()).collect()
    }
}

impl HostServices for Keys {
    fn log(&self, level: LogLevel, text: &str) {
        self.lines.lock().unwrap().push((level, text.to_owned()));
    }

    fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        let SecretRef::Env(user) = reference else { return Err(Error::bug("tests name users")) };
        let found = self.passwords.iter().find(|(name, _)| name == user);
        found
            .map(|(_, password)| Secret::new(password.as_str()))
            .ok_or_else(|| Error::new(ErrorKind::Configuration, "no such user"))
    }
}

/// A running tenant and what a config says of it.
pub(crate) struct Bench {
    pub(crate) tenant: Tenant,
    pub(crate) keys: Keys,
    pub(crate) options: Value,
}

impl Bench {
    /// A tenant with a set that reads its SharePoint alone.
    pub(crate) async fn start(options: TenantOptions) -> Self {
        let tenant = Tenant::start(options).await.unwrap();
        let about = tenant.describe();
        let accounts = about["accounts"].as_array().unwrap();
        let passwords =
            accounts.iter().map(|account| (text(account, "user"), text(account, "app_password"))).collect();
        let listed: Vec<Value> = accounts
            .iter()
            .map(|account| json!({"user": account["user"], "password": {"env": account["user"]}}))
            .collect();
        let endpoints: Value = ["login", "sharepoint", "my", "admin", "exchange"]
            .into_iter()
            .map(|name| (name.to_owned(), about[name].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let options = json!({
            "tenant": "contoso", "accounts": listed, "endpoints": endpoints, "sharepoint": {},
        });
        Self { tenant, keys: Keys { passwords, ..Keys::default() }, options }
    }

    /// The source of the options as they are now.
    pub(crate) fn source(&self) -> Office365 {
        Office365::new(&self.options.to_string(), Host::new(self.keys.clone())).unwrap()
    }

    /// The set's accounts from now on; `secrets` are found under these names.
    pub(crate) fn set_accounts(&mut self, accounts: Value, secrets: &[(&str, &str)]) {
        self.options["accounts"] = accounts;
        self.keys
            .passwords
            .extend(secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }

    /// Gives an account another password.
    pub(crate) fn set_password(&mut self, user: &str, password: &str) {
        for (name, known) in &mut self.keys.passwords {
            if name == user {
                password.clone_into(known);
            }
        }
    }

    /// The manifest's lines of SharePoint, worked out aside.
    pub(crate) fn manifest(&self) -> Vec<Value> {
        let lines = self.tenant.manifest().unwrap();
        lines.into_iter().filter(|line| line["service"] == "sharepoint").collect()
    }
}

/// A text of a JSON object.
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Parts of a path as one text, each after a slash.
pub(crate) fn joined(parts: &[Name]) -> String {
    parts.iter().fold(String::new(), |path, part| path + "/" + &part.display())
}
