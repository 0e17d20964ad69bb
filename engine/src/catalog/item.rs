//! An item as it stands in a container's tree.

use larder_sdk::{
    Item, ItemId, Kind, Name, Posix, ScopeId, StreamInfo, Tag, Time, Value, Word, codec::Record,
};
use serde::{Deserialize, Serialize};

use crate::hash::{BlobId, Digest};

/// What is kept of an item; id and parent stand in its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemRecord {
    /// Its name in its folder.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// True if it may hold other items.
    pub folder: bool,
    /// The scope it was listed in; `None` if that is the scope called like its parent.
    pub scope: Option<ScopeId>,
    /// Its version tag when its streams were read.
    pub tag: Tag,
    /// When it was last changed.
    pub modified: Option<Time>,
    /// What a POSIX file system knows of it.
    pub posix: Option<Posix>,
    /// Its properties.
    pub meta: Vec<(Word, Value)>,
    /// Its streams.
    pub streams: Vec<StreamRecord>,
}

impl Record for ItemRecord {
    const KIND: u16 = 30;
    const VERSION: u16 = 1;
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// `content`, `attachment/NAME` …
    pub name: Word,
    /// Its media type; empty if unknown.
    pub media: Word,
    /// Its length in bytes.
    pub bytes: u64,
    /// The BLAKE3 of its bytes.
    pub digest: Digest,
    /// Where its bytes are.
    pub content: Content,
}

/// Where a stream's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// There are none.
    Empty,
    /// In one chunk, whose id follows from the stream's digest.
    One,
    /// In the chunks of a list: at depth 0 `ids` are chunks, deeper they are blobs of ids one level below.
    List {
        /// Levels of blobs between `ids` and the chunks.
        depth: u8,
        /// The ids.
        ids: Vec<BlobId>,
    },
}

impl ItemRecord {
    /// What is to be kept of an item, with streams already stored.
    pub fn new(item: Item, scope: ScopeId, streams: Vec<StreamRecord>) -> Self {
        let scope = (scope.as_bytes() != item.parent.as_bytes()).then_some(scope);
        Self {
            name: item.name,
            kind: item.kind,
            folder: item.folder,
            scope,
            tag: item.tag,
            modified: item.modified,
            posix: item.posix,
            meta: item.meta,
            streams,
        }
    }

    /// The scope it was listed in.
    pub fn scope(&self, parent: &ItemId) -> ScopeId {
        self.scope.clone().unwrap_or_else(|| ScopeId::new(parent.as_bytes()))
    }

    /// True if the streams stored are those of the item as offered now.
    pub fn has_streams_of(&self, item: &Item) -> bool {
        self.tag == item.tag
            && (!item.tag.is_empty() || item.streams.is_empty())
            && self.streams.len() == item.streams.len()
            && self.streams.iter().zip(&item.streams).all(|(stored, offered)| stored.name == offered.name)
    }

    /// The item as a source knows it.
    pub fn to_item(&self, parent: ItemId, id: ItemId) -> Item {
        let stream = |stream: &StreamRecord| StreamInfo {
            name: stream.name.clone(),
            media: stream.media.clone(),
            size: Some(stream.bytes),
        };
        Item {
            id,
            parent,
            name: self.name.clone(),
            kind: self.kind.clone(),
            folder: self.folder,
            tag: self.tag.clone(),
            modified: self.modified,
            posix: self.posix.clone(),
            meta: self.meta.clone(),
            streams: self.streams.iter().map(stream).collect(),
        }
    }

    /// The bytes of all streams together.
    pub fn bytes(&self) -> u64 {
        self.streams.iter().map(|stream| stream.bytes).sum()
    }
}
