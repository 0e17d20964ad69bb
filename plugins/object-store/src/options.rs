//! What a config may say about a store: the known keys, their values checked, secrets fetched from the host.

use larder_sdk::{Error, ErrorKind, Host, Result, Schema, Secret, SecretRef, Takes};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    location::{Location, Scheme},
    nearest::nearest,
};

/// What a key's value may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Flag,
    Secret,
}

/// A key of the options.
struct Key {
    name: &'static str,
    schemes: &'static [Scheme],
    form: Form,
    doc: &'static str,
}

const NETWORK: &[Scheme] = &[Scheme::S3, Scheme::Azure, Scheme::Google, Scheme::WebDav];
const S3: &[Scheme] = &[Scheme::S3];
const AZURE: &[Scheme] = &[Scheme::Azure];
const GOOGLE: &[Scheme] = &[Scheme::Google];
const WEBDAV: &[Scheme] = &[Scheme::WebDav];

const fn key(name: &'static str, schemes: &'static [Scheme], form: Form, doc: &'static str) -> Key {
    Key { name, schemes, form, doc }
}

/// Every key. A name means the same to the libraries and command lines of the store it belongs to.
const KEYS: &[Key] = &[
    key("allow_http", NETWORK, Form::Flag, "take http:// endpoints, where anyone on the way can read along"),
    key(
        "allow_invalid_certificates",
        NETWORK,
        Form::Flag,
        "do not check the server's certificate; for tests",
    ),
    key("ca_certificate", NETWORK, Form::Text, "a PEM file with certificates to trust beside the system's"),
    key("connect_timeout", NETWORK, Form::Text, "how long making a connection may take, `5s` unless told"),
    key("timeout", NETWORK, Form::Text, "how long one request may take; unless told, by its size"),
    key("proxy_url", NETWORK, Form::Text, "the proxy to go through"),
    key("proxy_ca_certificate", NETWORK, Form::Text, "the proxy's certificate, in PEM"),
    key("proxy_excludes", NETWORK, Form::Text, "hosts to reach without the proxy"),
    key("aws_access_key_id", S3, Form::Text, "the access key's id"),
    key("aws_secret_access_key", S3, Form::Secret, "the access key"),
    key("aws_session_token", S3, Form::Secret, "the token that goes with a temporary access key"),
    key("aws_region", S3, Form::Text, "the bucket's region, `us-east-1` unless told"),
    key("aws_endpoint", S3, Form::Text, "the server's URL, for stores that are not Amazon's"),
    key(
        "aws_virtual_hosted_style_request",
        S3,
        Form::Flag,
        "the bucket stands in the host name, not the path",
    ),
    key("aws_conditional_put", S3, Form::Text, "`etag`, or `disabled` for servers without conditional puts"),
    key("aws_checksum_algorithm", S3, Form::Text, "`sha256` or `crc64nvme`: send one with every put"),
    key("aws_unsigned_payload", S3, Form::Flag, "do not sign the content of puts"),
    key("aws_skip_signature", S3, Form::Flag, "sign nothing, for public buckets"),
    key("aws_request_payer", S3, Form::Flag, "pay for requests to somebody else's bucket"),
    key("aws_server_side_encryption", S3, Form::Text, "`AES256`, `aws:kms` or `aws:kms:dsse`"),
    key("aws_sse_kms_key_id", S3, Form::Text, "the key for `aws:kms`"),
    key("aws_sse_bucket_key_enabled", S3, Form::Flag, "use the bucket's own key for `aws:kms`"),
    key("aws_role_arn", S3, Form::Text, "the role to take on with a web identity"),
    key("aws_role_session_name", S3, Form::Text, "what that session is called"),
    key("aws_web_identity_token_file", S3, Form::Text, "the file that holds the web identity's token"),
    key("azure_storage_account_name", AZURE, Form::Text, "the storage account"),
    key("azure_storage_account_key", AZURE, Form::Secret, "one of the account's keys"),
    key("azure_storage_sas_token", AZURE, Form::Secret, "a shared access signature"),
    key("azure_storage_token", AZURE, Form::Secret, "a bearer token"),
    key("azure_storage_client_id", AZURE, Form::Text, "the application to sign in as"),
    key("azure_storage_client_secret", AZURE, Form::Secret, "its secret"),
    key("azure_storage_tenant_id", AZURE, Form::Text, "the tenant it belongs to"),
    key("azure_storage_authority_host", AZURE, Form::Text, "where to sign in, for national clouds"),
    key("azure_federated_token_file", AZURE, Form::Text, "the file that holds a workload identity's token"),
    key("azure_storage_endpoint", AZURE, Form::Text, "the server's URL, for clouds that are not Microsoft's"),
    key("azure_use_azure_cli", AZURE, Form::Flag, "sign in as the `az` command does"),
    key("azure_skip_signature", AZURE, Form::Flag, "sign nothing, for public containers"),
    key("google_service_account", GOOGLE, Form::Text, "a file with a service account's key"),
    key("google_service_account_key", GOOGLE, Form::Secret, "a service account's key, as JSON"),
    key("google_application_credentials", GOOGLE, Form::Text, "a file with application credentials"),
    key("google_bearer_token", GOOGLE, Form::Secret, "a bearer token"),
    key("google_base_url", GOOGLE, Form::Text, "the server's URL, for tests"),
    key("google_skip_signature", GOOGLE, Form::Flag, "sign nothing, for public buckets"),
    key("user", WEBDAV, Form::Text, "who to sign in as"),
    key("password", WEBDAV, Form::Secret, "that user's password"),
];

