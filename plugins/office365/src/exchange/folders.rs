//! A mailbox's folders: the trees there are, their changes, and the names that every mailbox knows.

use std::collections::{BTreeSet, HashMap};

use larder_sdk::{Event, Item, ItemId, Kind, LogLevel, Name, Offer, Result, ScopeId, Tag, Value};

use super::{
    client::{Asked, Failure},
    context::Context,
    cursor::Place,
    faults::Advice,
    names,
    outbox::Outbox,
    properties::{boolean, extended, tag_of},
    requests::{self, FolderRef},
    xml::Element,
};

/// Most pages of one tree in one run.
const PAGES_MAX: usize = 10_000;
/// `PR_FOLDER_TYPE` of a search folder, whose items live elsewhere.
const SEARCH_FOLDER: i64 = 2;

/// A tree of folders that a mailbox may have.
pub(super) struct Tree {
    /// The distinguished id of its root.
    pub(super) root: &'static str,
    /// The scope of its folders.
    pub(super) scope: &'static str,
    /// What the root is called in a snapshot; none: its folders lie at the mailbox's top.
    title: Option<&'static str>,
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
        let mut trees = Self { roots: Vec::new(), known: HashMap::new() };
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
                context.log(LogLevel::Warning, &failure.error("the well-known folders").to_string())
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
        let id = id_element.attribute("Id")?;
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
        let mut meta = Vec::new();
        let mut add =
            |name: &str, value: Option<Value>| meta.extend(value.map(|value| (name.to_owned(), value)));
        let class = element.text_of("FolderClass").filter(|class| !class.is_empty());
        add("folder_class", class.map(|class| Value::Text(class.to_owned())));
        let known = self.known.get(id).copied().or(root.map(|tree| tree.root));
        add("distinguished_id", known.map(|name| Value::Text(name.to_owned())));
        add("hidden", tagged(0x10F4).and_then(boolean).filter(|hidden| *hidden).map(Value::Bool));
        let display_name = element.child("DisplayName").map(|name| name.text.as_str()).unwrap_or_default();
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

/// Tells the changes of a tree. `folders` are the folders whose items are to be read: those that have a cursor before, and
/// after it those that are there.
///
/// A folder that is new is given an empty cursor before the tree's own is settled: so a later run knows of it even if this
/// one ends before its items are read.
pub(super) async fn tell(
    context: &Context,
    trees: &Trees,
    tree: &'static Tree,
    root: &str,
    folders: &mut BTreeSet<String>,
    outbox: &mut Outbox,
) -> Result<()> {
    let scope = ScopeId::from(tree.scope);
    let mut place = context.place(&scope).await?;
    if place.state.is_none() {
        place = context.fresh(Event::Begin(scope.clone()), outbox).await?;
        if tree.title.is_some() {
            tell_root(context, trees, tree, folders, &scope, outbox).await?;
        }
    }
    let mut listed_again = false;
    for _ in 0..PAGES_MAX {
        let call = requests::sync_folder_hierarchy(context.client.known(tree.root), place.state.as_deref());
        let page = match context.client.call_one(&call).await {
            Ok(message) => message.element,
            Err(failure) if failure.advice() == Some(Advice::ListAgain) && !listed_again => {
                listed_again = true;
                place = context.fresh(Event::Begin(scope.clone()), outbox).await?;
                continue;
            }
            Err(failure) => return Err(failure.error(&format!("the folders of {}", context.address))),
        };
        let state = page.text_of("SyncState").filter(|state| !state.is_empty()).map(str::to_owned);
        let stuck = state.is_none() || state == place.state;
        let last = page.text_of("IncludesLastFolderInRange").and_then(boolean).unwrap_or(true) || stuck;
        for change in page.child("Changes").map(|changes| changes.children.as_slice()).unwrap_or_default() {
            tell_change(trees, root, change, folders, &scope, outbox).await?;
        }
        let listing = !place.complete;
        if last && listing {
            outbox.push(Event::End(scope.clone())).await?;
        }
        if let Some(state) = state.or_else(|| place.state.clone()) {
            place = Place::at(state, last || !listing, place.begun);
            outbox.push(Event::Settled(scope.clone(), place.cursor())).await?;
        }
        if last {
            break;
        }
    }
    outbox.flush().await
}

/// The root of a tree that has a name of its own stands among its folders.
async fn tell_root(
    context: &Context,
    trees: &Trees,
    tree: &'static Tree,
    folders: &mut BTreeSet<String>,
    scope: &ScopeId,
    outbox: &mut Outbox,
) -> Result<()> {
    let call = requests::get_folder(&[context.client.known(tree.root)]);
    let message = context.client.call_one(&call).await.map_err(|failure| failure.error(tree.root))?;
    let element = message.element.child("Folders").and_then(|folders| folders.children.first());
    if let Some(item) = element.and_then(|element| trees.item(element)) {
        tell_folder(item, folders, scope, outbox).await?;
    }
    Ok(())
}

async fn tell_change(
    trees: &Trees,
    root: &str,
    change: &Element,
    folders: &mut BTreeSet<String>,
    scope: &ScopeId,
    outbox: &mut Outbox,
) -> Result<()> {
    if change.name == "Delete" {
        if let Some(id) = change.child("FolderId").and_then(|id| id.attribute("Id")).filter(|id| *id != root)
        {
            folders.remove(id);
            outbox.push(Event::ScopeGone(ScopeId::from(id))).await?;
            outbox.push(Event::Deleted(ItemId::from(id))).await?;
        }
        return Ok(());
    }
    match change.children.first().and_then(|element| trees.item(element)) {
        Some(item) => tell_folder(item, folders, scope, outbox).await,
        None => Ok(()),
    }
}

async fn tell_folder(
    item: Item,
    folders: &mut BTreeSet<String>,
    scope: &ScopeId,
    outbox: &mut Outbox,
) -> Result<()> {
    let id = item.id.display().into_owned();
    outbox.push(Event::Offer(Offer { scope: scope.clone(), item, carry: None })).await?;
    if !folders.contains(&id) {
        outbox.push(Event::Settled(ScopeId::from(id.as_str()), Place::nowhere().cursor())).await?;
        folders.insert(id);
    }
    Ok(())
}

/// The id of the first folder in a message.
fn folder_id(message: &Element) -> Option<String> {
    let folder = message.child("Folders")?.children.first()?;
    folder.child("FolderId")?.attribute("Id").map(str::to_owned)
}
