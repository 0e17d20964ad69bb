//! Names of objects in the store.

use larder_sdk::{ObjectKey, Result};

use crate::{crypto::ObjectKind, hash::ObjectName, index::BlobKind};

/// The folder of key slots.
pub const KEYS: &str = "keys";
/// The folder of snapshots.
pub const SNAPSHOTS: &str = "snapshots";
/// The folder of removal records.
pub const REMOVED: &str = "removed";
/// The folder of sessions.
pub const SESSIONS: &str = "live/sessions";
/// The folder of prunes' sessions that have ended, or may no longer go on.
pub const ENDED: &str = "live/ended";
/// The folder of marks.
pub const MARKS: &str = "live/marks";
/// The folder of checkpoints.
pub const CHECKPOINTS: &str = "live/checkpoints";

/// The config and its copy.
pub fn config_keys() -> Result<[ObjectKey; 2]> {
    Ok([ObjectKey::new("config")?, ObjectKey::new("config.copy")?])
}

/// A key slot and its copy.
pub fn slot_keys(id: ObjectName) -> Result<[ObjectKey; 2]> {
    Ok([ObjectKey::new(format!("{KEYS}/{id}"))?, ObjectKey::new(format!("{KEYS}/{id}.copy"))?])
}

/// A pack.
pub fn pack_key(kind: BlobKind, name: ObjectName) -> Result<ObjectKey> {
    ObjectKey::new(format!("{}/{:02x}/{name}", pack_folder(kind), name.0[0]))
}

/// The folder of packs of a kind.
pub fn pack_folder(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Data => "data",
        BlobKind::Tree => "trees",
    }
}

/// The folder of index segments of a kind.
pub fn index_folder(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Data => "index/data",
        BlobKind::Tree => "index/trees",
    }
}

/// What a pack of this kind is.
pub fn pack_kind(kind: BlobKind) -> ObjectKind {
    match kind {
        BlobKind::Data => ObjectKind::DataPack,
        BlobKind::Tree => ObjectKind::TreePack,
    }
}

/// What an index segment of this kind is.
pub fn index_kind(kind: BlobKind) -> ObjectKind {
    match kind {
        BlobKind::Data => ObjectKind::DataIndex,
        BlobKind::Tree => ObjectKind::TreeIndex,
    }
}

/// An object of this name in a folder.
pub fn in_folder(folder: &str, name: ObjectName) -> Result<ObjectKey> {
    ObjectKey::new(format!("{folder}/{name}"))
}

/// The object name at the end of a key; `None` for what is not ours.
pub fn name_of(key: &ObjectKey) -> Option<ObjectName> {
    ObjectName::parse(key.as_str().rsplit('/').next()?)
}
