//! Short texts that occur in every item: kinds, property names, stream names, media types.

use std::{borrow::Borrow, fmt, ops::Deref};

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

/// A text that is mostly short: up to 24 bytes stand in it without an allocation, more are kept as a `String` would. An item has
/// many, and crosses the boundary with all of them.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(CompactString);

impl Word {
    /// No text.
    pub const EMPTY: Self = Self::known("");

    pub(crate) const fn known(word: &'static str) -> Self {
        Self(CompactString::const_new(word))
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Word {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&String> for Word {
    fn from(text: &String) -> Self {
        Self(text.into())
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0.into_string()
    }
}

impl PartialEq<str> for Word {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Word {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for Word {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

// By hand: encoded as a `String` is, and decoded from borrowed text without making one first.
impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Word, E> {
                Ok(text.into())
            }
            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Word, E> {
                Ok(text.into())
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn short_and_long_words_are_encoded_as_strings_are() {
        for text in
            ["", "content", "exactly twenty-four bytes", "a word that is far too long to stand inline: ä"]
        {
            let bytes = codec::encode_plain(&Word::from(text)).unwrap();
            assert_eq!(bytes, codec::encode_plain(&text.to_owned()).unwrap());
            assert_eq!(codec::decode_plain::<Word>(&bytes).unwrap(), text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let bytes = codec::encode_plain(&vec![0xff_u8, 0xfe]).unwrap();
        assert!(codec::decode_plain::<Word>(&bytes).is_err());
    }
}
