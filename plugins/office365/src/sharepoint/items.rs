//! Rows of a list, and the items they become.

use std::sync::Arc;

use bytes::Bytes;
use larder_sdk::{
    Error, ErrorKind, Event, Item, ItemId, Kind, Name, Offer, Result, StreamInfo, Tag, Unread, Value, Word,
    limits::STREAMS_MAX,
};
use serde_json::{Map, Value as Json};

use super::{json, lists::List, paths, sheet::Sheet};
use crate::feed::value_bytes;

/// Rows per page: with joined columns a page may not be much larger, and a few pages are in memory at once.
pub(super) const PAGE_ROWS: usize = 500;
/// Largest single field kept in an item's metadata, in bytes; larger ones are in the content of list items only.
const FIELD_BYTES_MAX: usize = 16 << 10;
/// Most metadata of one item, in bytes.
const META_BYTES_MAX: usize = 128 << 10;

/// The field with the label of a row's version.
pub(super) const LABEL: &str = "OData__UIVersionString";
/// What of a row is kept elsewhere.
const NOT_FIELDS: [&str; 2] = ["AttachmentFiles", "HasUniqueRoleAssignments"];
/// Fields of a list item kept in its metadata; all of them are in its content.
const ITEM_META: [&str; 8] =
    ["ID", "Title", "ContentTypeId", "Created", "AuthorId", "EditorId", LABEL, "FileRef"];

/// What an item's streams are read from.
#[derive(Debug)]
pub(super) struct Carry {
    pub(super) of: Of,
    /// Where its permissions are asked for, below `_api/`.
    pub(super) address: String,
    /// Documents that were made for the offer.
    pub(super) sheets: Vec<Sheet>,
}

/// What an item is.
#[derive(Debug)]
pub(super) enum Of {
    Folder,
    File(FileRef),
    ListItem {
        /// All fields as JSON.
        content: Bytes,
        /// Server-relative paths, in the order of the streams after `content`.
        attachments: Vec<String>,
    },
    List(Box<List>),
    /// Something of the site itself, as it was read.
    Settings(Bytes),
}

/// What is read of a row beside what stands in it.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Streams that come after the row's own.
    pub(super) streams: Vec<StreamInfo>,
    pub(super) sheets: Vec<Sheet>,
    /// What of it could not be read.
    pub(super) failed: Option<Error>,
}

/// What is needed to read a file.
#[derive(Clone, Debug)]
pub(super) struct FileRef {
    pub(super) unique_id: String,
    pub(super) name: String,
    /// Its length as listed; unknown for some kinds of files.
    pub(super) length: Option<u64>,
    /// True if rights are managed: then the bytes differ each time it is read.
    pub(super) protected: bool,
}

/// One row of a list.
#[derive(Debug)]
pub(super) struct Row {
    fields: Map<String, Json>,
}

/// The query that asks for a list's rows; with `texts`, for the fields as people read them too: names of people, titles of what is looked up,
/// labels of terms.
pub(super) fn query(list: &List, texts: bool) -> String {
    let common = "$select=*,ID,FileRef,FileLeafRef,FileDirRef,FSObjType,UniqueId,ContentTypeId,OData__UIVersionString,\
        HasUniqueRoleAssignments";
    let (texts, expand) = if texts { (",FieldValuesAsText", "FieldValuesAsText") } else { ("", "") };
    if list.library {
        format!(
            "{common},File/Length,File/ETag,File/ContentTag,File/TimeLastModified,File/UIVersionLabel,File/IrmEnabled,\
             File/CheckOutType,File/Level,Folder/ProgID&$expand=File,Folder"
        )
    } else if list.has_attachments() {
        let comma = if expand.is_empty() { "" } else { "," };
        format!("{common},Attachments,AttachmentFiles{texts}&$expand=AttachmentFiles{comma}{expand}")
    } else if expand.is_empty() {
        common.to_owned()
    } else {
        format!("{common}{texts}&$expand={expand}")
    }
}

