//! Newtypes over byte strings, encoded as one run of bytes instead of a sequence of numbers, and kept inline while they are short.

use smallvec::SmallVec;

/// Bytes that stand inline: a GUID as text, and most names and tags.
const INLINE_BYTES: usize = 40;

pub(crate) type Inline = SmallVec<[u8; INLINE_BYTES]>;

/// Defines a newtype over bytes with a length limit that decoding enforces.
macro_rules! byte_string {
    ($(#[$doc:meta])* $name:ident, $bytes_max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($crate::bytestring::Inline);

        impl $name {
            /// Longest value that crosses the boundary, in bytes.
            pub const BYTES_MAX: usize = $bytes_max;

            /// Wraps bytes as they are; the length is checked where they cross a boundary.
            pub fn new(bytes: impl AsRef<[u8]>) -> Self {
                Self($crate::bytestring::Inline::from_slice(bytes.as_ref()))
            }
            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
            /// Takes the bytes out.
            pub fn into_bytes(self) -> Vec<u8> {
                self.0.into_vec()
            }
            /// True if there are no bytes.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
            /// True if the value is no longer than [`Self::BYTES_MAX`].
            pub fn fits(&self) -> bool {
                self.0.len() <= Self::BYTES_MAX
            }
            /// For people: UTF-8 as it is, everything else replaced.
            pub fn display(&self) -> std::borrow::Cow<'_, str> {
                String::from_utf8_lossy(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.display())
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self($crate::bytestring::Inline::from_slice(text.as_bytes()))
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into_bytes().into())
            }
        }
        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                Self(bytes.into())
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes($crate::bytestring::BytesVisitor { max: $bytes_max }).map(Self)
            }
        }
    };
}
pub(crate) use byte_string;

/// Reads one run of bytes of at most `max`.
pub(crate) struct BytesVisitor {
    pub(crate) max: usize,
}

impl BytesVisitor {
    fn check<E: serde::de::Error>(&self, length: usize) -> Result<(), E> {
        if length > self.max {
            return Err(E::custom(format_args!("{length} bytes where at most {} are allowed", self.max)));
        }
        Ok(())
    }
}

impl serde::de::Visitor<'_> for BytesVisitor {
    type Value = Inline;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at most {} bytes", self.max)
    }
    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Inline, E> {
        self.check(bytes.len())?;
        Ok(Inline::from_slice(bytes))
    }
    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Inline, E> {
        self.check(bytes.len())?;
        Ok(bytes.into())
    }
}