/// What [`larder_sdk::Plugin::destination`] is handed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    #[serde(default)]
    options: Map<String, Value>,
}

/// The options of one store, checked against [`KEYS`].
#[derive(Debug)]
pub(crate) struct Options(Vec<(&'static str, Setting)>);

/// A value. Both forms are texts; one never shows.
#[derive(Debug)]
enum Setting {
    Plain(String),
    Secret(Secret),
}

impl Setting {
    fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// Reads the URL and the options. Asks the host for each secret; may block as long as that takes.
pub(crate) fn parse(json: &str, host: &Host) -> Result<(Location, Options)> {
    let raw: Raw = serde_json::from_str(json)
        .map_err(|error| wrong(format!("the repository's options cannot be read: {error}")))?;
    let location = Location::parse(&raw.url)?;
    let options = raw
        .options
        .into_iter()
        .map(|(name, value)| {
            let key = known(&name, location.scheme, &location)?;
            Ok((key.name, setting(key, value, host)?))
        })
        .collect::<Result<_>>()?;
    Ok((location, Options(options)))
}

/// The keys as the host shows and checks them.
pub(crate) fn schema() -> Schema {
    KEYS.iter().fold(Schema::new(), |schema, key| {
        let takes = match key.form {
            Form::Text => Takes::AnyOf(vec![Takes::Text, Takes::Secret]),
            Form::Flag => Takes::AnyOf(vec![Takes::Bool, Takes::word(&["true", "false"])]),
            Form::Secret => Takes::Secret,
        };
        schema.optional(key.name, takes, key.doc)
    })
}

impl Options {
    /// A key's value. Keep it out of messages: it may be a secret.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All keys with their values. Keep these out of messages: they may be secrets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, setting)| (*name, setting.expose()))
    }

    /// Hides every secret of these options in a text.
    pub(crate) fn mask(&self) -> Mask {
        let secret = |(_, setting): &(&str, Setting)| match setting {
            Setting::Secret(secret) if !secret.expose().is_empty() => Some(secret.clone()),
            _ => None,
        };
        Mask(self.0.iter().filter_map(secret).collect())
    }
}

/// Hides secrets in texts that others wrote: a server's answer, a library's error.
#[derive(Debug, Default)]
pub(crate) struct Mask(Vec<Secret>);

impl Mask {
    /// The text with each secret replaced.
    pub(crate) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
    }
}

fn known(name: &str, scheme: Scheme, location: &Location) -> Result<&'static Key> {
    let for_scheme = || KEYS.iter().filter(|key| key.schemes.contains(&scheme)).map(|key| key.name);
    match KEYS.iter().find(|key| key.name == name) {
        Some(key) if key.schemes.contains(&scheme) => Ok(key),
        Some(_) => {
            Err(wrong(format!("the option `{name}` is not one of {location}, but of another kind of store")))
        }
        None => {
            let error = wrong(format!("the option `{name}` is not known for {location}"));
            Err(match nearest(name, for_scheme()) {
                Some(guess) => error.with_hint(format!("did you mean `{guess}`?")),
                None if for_scheme().next().is_none() => {
                    error.with_hint("this kind of store takes no options")
                }
                None => error.with_hint("`larder plugins info object-store` lists the options"),
            })
        }
    }
}

fn setting(key: &Key, value: Value, host: &Host) -> Result<Setting> {
    match (value, key.form) {
        (Value::Object(table), Form::Text | Form::Secret) => {
            let reference: SecretRef = serde_json::from_value(Value::Object(table)).map_err(|_| {
                wrong(format!("the option `{}` is a table that is no secret", key.name))
                    .with_hint(SECRET_HINT)
            })?;
            let secret = host
                .secret(&reference)
                .map_err(|error| error.context(format!("the option `{}`", key.name)))?;
            Ok(Setting::Secret(secret))
        }
        (_, Form::Secret) => {
            Err(wrong(format!("the option `{}` is a secret and must not stand in the config", key.name))
                .with_hint(SECRET_HINT))
        }
        (Value::String(text), Form::Text) => Ok(Setting::Plain(text)),
        (Value::Number(number), Form::Text) => Ok(Setting::Plain(number.to_string())),
        (Value::Bool(flag), Form::Flag) => Ok(Setting::Plain(flag.to_string())),
        (Value::String(text), Form::Flag) if matches!(&*text, "true" | "false") => Ok(Setting::Plain(text)),
        (_, Form::Text) => Err(wrong(format!("the option `{}` takes a text", key.name))),
        (_, Form::Flag) => Err(wrong(format!("the option `{}` takes `true` or `false`", key.name))),
    }
}

const SECRET_HINT: &str =
    "write { env = \"NAME\" }, { file = \"PATH\" }, { command = \"…\" } or { keyring = \"SERVICE/USER\" }";

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message).with_code("store-options")
}

#[cfg(test)]
mod tests;