impl Row {
    /// A row as it came.
    pub(super) fn new(row: Json) -> Result<Self> {
        match row {
            Json::Object(fields) if json_number(&fields, "ID").is_some() => Ok(Self { fields }),
            _ => Err(Error::new(ErrorKind::CorruptItem, "a row of a list has no ID")),
        }
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Json::as_str).unwrap_or_default()
    }

    /// Its number in its list.
    pub(super) fn number(&self) -> i64 {
        json_number(&self.fields, "ID").unwrap_or_default()
    }

    pub(super) fn is_folder(&self) -> bool {
        json_number(&self.fields, "FSObjType").or_else(|| json_number(&self.fields, "FileSystemObjectType"))
            == Some(1)
    }

    /// Its server-relative path.
    pub(super) fn path(&self) -> &str {
        self.text("FileRef")
    }

    /// The path of the folder it is in.
    pub(super) fn folder_path(&self) -> &str {
        self.text("FileDirRef")
    }

    /// Its GUID, in lower case.
    pub(super) fn unique_id(&self) -> Option<String> {
        paths::guid(self.text("UniqueId"))
    }

    /// True if it has permissions of its own.
    pub(super) fn is_unique(&self) -> bool {
        self.fields.get("HasUniqueRoleAssignments").and_then(Json::as_bool).unwrap_or(false)
    }

    /// The label of its version.
    pub(super) fn label(&self) -> &str {
        self.text(LABEL)
    }

    /// The file that it is, if it is one that shows itself, with the tag of its content.
    pub(super) fn file(&self, list: &List) -> Option<(FileRef, Tag)> {
        let file =
            self.fields.get("File").filter(|file| list.library && !self.is_folder() && file.is_object())?;
        let length = json::number(file, "Length").and_then(|length| u64::try_from(length).ok());
        let tag = file_tag(json::text(file, "ContentTag"), json::text(file, "ETag"), length);
        let name = paths::leaf(self.path()).to_owned();
        // What is told of a protected file is not what comes.
        let protected = json::flag(file, "IrmEnabled");
        let length = length.filter(|_| !protected);
        Some((FileRef { unique_id: self.unique_id()?, name, length, protected }, tag))
    }

    /// Its item id: the GUID of files and folders, list and number of list items, which have no other address.
    pub(super) fn id(&self, list: &List) -> ItemId {
        match self.unique_id() {
            Some(unique_id) if list.library || self.is_folder() => ItemId::from(unique_id),
            _ => list_item_id(&list.id, self.number()),
        }
    }

    fn name(&self, list: &List) -> Name {
        let leaf = match self.text("FileLeafRef") {
            "" => paths::leaf(self.path()),
            leaf => leaf,
        };
        match (leaf, list.library || self.is_folder()) {
            ("", _) => Name::from(format!("{}.json", self.number())),
            (leaf, true) => Name::from(leaf),
            (leaf, false) => Name::from(format!("{leaf}.json")),
        }
    }

    /// What is said of the row: an offer, and what of it cannot be read.
    pub(super) fn events(self, list: &List, parent: ItemId, extras: Extras) -> Vec<Event> {
        let (id, name) = (self.id(list), self.name(list));
        let (owed, held_by) = (id.clone(), parent.clone());
        let unread =
            |error| Event::Unread(Unread { scope: list.scope(), id: owed, parent: held_by, name, error });
        let made = if self.is_folder() {
            Ok((self.item(list, id, parent, Kind::FOLDER, Tag::from("folder"), Vec::new()), Of::Folder))
        } else if list.library {
            self.file_item(list, id, parent)
        } else {
            Ok(self.list_item(list, id, parent))
        };
        let Extras { streams, sheets, failed } = extras;
        match made {
            Ok((mut item, of)) => {
                item.streams.extend(streams);
                let address = format!("{}/items({})", list.address(), self.number());
                let carry = Arc::new(Carry { of, address, sheets }) as _;
                let offer = Event::Offer(Offer { scope: list.scope(), item, carry: Some(carry) });
                std::iter::once(offer).chain(failed.map(unread)).collect()
            }
            Err(error) => vec![unread(error)],
        }
    }

    fn item(
        &self,
        list: &List,
        id: ItemId,
        parent: ItemId,
        kind: Kind,
        tag: Tag,
        streams: Vec<StreamInfo>,
    ) -> Item {
        let folder = kind == Kind::FOLDER;
        let modified = self
            .fields
            .get("Modified")
            .and_then(|_| json::time(&Json::Object(self.fields.clone()), "Modified"));
        let all = list.library || folder;
        Item {
            id,
            parent,
            name: self.name(list),
            kind,
            folder,
            tag,
            modified,
            posix: None,
            meta: self.meta(all),
            streams,
        }
    }

    /// The fields as metadata: all that are not too large, or those that every list item has.
    fn meta(&self, all: bool) -> Vec<(Word, Value)> {
        let mut left = META_BYTES_MAX;
        let noted = self.noted();
        json::plain(&self.fields)
            .filter(|(name, _)| !matches!(name.as_str(), "File" | "Folder" | "FieldValuesAsText"))
            .filter(|(name, _)| !NOT_FIELDS.contains(&name.as_str()))
            .filter(|(name, value)| if all { !value.is_null() } else { ITEM_META.contains(&name.as_str()) })
            .map(|(name, value)| (Word::from(name), json::value(value)))
            .filter(|(name, value)| {
                let bytes = name.len() + value_bytes(value);
                let fits = bytes <= FIELD_BYTES_MAX && bytes <= left;
                left -= if fits { bytes } else { 0 };
                fits
            })
            .chain(noted)
            .collect()
    }

    /// What is out of the ordinary: managed rights, a draft, a file that is checked out, a folder that is a notebook.
    fn noted(&self) -> Vec<(Word, Value)> {
        const PUBLISHED: i64 = 1;
        const NOT_CHECKED_OUT: i64 = 2;
        let of = |part: &str, name: &str| self.fields.get(part).and_then(|part| part.get(name));
        let number = |name: &str| of("File", name).and_then(Json::as_i64);
        let noted = [
            (
                "IrmEnabled",
                of("File", "IrmEnabled").filter(|flag| flag.as_bool() == Some(true)).map(json::value),
            ),
            ("Level", number("Level").filter(|level| *level != PUBLISHED).map(Value::Int)),
            ("CheckOutType", number("CheckOutType").filter(|kind| *kind != NOT_CHECKED_OUT).map(Value::Int)),
            ("ProgID", of("Folder", "ProgID").filter(|id| !id.is_null()).map(json::value)),
        ];
        noted.into_iter().filter_map(|(name, value)| Some((Word::from(name), value?))).collect()
    }

    fn file_item(&self, list: &List, id: ItemId, parent: ItemId) -> Result<(Item, Of)> {
        if self.unique_id().is_none() {
            let text = format!("{}: the file has no unique id", self.path());
            return Err(Error::new(ErrorKind::CorruptItem, text));
        }
        let (file, tag) = self.file(list).ok_or_else(|| {
            Error::new(
                ErrorKind::Denied,
                format!("{}: its content is not shown to this pool's accounts", self.path()),
            )
            .with_code("file-hidden")
        })?;
        let streams = vec![StreamInfo::content(media(&file.name), file.length)];
        Ok((self.item(list, id, parent, Kind::FILE, tag, streams), Of::File(file)))
    }

    fn list_item(&self, list: &List, id: ItemId, parent: ItemId) -> (Item, Of) {
        let content = self.content();
        let mut streams = vec![StreamInfo::content("application/json", Some(content.len() as u64))];
        let mut attachments = Vec::new();
        let row = Json::Object(self.fields.clone());
        for attachment in json::members(&row, "AttachmentFiles").iter().take(STREAMS_MAX - 2) {
            let name = format!("attachment/{}", json::text(attachment, "FileName"));
            let path = attachment
                .get("ServerRelativePath")
                .map(|path| json::text(path, "DecodedUrl"))
                .unwrap_or_default();
            let path = if path.is_empty() { json::text(attachment, "ServerRelativeUrl") } else { path };
            // Names are unique within an item whatever their case; a second one could only be a mistake of the service.
            if !path.is_empty() && !streams.iter().any(|stream| stream.name == name) {
                streams.push(StreamInfo { name: name.into(), media: Word::EMPTY, size: None });
                attachments.push(path.to_owned());
            }
        }
        let etag = self.fields.get("odata.etag").and_then(Json::as_str).unwrap_or_default();
        let tag = Tag::from(format!("{}|{}", normal_etag(etag), self.text("Modified")));
        let item = self.item(list, id, parent, Kind::LIST_ITEM, tag, streams);
        (item, Of::ListItem { content, attachments })
    }

    /// All fields as JSON, in the order of their names.
    fn content(&self) -> Bytes {
        let kept: Map<String, Json> = json::plain(&self.fields)
            .filter(|(name, value)| !NOT_FIELDS.contains(&name.as_str()) && !is_deferred(value))
            .map(|(name, value)| (name.clone(), json::bare(value)))
            .collect();
        // A map of JSON values always serialises.
        serde_json::to_vec_pretty(&Json::Object(kept)).unwrap_or_default().into()
    }
}

