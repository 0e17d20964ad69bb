//! Secrets: where one is found, and its value, which never shows.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where a secret is found: exactly one of the four. The value itself never stands in a config file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// The first line of a file.
    File(String),
    /// The first line that a command prints; run without a shell, split at white space.
    Command(String),
    /// `SERVICE/USER` in the system's keyring.
    Keyring(String),
}

/// A secret's value: wiped after use, masked wherever it would be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }
    /// The value. Keep it out of messages, logs and stored bytes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}
