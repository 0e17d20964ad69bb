//! What the conformance suite is run on, each with something to read or a place to write.

use std::fs;

use larder_tenant::{Tenant, TenantOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A plugin's name, its options, and what they point at for as long as this lives.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) krate: &'static str,
    pub(crate) options: String,
    _place: Option<TempDir>,
    _tenant: Option<Tenant>,
}

/// The sources.
pub(crate) async fn sources() -> Vec<Subject> {
    let place = tempfile::tempdir().unwrap();
    for root in ["one", "two"] {
        let folder = place.path().join(root).join("a folder/with another");
        fs::create_dir_all(&folder).unwrap();
        for number in 0..40_usize {
            fs::write(folder.join(format!("file {number}")), vec![number as u8; number * 997]).unwrap();
        }
        fs::write(place.path().join(root).join("large"), vec![7; 3 << 20]).unwrap();
        fs::write(place.path().join(root).join("empty"), b"").unwrap();
        std::os::unix::fs::symlink("large", place.path().join(root).join("link")).unwrap();
    }
    let paths = [place.path().join("one"), place.path().join("two")];
    vec![
        Subject {
            name: "files",
            krate: "larder_files",
            options: json!({ "paths": paths }).to_string(),
            _place: Some(place),
            _tenant: None,
        },
        Subject {
            name: "misbehaving",
            krate: "larder_misbehaving",
            options: good(),
            _place: None,
            _tenant: None,
        },
        office365("sharepoint").await,
        office365("exchange").await,
    ]
}

/// The destinations.
pub(crate) fn destinations() -> Vec<Subject> {
    let options = json!({ "url": "memory:", "options": { "mode": "good" } }).to_string();
    let place = tempfile::tempdir().unwrap();
    let folder = json!({ "url": format!("file://{}/repository", place.path().display()), "options": {} });
    let memory = json!({ "url": "memory:///conformance", "options": {} });
    let object_store = |options: Value, place| Subject {
        name: "object-store",
        krate: "larder_object_store",
        options: options.to_string(),
        _place: place,
        _tenant: None,
    };
    vec![
        object_store(folder, Some(place)),
        object_store(memory, None),
        Subject { name: "misbehaving", krate: "larder_misbehaving", options, _place: None, _tenant: None },
    ]
}

/// One service of a simulated tenant, its app passwords in files.
async fn office365(service: &str) -> Subject {
    let tenant = Tenant::start(TenantOptions::default()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let about = tenant.describe();
    let account = |account: &Value| {
        let (user, password) = (account["user"].as_str().unwrap(), account["app_password"].as_str().unwrap());
        let file = place.path().join(user);
        fs::write(&file, password).unwrap();
        json!({ "user": user, "password": { "file": file }, "services": [service] })
    };
    let accounts: Vec<Value> = about["accounts"].as_array().unwrap().iter().map(account).collect();
    let mut endpoints: serde_json::Map<_, _> = ["login", "sharepoint", "my", "admin"]
        .into_iter()
        .map(|name| (name.to_owned(), about[name].clone()))
        .collect();
    let exchange = format!("{}/EWS/Exchange.asmx", tenant.endpoints().exchange);
    endpoints.insert("exchange".to_owned(), exchange.into());
    let mut options = json!({
        "tenant": "contoso",
        "accounts": accounts,
        "endpoints": endpoints,
    });
    options[service] = match service {
        "exchange" => json!({ "mailboxes": ["*@contoso.example"] }),
        _ => json!({ "versions": "latest" }),
    };
    Subject {
        name: "office365",
        krate: "larder_office365",
        options: options.to_string(),
        _place: Some(place),
        _tenant: Some(tenant),
    }
}

fn good() -> String {
    json!({ "mode": "good" }).to_string()
}
