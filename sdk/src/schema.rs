//! The options a plugin declares, so that the host can check a config file before anything runs.

use serde::{Deserialize, Serialize};

/// The keys of one table of options. Keys not listed are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The keys, in the order shown to people.
    pub keys: Vec<Key>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What it takes.
    pub takes: Takes,
    /// True if it must be there.
    pub required: bool,
    /// One line for people.
    pub doc: String,
}

/// What a key takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Takes {
    /// Any text.
    Text,
    /// One of these words.
    Word(Vec<String>),
    /// A whole number in a range, both ends included.
    Integer(i64, i64),
    /// True or false.
    Bool,
    /// A secret: a table with one of `env`, `file`, `command`, `keyring`. See [`crate::SecretRef`].
    Secret,
    /// An array of these.
    List(Box<Takes>),
    /// A table with these keys.
    Table(Schema),
    /// A table with free keys and text values.
    Map,
    /// Any one of these.
    AnyOf(Vec<Takes>),
}

impl Schema {
    /// A table without keys.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a key that may be left out.
    #[must_use]
    pub fn optional(mut self, name: &str, takes: Takes, doc: &str) -> Self {
        self.keys.push(Key { name: name.to_owned(), takes, required: false, doc: doc.to_owned() });
        self
    }
    /// Adds a key that must be there.
    #[must_use]
    pub fn required(mut self, name: &str, takes: Takes, doc: &str) -> Self {
        self.keys.push(Key { name: name.to_owned(), takes, required: true, doc: doc.to_owned() });
        self
    }
}

impl Takes {
    /// One of these words.
    pub fn word(words: &[&str]) -> Self {
        Self::Word(words.iter().map(|word| (*word).to_owned()).collect())
    }
    /// An array of texts.
    pub fn texts() -> Self {
        Self::List(Box::new(Self::Text))
    }
}
