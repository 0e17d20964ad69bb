//! The options a plugin declares, so that the host can check a config file before anything runs.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::value::Level;

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

/// What a key takes. Nested at most [`crate::limits::VALUE_DEPTH_MAX`] deep; decoding refuses more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// The shape on the wire: the same variants in the same order.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wire {
    Text,
    Word(Vec<String>),
    Integer(i64, i64),
    Bool,
    Secret,
    List(Box<Takes>),
    Table(Schema),
    Map,
    AnyOf(Vec<Takes>),
}

impl<'de> Deserialize<'de> for Takes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(_level) = Level::enter() else {
            return Err(D::Error::custom("options are nested too deeply"));
        };
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Text => Takes::Text,
            Wire::Word(words) => Takes::Word(words),
            Wire::Integer(least, most) => Takes::Integer(least, most),
            Wire::Bool => Takes::Bool,
            Wire::Secret => Takes::Secret,
            Wire::List(takes) => Takes::List(takes),
            Wire::Table(schema) => Takes::Table(schema),
            Wire::Map => Takes::Map,
            Wire::AnyOf(takes) => Takes::AnyOf(takes),
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec, limits::VALUE_DEPTH_MAX};

    /// Lists of lists, each a byte: what a plugin says of itself must not use up the stack.
    #[test]
    fn options_nested_too_deeply_are_refused() {
        let nested = |depth: usize| [vec![5; depth], vec![0]].concat();
        assert!(codec::decode_plain::<Takes>(&nested(VALUE_DEPTH_MAX - 1)).is_ok());
        assert!(codec::decode_plain::<Takes>(&nested(VALUE_DEPTH_MAX)).is_err());
        assert!(codec::decode_plain::<Takes>(&nested(1 << 20)).is_err());
    }
}
