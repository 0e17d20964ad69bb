//! Options: what is taken, what is refused, and that no secret shows.

use larder_sdk::{HostServices, LogLevel};

use super::*;

struct Vault;

impl HostServices for Vault {
    fn log(&self, _: LogLevel, _: &str) {}
    fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        match reference {
            SecretRef::Env(name) if name == "KEY" => Ok(Secret::new("s3cr3t/+")),
            _ => Err(Error::new(ErrorKind::NotFound, "no such variable")),
        }
    }
}

fn parsed(json: &str) -> Result<(Location, Options)> {
    parse(json, &Host::new(Vault))
}

#[test]
fn values_come_as_texts_numbers_flags_and_secrets() {
    let (_, options) = parsed(
        r#"{"url": "s3://b/p", "options": {"aws_region": "eu-central-1", "allow_http": true, "timeout": 30,
            "aws_access_key_id": {"env": "KEY"}, "aws_secret_access_key": {"env": "KEY"}}}"#,
    )
    .unwrap();
    assert_eq!(options.get("aws_region"), Some("eu-central-1"));
    assert_eq!(options.get("allow_http"), Some("true"));
    assert_eq!(options.get("timeout"), Some("30"));
    assert_eq!(options.get("aws_secret_access_key"), Some("s3cr3t/+"));
    assert_eq!(options.get("user"), None);
}

#[test]
fn secrets_never_show() {
    let (_, options) =
        parsed(r#"{"url": "https://h/x", "options": {"user": "me", "password": {"env": "KEY"}}}"#).unwrap();
    assert!(!format!("{options:?}").contains("s3cr3t"));
    assert_eq!(options.mask().apply("GET x?sig=s3cr3t/+&y"), "GET x?sig=***&y");
}

#[test]
fn wrong_options_name_the_key_and_what_to_write() {
    let cases = [
        (r#"{"url": "s3://b", "options": {"aws_regoin": "x"}}"#, "`aws_regoin`", "`aws_region`"),
        (r#"{"url": "az://b", "options": {"aws_region": "x"}}"#, "another kind of store", ""),
        (r#"{"url": "file:///x", "options": {"region": "x"}}"#, "`region`", "no options"),
        (r#"{"url": "s3://b", "options": {"aws_secret_access_key": "geheim"}}"#, "must not stand", "env"),
        (r#"{"url": "s3://b", "options": {"aws_secret_access_key": {"envv": "X"}}}"#, "no secret", "env"),
        (r#"{"url": "s3://b", "options": {"allow_http": "yes"}}"#, "`true` or `false`", ""),
        (r#"{"url": "s3://b", "options": {"aws_region": []}}"#, "takes a text", ""),
        (r#"{"url": "s3://b", "optoins": {}}"#, "optoins", ""),
    ];
    for (json, message, hint) in cases {
        let error = parsed(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{json}");
        assert!(error.message().contains(message), "{json}: {error:?}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{json}: {error:?}");
        assert!(!format!("{error:?}").contains("geheim"));
    }
}

#[test]
fn a_secret_that_is_not_there_names_the_option() {
    let error =
        parsed(r#"{"url": "s3://b", "options": {"aws_secret_access_key": {"env": "NONE"}}}"#).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("`aws_secret_access_key`"), "{error:?}");
}

#[test]
fn the_schema_lists_every_key_once() {
    let schema = schema();
    let mut names: Vec<&str> = schema.keys.iter().map(|key| &*key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
}
