//! A mailbox's folders: the trees there are, the names that every mailbox knows, and folders as items.

use std::collections::HashMap;

use larder_sdk::{Item, ItemId, Kind, LogLevel, Name, ScopeId, Tag, Value, Word};

use super::{
    client::{Asked, Failure},
    context::Context,
    item::id_of,
    names,
    properties::{boolean, extended, tag_of},
    requests::{self, FolderRef},
    xml::Element,
};

/// `PR_FOLDER_TYPE` of a search folder, whose items live elsewhere.
const SEARCH_FOLDER: i64 = 2;

/// A tree of folders that a mailbox may have.
pub(super) struct Tree {
    /// The distinguished id of its root.
    pub(super) root: &'static str,
    /// The scope of its folders.
    pub(super) scope: &'static str,
    /// What the root is called in a snapshot; none: its folders lie at the mailbox's top.
    pub(super) title: Option<&'static str>,
}

impl Tree {
    /// True for the visible tree.
    pub(super) fn is_primary(&self) -> bool {
        self.title.is_none()
    }
}

/// The scope of the visible tree's folders.
pub(super) const PRIMARY_SCOPE: &str = "hierarchy";
/// The visible tree. Every mailbox has it.
const PRIMARY: Tree = Tree { root: "msgfolderroot", scope: PRIMARY_SCOPE, title: None };
const ARCHIVE: Tree =
    Tree { root: "archivemsgfolderroot", scope: "hierarchy archive", title: Some("Online Archive") };
const RECOVERABLE: Tree =
    Tree { root: "recoverableitemsroot", scope: "hierarchy recoverable", title: Some("Recoverable Items") };
const ARCHIVE_RECOVERABLE: Tree = Tree {
    root: "archiverecoverableitemsroot",
    scope: "hierarchy archive recoverable",
    title: Some("Recoverable Items of the Archive"),
};

/// The distinguished id of the root of public folders, which no mailbox may stand beside.
pub(super) const PUBLIC_ROOT: &str = "publicfoldersroot";
/// The scope of public folders.
pub(super) const PUBLIC_SCOPE: &str = "hierarchy public";
const PUBLIC: Tree = Tree { root: PUBLIC_ROOT, scope: PUBLIC_SCOPE, title: None };

/// Folders of the visible tree that are known by a name whatever the language; every server has these.
const KNOWN: [&str; 12] = [
    "inbox",
    "drafts",
    "sentitems",
    "deleteditems",
    "outbox",
    "junkemail",
    "calendar",
    "contacts",
    "tasks",
    "notes",
    "journal",
    "syncissues",
];

/// True for scopes of folders; all other scopes are folders' own.
pub(super) fn is_hierarchy(scope: &ScopeId) -> bool {
    scope.as_bytes().starts_with(b"hierarchy")
}

/// What is known of a mailbox's trees in this run.
#[derive(Default)]
pub(super) struct Trees {
    /// The trees that are there, with the ids of their roots.
    roots: Vec<(&'static Tree, String)>,
    /// Distinguished names by folder id.
    known: HashMap<String, &'static str>,
}

impl Trees {
    /// Finds the trees. A mailbox whose visible tree cannot be opened cannot be read; the other trees may be missing.
    pub(super) async fn find(context: &Context) -> Asked<Self> {
        let client = &context.client;
        let mut trees = Self::default();
        let root = client.call_one(&requests::get_folder(&[client.known(PRIMARY.root)])).await?;
        trees.roots.extend(folder_id(&root.element).map(|id| (&PRIMARY, id)));
        let more = [
            (&ARCHIVE, context.options.archive),
            (&RECOVERABLE, context.options.recoverable_items),
            (&ARCHIVE_RECOVERABLE, context.options.archive && context.options.recoverable_items),
        ];
        for (tree, wanted) in more {
            if wanted {
                match client.call_one(&requests::get_folder(&[client.known(tree.root)])).await {
                    Ok(message) => trees.roots.extend(folder_id(&message.element).map(|id| (tree, id))),
                    Err(Failure::Refused(problem)) if problem.means_absent() => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        trees.find_known(context).await;
        Ok(trees)
    }

    /// The tree of public folders, from the answer about its root.
    pub(super) fn public(message: &Element) -> Self {
        let roots = folder_id(message).map(|id| (&PUBLIC, id)).into_iter().collect();
        Self { roots, known: HashMap::new() }
    }

    /// The names are an ornament: without them a mailbox can still be read.
    async fn find_known(&mut self, context: &Context) {
        let folders: Vec<FolderRef<'_>> = KNOWN.iter().map(|name| context.client.known(name)).collect();
        match context.client.call(&requests::get_folder(&folders)).await {
            Ok(messages) => {
                for (name, message) in KNOWN.iter().zip(messages) {
                    if let Some(id) = folder_id(&message.element).filter(|_| message.usable) {
                        self.known.insert(id, name);
                    }
                }
            }
            Err(failure) => {
                context.log(LogLevel::Warning, &failure.error("the well-known folders").to_string());
            }
        }
    }

    /// The trees to read, with the ids of their roots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static Tree, &str)> {
        self.roots.iter().map(|(tree, id)| (*tree, id.as_str()))
    }

    /// The item for a folder's element; none for search folders and for the top itself.
    pub(super) fn item(&self, element: &Element) -> Option<Item> {
        let id_element = element.child("FolderId")?;
        let id = id_of(id_element)?;
        let root = self.roots.iter().find(|(_, root)| root == id).map(|(tree, _)| *tree);
        let title = match root {
            Some(tree) => Some(tree.title?),
            None => None,
        };
        let tagged =
            |tag: u16| extended(element, |uri| tag_of(uri) == Some(tag)).map(|value| value.text.trim());
        let folder_type: Option<i64> = tagged(0x3601).and_then(|text| text.parse().ok());
        if element.name == "SearchFolder" || folder_type == Some(SEARCH_FOLDER) {
            return None;
        }
        let parent =
            element.child("ParentFolderId").and_then(|parent| parent.attribute("Id")).unwrap_or_default();
        let at_top =
            title.is_some() || self.roots.iter().any(|(tree, root)| tree.title.is_none() && root == parent);
        let display_name = element.child("DisplayName").map(|name| name.text.as_str()).unwrap_or_default();
        let mut meta = Vec::new();
        let mut add =
            |name: &str, value: Option<Value>| meta.extend(value.map(|value| (Word::from(name), value)));
        let class = element.text_of("FolderClass").filter(|class| !class.is_empty());
        add("display_name", (!display_name.is_empty()).then(|| Value::Text(display_name.to_owned())));
        add("folder_class", class.map(|class| Value::Text(class.to_owned())));
        let known = self.known.get(id).copied().or(root.map(|tree| tree.root));
        add("distinguished_id", known.map(|name| Value::Text(name.to_owned())));
        add("hidden", tagged(0x10F4).and_then(boolean).filter(|hidden| *hidden).map(Value::Bool));
        Some(Item {
            id: ItemId::from(id),
            parent: if at_top { ItemId::default() } else { ItemId::from(parent) },
            name: title.map_or_else(|| names::folder_name(display_name), Name::from),
            kind: Kind::FOLDER,
            folder: true,
            tag: Tag::from(id_element.attribute("ChangeKey").unwrap_or_default()),
            modified: None,
            posix: None,
            meta,
            streams: Vec::new(),
        })
    }
}

/// The id of the first folder in a message.
fn folder_id(message: &Element) -> Option<String> {
    let folder = message.child("Folders")?.children.first()?;
    folder.child("FolderId").and_then(id_of).map(str::to_owned)
}
