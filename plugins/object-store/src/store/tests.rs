//! Setting stores up, without any request.

use larder_sdk::{Host, HostServices, LogLevel, Secret, SecretRef};

use super::*;

struct Vault;

impl HostServices for Vault {
    fn log(&self, _: LogLevel, _: &str) {}
    fn secret(&self, _: &SecretRef) -> Result<Secret> {
        Ok(Secret::new("Z2VoZWlt"))
    }
}

fn open(json: &str) -> Result<Store> {
    let (location, options) = crate::options::parse(json, &Host::new(Vault))?;
    Store::open(&location, &options)
}

#[test]
fn every_option_is_known_to_its_store() {
    let schemes = [("aws_", "s3://box"), ("azure_", "az://box"), ("google_", "gs://box")];
    for key in crate::options::schema().keys {
        let known = match schemes.iter().find(|(start, _)| key.name.starts_with(start)) {
            Some(("aws_", _)) => key.name.parse::<AmazonS3ConfigKey>().is_ok(),
            Some(("azure_", _)) => key.name.parse::<AzureConfigKey>().is_ok(),
            Some(_) => key.name.parse::<GoogleConfigKey>().is_ok(),
            None => is_network(&key.name) || matches!(&*key.name, "user" | "password"),
        };
        assert!(known, "{}", key.name);
    }
}

#[test]
fn stores_are_set_up_from_options() {
    let s3 = r#"{"url": "s3://box/p", "options": {"aws_region": "x", "aws_access_key_id": "a",
        "aws_secret_access_key": {"env": "X"}, "aws_conditional_put": "disabled"}}"#;
    assert!(!open(s3).unwrap().creates);
    let azure = r#"{"url": "az://box", "options": {"azure_storage_account_name": "a",
        "azure_storage_account_key": {"env": "X"}}}"#;
    assert!(open(azure).unwrap().creates);
    let webdav = r#"{"url": "https://h/dav", "options": {"user": "me", "password": {"env": "X"}}}"#;
    assert!(!open(webdav).unwrap().creates);
}

#[test]
fn wrong_settings_are_the_config_s_fault() {
    let cases = [
        (r#"{"url": "http://h/dav"}"#, "without encryption"),
        (r#"{"url": "https://h/dav", "options": {"user": "me"}}"#, "only one"),
        (r#"{"url": "https://h/dav", "options": {"ca_certificate": "/nowhere.pem"}}"#, "/nowhere.pem"),
        (r#"{"url": "s3://b", "options": {"aws_conditional_put": "maybe"}}"#, "maybe"),
        (r#"{"url": "s3://b", "options": {"timeout": "soon"}}"#, "soon"),
    ];
    for (json, message) in cases {
        let error = open(json).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{json}");
        assert!(error.message().contains(message), "{json}: {error:?}");
        assert!(!format!("{error:?}").contains("Z2VoZWlt"));
    }
}
