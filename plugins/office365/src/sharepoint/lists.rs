//! The lists and libraries of a web: which are read, and how each appears as an item.

use larder_sdk::{Item, ItemId, Kind, Name, Result, ScopeId, StreamInfo, Tag, Value, Word};
use serde_json::Value as Json;

use super::{json, paths, web::Web};

/// Most lists of one web; the service's own limit is 2,000 lists and libraries.
const LISTS_MAX: usize = 20_000;

/// What is asked of each list.
const SELECT: &str = "Id,Title,Description,Hidden,BaseTemplate,BaseType,ItemCount,Created,LastItemModifiedDate,EnableVersioning,\
    EnableMinorVersions,MajorVersionLimit,MajorWithMinorVersionsLimit,EnableModeration,ForceCheckout,DraftVersionVisibility,\
    EnableAttachments,EnableFolderCreation,ContentTypesEnabled,IrmEnabled,IsCatalog,NoCrawl,ListItemEntityTypeFullName,EntityTypeName,\
    TemplateFeatureId,CurrentChangeToken,HasUniqueRoleAssignments,\
    RootFolder/ServerRelativeUrl,RootFolder/UniqueId";

/// Properties of a list that are kept with it. Counts and dates that move with its items are left out: they would make an
/// unchanged list look changed.
const KEPT: [&str; 20] = [
    "Title",
    "Description",
    "BaseTemplate",
    "BaseType",
    "Created",
    "EnableVersioning",
    "EnableMinorVersions",
    "MajorVersionLimit",
    "MajorWithMinorVersionsLimit",
    "EnableModeration",
    "ForceCheckout",
    "DraftVersionVisibility",
    "EnableAttachments",
    "EnableFolderCreation",
    "ContentTypesEnabled",
    "IrmEnabled",
    "NoCrawl",
    "EntityTypeName",
    "ListItemEntityTypeFullName",
    "TemplateFeatureId",
];

/// Hidden or system lists that hold what people made.
const WANTED_LEAVES: [&str; 3] = ["sitepages", "style library", "siteassets"];
/// Lists of the service's own, by the leaf of their address.
const UNWANTED_LEAVES: [&str; 4] =
    ["webtemplateextensionslist", "sharinglinks", "accessrequest", "access requests"];

/// A list or library.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting that the service tells by itself")]
pub(super) struct List {
    /// Its GUID, in lower case.
    pub(super) id: String,
    pub(super) title: String,
    /// The server-relative address of its root folder.
    pub(super) root: String,
    pub(super) library: bool,
    /// Where its change log stood when it was asked.
    pub(super) token: String,
    /// True if it has permissions of its own.
    pub(super) unique: bool,
    /// True if a file may have drafts.
    pub(super) drafts: bool,
    /// How many items it says it has, folders and what is hidden among them.
    pub(super) count: Option<i64>,
    attachments: bool,
    settings: Json,
    pub(super) meta: Vec<(Word, Value)>,
    created: Option<larder_sdk::Time>,
}

impl List {
    /// The scope that a list is.
    pub(super) fn scope(&self) -> ScopeId {
        ScopeId::from(self.id.as_str())
    }

    /// The list's own item id, which is the parent of what lies at its root.
    pub(super) fn item_id(&self) -> ItemId {
        ItemId::from(self.id.as_str())
    }

    /// True if its items may have attachments.
    pub(super) fn has_attachments(&self) -> bool {
        self.attachments && !self.library
    }

