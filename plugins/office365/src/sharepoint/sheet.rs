//! Documents made here of what the service tells: settings, permissions. Each is a stream with a tag of its own, so that an unchanged one
//! is not stored again.

use bytes::Bytes;
use larder_sdk::{Item, StreamInfo, Word};
use serde_json::Value as Json;

use super::json;

/// The stream of a thing's own permissions.
pub(super) const PERMISSIONS: &str = "permissions.json";
/// The stream of what a list is like.
pub(super) const SCHEMA: &str = "schema.json";

/// One document.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    pub(super) info: StreamInfo,
    pub(super) bytes: Bytes,
}

impl Sheet {
    /// A document of what the service told, less what belongs to its protocol.
    pub(super) fn new(name: &'static str, told: &Json) -> Self {
        // A JSON value always serialises.
        let bytes: Bytes = serde_json::to_vec_pretty(&json::bare(told)).unwrap_or_default().into();
        let hash = blake3::hash(&bytes).to_hex();
        let media = format!("application/json; etag={}", &hash[..32]);
        let info = StreamInfo { name: Word::from(name), media: media.into(), size: Some(bytes.len() as u64) };
        Self { info, bytes }
    }
}

/// The stream of this name that an item had.
pub(super) fn stream_of(known: Option<&Item>, name: &str) -> Option<StreamInfo> {
    known?.streams.iter().find(|stream| stream.name == name).cloned()
}
