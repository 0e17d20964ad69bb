//! One item of a list: a file, a folder or a plain list item.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Acl, Guid};
use crate::clock::UnixMillis;
use crate::content::FileBody;

/// What an item is.
#[derive(Clone, Debug)]
pub(crate) enum ItemKind {
    File(FileBody),
    Folder,
    Entry,
}

/// A file attached to a plain list item.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) body: FileBody,
}

/// A version of a file that another one took the place of.
#[derive(Clone, Debug)]
pub(crate) struct OldVersion {
    /// See [`Item::ui_version`].
    pub(crate) ui_version: u32,
    pub(crate) body: FileBody,
    pub(crate) created: UnixMillis,
    pub(crate) editor: u32,
}

/// The label of a version: `1.0`.
pub(crate) fn version_label(ui_version: u32) -> String {
    format!("{}.{}", ui_version / MAJOR, ui_version % MAJOR)
}

/// What a major version counts in [`Item::ui_version`].
pub(crate) const MAJOR: u32 = 512;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: u32,
    pub(crate) unique_id: Guid,
    pub(crate) kind: ItemKind,
    /// The folder it is in; none: the list's root folder.
    pub(crate) parent: Option<u32>,
    /// Last part of its address; of a plain item `ID_.000`.
    pub(crate) leaf: String,
    pub(crate) created: UnixMillis,
    pub(crate) modified: UnixMillis,
    pub(crate) author: u32,
    pub(crate) editor: u32,
    /// 512 for each major version and 1 for each minor one since: 512 is 1.0, 513 is 1.1.
    pub(crate) ui_version: u32,
    /// Goes up with every new content.
    pub(crate) contents: u32,
    /// Earlier versions of a file, oldest first.
    pub(crate) history: Vec<OldVersion>,
    /// Goes up with every change, of content or of columns.
    pub(crate) etag: u32,
    /// Columns people fill in, by internal name, as REST spells their values.
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) attachments: Vec<Attachment>,
    /// Its own permissions; none: those of what it lies in.
    pub(crate) acl: Option<Acl>,
    /// Who has it checked out.
    pub(crate) checked_out: Option<u32>,
}

impl Item {
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.kind, ItemKind::Folder)
    }

    pub(crate) fn body(&self) -> Option<&FileBody> {
        match &self.kind {
            ItemKind::File(body) => Some(body),
            ItemKind::Folder | ItemKind::Entry => None,
        }
    }

    /// The entity tag as headers and `odata.etag` carry it.
    pub(crate) fn etag_text(&self) -> String {
        match self.kind {
            ItemKind::Entry => format!("\"{}\"", self.etag),
            _ => format!("\"{{{}}},{}\"", self.unique_id.as_str().to_ascii_uppercase(), self.etag),
        }
    }

    /// The label of its version: `1.0`.
    pub(crate) fn label(&self) -> String {
        version_label(self.ui_version)
    }

    pub(crate) fn attachment(&self, name: &str) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.name.eq_ignore_ascii_case(name))
    }
}
