//! An item as it stands in a container's tree.

use std::collections::HashMap;

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

    /// Those of the streams offered now that are stored already, in the order offered.
    pub fn streams_of(&self, item: &Item) -> Vec<StreamRecord> {
        let same_tag = self.tag == item.tag && !item.tag.is_empty();
        if same_tag
            && self.streams.len() == item.streams.len()
            && self.streams.iter().zip(&item.streams).all(is_same)
        {
            return self.streams.clone();
        }
        let stored: HashMap<&str, &StreamRecord> =
            self.streams.iter().map(|stream| (stream.name.as_str(), stream)).collect();
        let found =
            item.streams.iter().filter_map(|offered| Some((*stored.get(offered.name.as_str())?, offered)));
        let stands = found.filter(|pair| is_same(*pair) && (same_tag || pair.1.has_own_tag()));
        stands.map(|(stored, _)| stored.clone()).collect()
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

/// Whether a stream stored is the one offered, as far as the two alone tell: one with a tag of its own must have the same one.
fn is_same((stored, offered): (&StreamRecord, &StreamInfo)) -> bool {
    stored.name == offered.name && (!offered.has_own_tag() || stored.media == offered.media)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(tag: &str, streams: &[(&str, &str)]) -> Item {
        let stream = |(name, media): &(&str, &str)| StreamInfo {
            name: Word::from(*name),
            media: Word::from(*media),
            size: None,
        };
        Item {
            id: "id".into(),
            parent: "parent".into(),
            name: "name".into(),
            kind: Kind::FILE,
            folder: false,
            tag: Tag::from(tag),
            modified: None,
            posix: None,
            meta: Vec::new(),
            streams: streams.iter().map(stream).collect(),
        }
    }

    fn stored(item: &Item) -> ItemRecord {
        let record = |stream: &StreamInfo| StreamRecord {
            name: stream.name.clone(),
            media: stream.media.clone(),
            bytes: 0,
            digest: Digest([0; 32]),
            content: Content::Empty,
        };
        ItemRecord::new(item.clone(), ScopeId::from("scope"), item.streams.iter().map(record).collect())
    }

    fn kept(record: &ItemRecord, item: &Item) -> Vec<String> {
        record.streams_of(item).iter().map(|stream| stream.name.to_string()).collect()
    }

    #[test]
    fn a_stream_with_a_tag_of_its_own_stands_for_itself() {
        let before = [("content", ""), ("version/1.0", "x/y; etag=1"), ("version/2.0", "x/y; etag=2")];
        let record = stored(&offered("a", &before));
        assert_eq!(kept(&record, &offered("a", &before)).len(), 3);
        let after = [("content", ""), ("version/2.0", "x/y; etag=2"), ("version/3.0", "x/y; etag=3")];
        assert_eq!(kept(&record, &offered("b", &after)), ["version/2.0"]);
        assert_eq!(kept(&record, &offered("a", &after)), ["content", "version/2.0"]);
        assert_eq!(
            kept(&record, &offered("a", &[("content", ""), ("version/1.0", "x/y; etag=9")])),
            ["content"]
        );
    }

    #[test]
    fn without_one_it_goes_with_its_item() {
        let record = stored(&offered("a", &[("content", ""), ("attachment/x", "")]));
        assert_eq!(
            kept(&record, &offered("a", &[("content", "text/plain"), ("attachment/y", "")])),
            ["content"]
        );
        assert!(kept(&record, &offered("b", &[("content", "")])).is_empty());
        let untagged = stored(&offered("", &[("content", "")]));
        assert!(kept(&untagged, &offered("", &[("content", "")])).is_empty(), "no tag is like no other");
    }
}
