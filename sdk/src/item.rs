//! The model: containers, items, their streams, and what a reader says about them.

use std::{any::Any, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Error, Time, Value, Word, bytestring::byte_string};

byte_string!(
    /// A container's id: stable for as long as the mailbox, site or root exists, whatever it is called.
    ContainerId, 1024);
byte_string!(
    /// An item's id: stable within its container across renames and, where the server allows, moves. Empty is the container's root.
    ItemId, 4096);
byte_string!(
    /// An item's name as the source has it: UTF-8 where the source knows text, bytes otherwise. Without `/` and zero bytes; not `.` or `..`.
    Name, 4096);
byte_string!(
    /// A version tag: as long as it is equal, the item's streams are the same.
    Tag, 1024);
byte_string!(
    /// A scope: a part of a container with a cursor of its own.
    ScopeId, 4096);
byte_string!(
    /// A cursor: what a source needs to go on from where it was. Opaque to the engine.
    Cursor, 4 << 20);

/// What an item is. Sources may use words of their own; the constants are those that the engine and its tools know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind(Word);

impl Kind {
    /// A folder of any sort.
    pub const FOLDER: Kind = Kind::known("folder");
    /// A file.
    pub const FILE: Kind = Kind::known("file");
    /// A symbolic link; its target is in [`Posix::target`].
    pub const SYMLINK: Kind = Kind::known("symlink");
    /// A device, pipe or socket; which one is in [`Posix::mode`].
    pub const SPECIAL: Kind = Kind::known("special");
    /// A list of a site.
    pub const LIST: Kind = Kind::known("list");
    /// A document library of a site.
    pub const LIBRARY: Kind = Kind::known("library");
    /// An item of a list.
    pub const LIST_ITEM: Kind = Kind::known("list_item");
    /// A mail message.
    pub const MESSAGE: Kind = Kind::known("message");
    /// A calendar entry.
    pub const EVENT: Kind = Kind::known("event");
    /// A contact.
    pub const CONTACT: Kind = Kind::known("contact");
    /// A task.
    pub const TASK: Kind = Kind::known("task");
    /// A note.
    pub const NOTE: Kind = Kind::known("note");

    const fn known(word: &'static str) -> Self {
        Self(Word::known(word))
    }
    /// A kind by its word: lower case, digits and `_`.
    pub fn new(word: impl Into<Word>) -> Self {
        Self(word.into())
    }
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The unit a source splits itself into: one mailbox, one site, one directory root.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Stable id.
    pub id: ContainerId,
    /// Where its items appear in a snapshot, part by part: `["exchange", "ann@contoso.com"]`.
    pub path: Vec<Name>,
    /// What it is: `mailbox`, `site`, `directory`.
    pub kind: Kind,
    /// What people call it.
    pub title: String,
    /// True if an item's id is its path below the root with `/` as byte 0, and full listings come in ascending order of
    /// (parent, id). The engine then keeps no separate map from ids to parents.
    pub path_ids: bool,
    /// Anything else worth keeping.
    pub meta: Vec<(Word, Value)>,
}

/// One thing in a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Stable id; never empty.
    pub id: ItemId,
    /// The id of the folder that holds it; empty for the container's root.
    pub parent: ItemId,
    /// Its name in that folder. For items restored as files, with the extension that tells the format (`.eml`, `.json`).
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// True if it may hold other items.
    pub folder: bool,
    /// Equal tags mean equal streams; an empty tag never equals another.
    pub tag: Tag,
    /// When it was last changed.
    pub modified: Option<Time>,
    /// What a POSIX file system knows of it.
    pub posix: Option<Posix>,
    /// Its properties, in a stable order.
    pub meta: Vec<(Word, Value)>,
    /// Its streams: `content`, `attachment/NAME`, `version/3.0` … Names are unique within the item.
    pub streams: Vec<StreamInfo>,
}

/// What a POSIX file system knows of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posix {
    /// Type and permission bits as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device and inode, only if the file has several names: items with the same pair are one file.
    pub link: Option<(u64, u64)>,
    /// Device number of a device file, else 0.
    pub rdev: u64,
    /// True if the file takes less room than its length: runs of zeros are written as holes.
    pub sparse: bool,
    /// A symbolic link's target, else empty.
    pub target: Vec<u8>,
}

/// One stream of an item, as offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// `content`, `attachment/NAME`, `version/3.0` …
    pub name: Word,
    /// Its media type; empty if unknown. `message/rfc822` is cut at part borders. A parameter `etag` gives the stream a version tag of its
    /// own, see [`StreamInfo::has_own_tag`].
    pub media: Word,
    /// Its length in bytes, if known beforehand. A hint: what counts is what is read.
    pub size: Option<u64>,
}

impl StreamInfo {
    /// The name of an item's main stream.
    pub const CONTENT: &'static str = "content";

    /// The main stream, with a media type and a length if known.
    pub fn content(media: impl Into<Word>, size: Option<u64>) -> Self {
        Self { name: Word::known(Self::CONTENT), media: media.into(), size }
    }

    /// True if its media type has the parameter `etag`: `application/octet-stream; etag=3.0-17`. Such a stream stands for itself: a stored
    /// one of this name and media type is the same, whatever the item's tag, and one that cannot be read leaves the item's others as they are.
    pub fn has_own_tag(&self) -> bool {
        self.media.split(';').skip(1).any(|parameter| parameter.trim_start().starts_with("etag="))
    }
}

/// One item as a reader offers it, with whatever the reader wants back when a stream of it is opened.
#[derive(Clone)]
pub struct Offer {
    /// The scope it was listed in.
    pub scope: ScopeId,
    /// The item.
    pub item: Item,
    /// The plugin's own, kept on its side of the boundary until the offer is answered and read.
    pub carry: Option<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("scope", &self.scope).field("item", &self.item).finish_non_exhaustive()
    }
}

/// An item that was reported but could not be read.
#[derive(Debug)]
pub struct Unread {
    /// The scope it was listed in.
    pub scope: ScopeId,
    /// Its id.
    pub id: ItemId,
    /// Its parent, if known.
    pub parent: ItemId,
    /// Its name, if known.
    pub name: Name,
    /// Why it could not be read.
    pub error: Error,
}

/// What a reader says, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// An item that is there: new, changed, moved, or simply listed.
    Offer(Offer),
    /// An item that is gone. Unknown ids are ignored.
    Deleted(ItemId),
    /// An item that is there but cannot be read now: the engine keeps its last good state and owes it.
    Unread(Unread),
    /// An item left out for good, by rule: recorded in the report with its cause, never owed.
    Skipped {
        /// Its id.
        id: ItemId,
        /// Its name.
        name: Name,
        /// The named cause: `infected`, `locked`, `excluded` …
        cause: String,
    },
    /// A full listing of a scope begins.
    Begin(ScopeId),
    /// The full listing is complete: what was in the scope and was not listed since [`Event::Begin`] is gone.
    End(ScopeId),
    /// Everything said about this scope so far is covered by this cursor.
    Settled(ScopeId, Cursor),
    /// The scope is gone with all that was in it.
    ScopeGone(ScopeId),
    /// What was known by one id when this reading began goes by another now, its streams unchanged: for services that number an item anew
    /// when it is moved. Said before the item is offered under its new id; that the old one is gone is still to be said. A hint: without
    /// it, or where the engine cannot follow it, the streams are read again.
    Moved {
        /// The id it had.
        was: ItemId,
        /// The id it has.
        id: ItemId,
        /// The version tag it is offered with.
        tag: Tag,
    },
}