    /// True if a server-relative path lies in this list.
    pub(super) fn holds(&self, path: &str) -> bool {
        let (root, path) = (paths::folded(&self.root), paths::folded(path));
        path.strip_prefix(&root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// What can be set about it.
    pub(super) fn settings(&self) -> &Json {
        &self.settings
    }

    /// Its address below `_api/`.
    pub(super) fn address(&self) -> String {
        format!("web/lists(guid'{}')", self.id)
    }

    /// The list as an item of its web.
    pub(super) fn item(&self, streams: Vec<StreamInfo>) -> Item {
        Item {
            id: self.item_id(),
            parent: ItemId::default(),
            name: Name::from(paths::leaf(&self.root)),
            kind: if self.library { Kind::LIBRARY } else { Kind::LIST },
            folder: true,
            tag: Tag::from("list"),
            modified: self.created,
            posix: None,
            meta: self.meta.clone(),
            streams,
        }
    }
}

/// The web's lists that are read, in the order of their addresses.
pub(super) async fn lists(web: &Web) -> Result<Vec<List>> {
    let rows = web.all(&format!("web/lists?$select={SELECT}&$expand=RootFolder"), LISTS_MAX).await?;
    let mut lists: Vec<List> = rows.iter().filter(|row| is_wanted(row)).filter_map(parse).collect();
    lists.sort_by(|one, other| one.root.cmp(&other.root));
    Ok(lists)
}

/// Whether a list is read: what people see, and the pages, styles and assets they made.
pub(super) fn is_wanted(row: &Json) -> bool {
    let leaf = paths::leaf(root(row)).to_lowercase();
    if UNWANTED_LEAVES.contains(&leaf.as_str()) {
        return false;
    }
    let system = matches!(json::number(row, "BaseTemplate"), Some(110..=114 | 116..=118 | 120..=125 | 544));
    WANTED_LEAVES.contains(&leaf.as_str())
        || !(json::flag(row, "Hidden") || json::flag(row, "IsCatalog") || system)
}

fn root(row: &Json) -> &str {
    row.get("RootFolder").map(|folder| json::text(folder, "ServerRelativeUrl")).unwrap_or_default()
}

pub(super) fn parse(row: &Json) -> Option<List> {
    let token =
        row.get("CurrentChangeToken").map(|token| json::text(token, "StringValue")).unwrap_or_default();
    let kept = KEPT.iter().filter_map(|name| Some((Word::from(*name), json::value(row.get(*name)?))));
    let settings = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())));
    Some(List {
        id: paths::guid(json::text(row, "Id"))?,
        title: json::text(row, "Title").to_owned(),
        root: Some(root(row)).filter(|root| !root.is_empty())?.to_owned(),
        library: json::number(row, "BaseType") == Some(1),
        token: token.to_owned(),
        unique: json::flag(row, "HasUniqueRoleAssignments"),
        drafts: json::flag(row, "EnableMinorVersions"),
        count: json::number(row, "ItemCount"),
        attachments: json::flag(row, "EnableAttachments"),
        settings: Json::Object(settings.collect()),
        meta: kept.collect(),
        created: json::time(row, "Created"),
    })
}

/// A list as tests of other modules want one.
#[cfg(any(test, feature = "testing"))]
pub(super) fn example(id: &str, root: &str, library: bool) -> List {
    List {
        id: id.to_owned(),
        title: "Example".to_owned(),
        root: root.to_owned(),
        library,
        token: "1;3;x;1;2".to_owned(),
        unique: false,
        drafts: false,
        count: None,
        attachments: !library,
        settings: Json::Null,
        meta: Vec::new(),
        created: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(leaf: &str, hidden: bool, template: i64) -> Json {
        json!({
            "Id": "0A7A1F00-0000-4000-8000-000000000001", "Title": "T", "Hidden": hidden, "BaseTemplate": template, "BaseType": 1,
            "ItemCount": 7, "CurrentChangeToken": {"StringValue": "1;3;x;1;2"},
            "RootFolder": {"ServerRelativeUrl": format!("/sites/a/{leaf}")},
        })
    }

    #[test]
    fn default_selection() {
        assert!(is_wanted(&row("Shared Documents", false, 101)));
        assert!(is_wanted(&row("SitePages", true, 119)));
        assert!(!is_wanted(&row("Hidden", true, 100)));
        assert!(!is_wanted(&row("Users", false, 112)));
        assert!(!is_wanted(&row("SharingLinks", false, 100)));
    }

    #[test]
    fn a_list_is_a_folder_without_moving_parts() {
        let list = parse(&row("Shared Documents", false, 101)).unwrap();
        let item = list.item(Vec::new());
        assert_eq!(item.name, Name::from("Shared Documents"));
        assert!(item.folder && item.kind == Kind::LIBRARY && item.parent.is_empty());
        assert!(!item.meta.iter().any(|(name, _)| name == "ItemCount"));
        assert!(list.holds("/sites/a/shared documents/x") && list.holds("/sites/a/Shared Documents"));
        assert!(!list.holds("/sites/a/Shared Documents 2/x"));
    }
}
