//! The stores that the tests run against, and a host for them.

#![allow(dead_code, reason = "each test binary uses a part of this")]

pub(crate) mod proxy;

use std::sync::atomic::{AtomicU32, Ordering};

use larder_object_store::ObjectStorePlugin;
use larder_sdk::{
    Destination, Error, Host, HostServices, LogLevel, ObjectKey, Plugin, Result, Secret, SecretRef,
    testing::TestHost,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A store to test, in a place of its own.
pub(crate) struct Target {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// Its URL.
    pub(crate) url: String,
    /// Its options.
    pub(crate) options: Value,
    /// The folder of a `file://` store, removed at the end.
    _folder: Option<TempDir>,
}

/// The servers, by the variable that says where each is.
const SERVERS: [(&str, &str); 3] =
    [("S3", "LARDER_TEST_S3"), ("Azure", "LARDER_TEST_AZURE"), ("WebDAV", "LARDER_TEST_WEBDAV")];

/// Every store there is to test: folder and memory always, and with `LARDER_TEST_SERVERS=1` the servers, none of which may then be missing.
pub(crate) fn targets() -> Vec<Target> {
    let folder = tempfile::tempdir().unwrap();
    let file = Target {
        name: "file",
        url: format!("file://{}/store", folder.path().display()),
        options: json!({}),
        _folder: Some(folder),
    };
    let memory =
        Target { name: "memory", url: format!("memory:///{}", unique()), options: json!({}), _folder: None };
    [file, memory].into_iter().chain(servers()).collect()
}

/// The servers alone.
pub(crate) fn servers() -> Vec<Target> {
    if !servers_wanted() {
        println!("LARDER_TEST_SERVERS=1 is not set: file:// and memory:// only");
        return Vec::new();
    }
    SERVERS.map(|(name, variable)| server(name, variable)).into()
}

/// One server by its name.
pub(crate) fn server_named(wanted: &str) -> Option<Target> {
    servers().into_iter().find(|target| target.name == wanted)
}

/// Whether the tests against servers are to run.
pub(crate) fn servers_wanted() -> bool {
    std::env::var("LARDER_TEST_SERVERS").is_ok_and(|value| value == "1")
}

fn server(name: &'static str, variable: &str) -> Target {
    let text = std::env::var(variable)
        .unwrap_or_else(|_| panic!("LARDER_TEST_SERVERS=1 is set and {variable} is not: start {name} first"));
    let config: Value = serde_json::from_str(&text).unwrap();
    let url = format!("{}/{}", config["url"].as_str().unwrap(), unique());
    Target { name, url, options: config["options"].clone(), _folder: None }
}

/// A word that no other test run uses.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Target {
    /// A new instance.
    pub(crate) fn open(&self) -> Box<dyn Destination> {
        open(&self.url, &self.options).unwrap()
    }

    /// The same store with one option changed.
    pub(crate) fn with(mut self, option: &str, value: Value) -> Self {
        self.options[option] = value;
        self
    }

    /// The option that says where the server is; `None` where that is the URL itself.
    pub(crate) fn endpoint_option(&self) -> Option<&'static str> {
        ["aws_endpoint", "azure_storage_endpoint"].into_iter().find(|name| self.options.get(name).is_some())
    }

    /// Where the server is.
    pub(crate) fn address(&self) -> String {
        let endpoint = self.endpoint_option().map_or(&*self.url, |name| self.options[name].as_str().unwrap());
        endpoint.split('/').nth(2).unwrap().to_owned()
    }

    /// The same store at another address.
    pub(crate) fn at(mut self, address: &str) -> Self {
        let old = self.address();
        match self.endpoint_option() {
            Some(name) => {
                self.options[name] = self.options[name].as_str().unwrap().replace(&old, address).into();
            }
            None => self.url = self.url.replace(&old, address),
        }
        self
    }
}

/// Makes an instance as the engine does.
pub(crate) fn open(url: &str, options: &Value) -> Result<Box<dyn Destination>> {
    ObjectStorePlugin
        .destination(&json!({"url": url, "options": options}).to_string(), Host::new(Vault::default()))
}

/// A host whose environment also has `WRONG`: a secret that fits nowhere.
#[derive(Default)]
struct Vault(TestHost);

impl HostServices for Vault {
    fn log(&self, level: LogLevel, text: &str) {
        self.0.log(level, text);
    }

    fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        match reference {
            SecretRef::Env(name) if name == "WRONG" => Ok(Secret::new(WRONG)),
            _ => self.0.secret(reference),
        }
    }
}

/// The value of `WRONG`; base64, as Azure wants its keys.
pub(crate) const WRONG: &str = "d3JvbmctYW5kLW5ldmVyLXNob3du";

/// An object's name.
pub(crate) fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

/// Everything an error says.
pub(crate) fn told(error: &Error) -> String {
    format!("{error:?} {error} {:?}", error.hint())
}
