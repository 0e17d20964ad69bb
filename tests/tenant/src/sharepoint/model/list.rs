//! A list or library: its columns, its items and an index of names.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::{Acl, Field, Guid, Item};
use crate::clock::UnixMillis;

/// The list templates the tenant knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    Generic,
    Library,
    OneDrive,
    Tasks,
    /// Any other number somebody created a list with.
    Other(u32),
}

impl Template {
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            100 => Self::Generic,
            101 => Self::Library,
            171 => Self::Tasks,
            700 => Self::OneDrive,
            other => Self::Other(other),
        }
    }

    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Generic => 100,
            Self::Library => 101,
            Self::Tasks => 171,
            Self::OneDrive => 700,
            Self::Other(number) => number,
        }
    }

    pub(crate) fn is_library(self) -> bool {
        matches!(self, Self::Library | Self::OneDrive | Self::Other(109 | 115 | 119 | 850 | 851))
    }
}

/// A content type of a list.
#[derive(Clone, Debug)]
pub(crate) struct ContentType {
    /// The part of its id before the list's own.
    pub(crate) stem: String,
    pub(crate) name: String,
    /// Internal names of its columns.
    pub(crate) fields: Vec<String>,
}

/// A view of a list.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) id: Guid,
    pub(crate) title: String,
    pub(crate) default: bool,
    pub(crate) query: String,
    /// Internal names of its columns.
    pub(crate) fields: Vec<String>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) id: Guid,
    pub(crate) web: Guid,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) template: Template,
    pub(crate) hidden: bool,
    /// Server-relative address of the root folder.
    pub(crate) root: String,
    pub(crate) root_unique_id: Guid,
    pub(crate) created: UnixMillis,
    pub(crate) modified: UnixMillis,
    pub(crate) fields: Vec<Field>,
    /// Content types beside those every list of its kind has.
    pub(crate) content_types: Vec<ContentType>,
    pub(crate) views: Vec<View>,
    /// Every change of a file makes a draft, a minor version.
    pub(crate) minor_versions: bool,
    /// Files are given out protected by rights, differently each time.
    pub(crate) protected: bool,
    /// Its own permissions; none: those of its web.
    pub(crate) acl: Option<Acl>,
    pub(crate) items: BTreeMap<u32, Item>,
    names: HashMap<(Option<u32>, String), u32>,
    next_id: u32,
}

impl List {
    pub(crate) fn new(
        (id, root_unique_id): (Guid, Guid),
        web: Guid,
        title: &str,
        template: Template,
        root: String,
        created: UnixMillis,
    ) -> Self {
        Self {
            id,
            web,
            title: title.to_string(),
            description: String::new(),
            template,
            hidden: false,
            root,
            root_unique_id,
            created,
            modified: created,
            fields: Vec::new(),
            content_types: Vec::new(),
            views: Vec::new(),
            minor_versions: false,
            protected: false,
            acl: None,
            items: BTreeMap::new(),
            names: HashMap::new(),
            next_id: 1,
        }
    }

    pub(crate) fn is_library(&self) -> bool {
        self.template.is_library()
    }

    /// `ListItemEntityTypeFullName`, less `SP.Data.`.
    pub(crate) fn entity_name(&self) -> String {
        let leaf = self.root.rsplit('/').next().unwrap_or_default();
        let mut name = String::new();
        for letter in leaf.chars() {
            if letter.is_alphanumeric() {
                name.push(letter);
            } else {
                // Writing to a string cannot fail.
                let _ = write!(name, "_x{:04x}_", u32::from(letter));
            }
        }
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        if self.is_library() { name } else { format!("{name}List") }
    }

    pub(crate) fn item_type(&self) -> String {
        format!("SP.Data.{}Item", self.entity_name())
    }

    pub(crate) fn take_id(&mut self) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// The item of this name (any case) in a folder.
    pub(crate) fn child(&self, parent: Option<u32>, leaf: &str) -> Option<&Item> {
        self.items.get(self.names.get(&(parent, leaf.to_lowercase()))?)
    }

    pub(crate) fn children(&self, parent: Option<u32>) -> impl Iterator<Item = &Item> {
        self.items.values().filter(move |item| item.parent == parent)
    }

    /// The server-relative address of an item.
    pub(crate) fn path_of(&self, item: &Item) -> String {
        format!("{}/{}", self.folder_path(item.parent), item.leaf)
    }

    /// The server-relative address of a folder; none: the root folder.
    pub(crate) fn folder_path(&self, folder: Option<u32>) -> String {
        let mut parts = Vec::new();
        let mut at = folder;
        while let Some(item) = at.and_then(|id| self.items.get(&id)) {
            parts.push(item.leaf.as_str());
            at = item.parent;
        }
        parts.push(&self.root);
        parts.reverse();
        parts.join("/")
    }

    pub(crate) fn insert(&mut self, item: Item) {
        self.names.insert((item.parent, item.leaf.to_lowercase()), item.id);
        self.next_id = self.next_id.max(item.id + 1);
        self.items.insert(item.id, item);
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Item> {
        let item = self.items.remove(&id)?;
        self.names.remove(&(item.parent, item.leaf.to_lowercase()));
        Some(item)
    }

    /// Gives an item another name or folder.
    pub(crate) fn relocate(&mut self, id: u32, parent: Option<u32>, leaf: &str) {
        if let Some(mut item) = self.remove(id) {
            item.parent = parent;
            item.leaf = leaf.to_string();
            self.insert(item);
        }
    }

    /// An item and everything below it, parents first.
    pub(crate) fn subtree(&self, id: u32) -> Vec<u32> {
        let mut found = vec![id];
        let mut next = 0;
        while let Some(folder) = found.get(next).copied() {
            if self.items.get(&folder).is_some_and(Item::is_folder) {
                found.extend(self.children(Some(folder)).map(|item| item.id));
            }
            next += 1;
        }
        found
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