/// The item id of a list item.
pub(super) fn list_item_id(list: &str, number: i64) -> ItemId {
    ItemId::from(format!("{list}/{number}"))
}

/// The number in a list item's id; `None` for a file or folder.
pub(super) fn list_item_number(id: &ItemId) -> Option<i64> {
    std::str::from_utf8(id.as_bytes()).ok()?.split_once('/')?.1.parse().ok()
}

fn json_number(fields: &Map<String, Json>, name: &str) -> Option<i64> {
    match fields.get(name)? {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn is_deferred(value: &Json) -> bool {
    value.get("__deferred").is_some()
}

/// The tag of a file's content. `{GUID},n,m`: n counts contents, so a change of metadata alone keeps the tag where the service
/// tells; else the ETag, which moves with everything.
fn file_tag(content_tag: &str, etag: &str, length: Option<u64>) -> Tag {
    let length = length.map_or_else(String::new, |length| length.to_string());
    let mut parts = content_tag.split(',');
    match (parts.next(), parts.next()) {
        (Some(id), Some(count)) if !count.is_empty() => Tag::from(format!("c{id},{count}|{length}")),
        _ if !etag.is_empty() => Tag::from(format!("e{}|{length}", normal_etag(etag))),
        // An empty tag equals no other: such a file is read each time.
        _ => Tag::default(),
    }
}

/// An ETag without what differs between forms of the same: quotes, braces, weakness, case.
fn normal_etag(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').replace(['{', '}'], "").to_ascii_lowercase()
}

/// The media type of what is worth knowing: mail is cut at its parts.
pub(super) fn media(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("eml") => "message/rfc822",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
