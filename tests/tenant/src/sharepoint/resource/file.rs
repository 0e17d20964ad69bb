//! Files, folders and attachments.

use serde_json::{Value, json};

use super::node::FolderNode;
use super::viewer::Viewer;
use crate::clock::iso_seconds;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{FolderRef, Item, ItemRef, MAJOR, World, version_label};
use crate::sharepoint::odata::Entity;

/// 1 published, 2 a draft, 255 checked out.
fn level(item: &Item) -> u32 {
    match (item.checked_out, item.ui_version % MAJOR) {
        (Some(_), _) => 255,
        (None, 0) => 1,
        (None, _) => 2,
    }
}

/// The length that is told: of office documents not always the right one.
fn told_length(viewer: &Viewer, name: &str, length: u64) -> i64 {
    let length = length.cast_signed();
    let office = ["docx", "xlsx", "pptx", "aspx"].iter().any(|ending| name.ends_with(ending));
    match viewer.office_lengths {
        -1 if office => -1,
        wrong if office => length + wrong,
        _ => length,
    }
}

fn quoted(path: &str) -> String {
    path.replace('\'', "''").replace('%', "%25").replace('#', "%23").replace('?', "%3f")
}

pub(super) fn file(world: &World, viewer: &Viewer, at: &ItemRef) -> Result<Entity, ApiError> {
    let (Some(list), Some(item)) = (world.list_of(at), world.item(at)) else {
        return Err(ApiError::file_missing());
    };
    let body = item.body().ok_or_else(ApiError::file_missing)?;
    let path = list.path_of(item);
    let mut entity =
        Entity::new("SP.File", format!("Web/GetFileByServerRelativePath(decodedurl='{}')", quoted(&path)))
            .with("CheckInComment", "")
            .with("CheckOutType", if item.checked_out.is_some() { 0 } else { 2 })
            .with("ContentTag", format!("{{{}}},{},1", item.unique_id.as_str().to_uppercase(), item.contents))
            .with("CustomizedPageStatus", 0)
            .with("ETag", item.etag_text())
            .with("Exists", true)
            .with("IrmEnabled", list.protected)
            .with("Length", told_length(viewer, &item.leaf, body.length()).to_string())
            .with("Level", level(item))
            .with("LinkingUri", Value::Null)
            .with("LinkingUrl", "")
            .with("MajorVersion", item.ui_version / MAJOR)
            .with("MinorVersion", item.ui_version % MAJOR)
            .with("Name", item.leaf.as_str())
            .with("ServerRelativeUrl", path.as_str())
            .with("TimeCreated", iso_seconds(item.created))
            .with("TimeLastModified", iso_seconds(item.modified))
            .with("Title", Value::Null)
            .with("UIVersion", item.ui_version)
            .with("UIVersionLabel", item.label())
            .with("UniqueId", item.unique_id.as_str())
            .with_extra("ServerRelativePath", json!({"DecodedUrl": path}))
            .with_extra("VroomDriveID", format!("b!{}", list.id))
            .with_extra(
                "VroomItemID",
                format!("01{}", item.unique_id.as_str().replace('-', "").to_uppercase()),
            )
            .with_links(&[
                "Author",
                "CheckedOutByUser",
                "ListItemAllFields",
                "LockedByUser",
                "ModifiedBy",
                "Versions",
            ]);
    entity.etag = Some(item.etag_text());
    Ok(entity)
}

/// An older version of a file.
pub(super) fn version(world: &World, viewer: &Viewer, at: &ItemRef, id: u32) -> Result<Entity, ApiError> {
    let (list, item) = world.list_of(at).zip(world.item(at)).ok_or_else(ApiError::file_missing)?;
    let old = item.history.iter().find(|old| old.ui_version == id).ok_or_else(ApiError::file_missing)?;
    let path = list.path_of(item);
    let web = world.webs.get(&list.web).map_or("/", |web| web.path.trim_end_matches('/'));
    let below = path.strip_prefix(web).unwrap_or(&path);
    let address = format!("Web/GetFileByServerRelativePath(decodedurl='{}')/Versions({id})", quoted(&path));
    Ok(Entity::new("SP.FileVersion", address)
        .with("CheckInComment", "")
        .with("Created", iso_seconds(old.created))
        .with("ExpirationDate", Value::Null)
        .with("ID", id)
        .with("IsCurrentVersion", false)
        .with("Length", old.body.length().to_string())
        // Thirty-two bits, which large files overflow.
        .with("Size", (old.body.length() as u32).cast_signed())
        .with("Url", format!("{}{web}/_vti_history/{id}{}", viewer.origin, quoted(below)))
        .with("VersionLabel", version_label(id))
        .with_links(&["CreatedBy"]))
}

pub(super) fn folder(world: &World, of: &FolderNode) -> Result<Entity, ApiError> {
    match of {
        FolderNode::WebRoot(web) | FolderNode::Lists(web) => {
            let web = world.webs.get(web).ok_or_else(ApiError::file_missing)?;
            let lists = matches!(of, FolderNode::Lists(_));
            let path = if lists { web.join("Lists") } else { web.path.clone() };
            let name = if lists { "Lists" } else { "" };
            Ok(folder_entity(
                name,
                &path,
                web.id.as_str(),
                (world.lists_of(&web.id).len(), Value::Null),
                (web.created, web.created),
            ))
        }
        FolderNode::InList(FolderRef { list, folder }) => {
            let list = world.lists.get(list).ok_or_else(ApiError::file_missing)?;
            let count = list.children(*folder).count();
            let path = list.folder_path(*folder);
            let name = path.rsplit('/').next().unwrap_or_default().to_string();
            let (id, times) = match folder {
                None => (list.root_unique_id.as_str(), (list.created, list.modified)),
                Some(id) => {
                    let item = list.items.get(id).ok_or_else(ApiError::file_missing)?;
                    (item.unique_id.as_str(), (item.created, item.modified))
                }
            };
            Ok(folder_entity(&name, &path, id, (count, prog_id(world, of)), times))
        }
    }
}

/// What a folder is to an application: a notebook of OneNote is a folder with a table of contents.
fn prog_id(world: &World, folder: &FolderNode) -> Value {
    let FolderNode::InList(FolderRef { list, folder }) = folder else { return Value::Null };
    let Some(list) = world.lists.get(list) else { return Value::Null };
    let notebook = list.children(*folder).any(|item| item.leaf.ends_with(".onetoc2"));
    if notebook { json!("OneNote.Notebook") } else { Value::Null }
}

fn folder_entity(
    name: &str,
    path: &str,
    id: &str,
    (count, prog_id): (usize, Value),
    (created, modified): (i64, i64),
) -> Entity {
    Entity::new("SP.Folder", format!("Web/GetFolderByServerRelativePath(decodedurl='{}')", quoted(path)))
        .with("Exists", true)
        .with("IsWOPIEnabled", false)
        .with("ItemCount", count)
        .with("Name", name)
        .with("ProgID", prog_id)
        .with("ServerRelativeUrl", path)
        .with("TimeCreated", iso_seconds(created))
        .with("TimeLastModified", iso_seconds(modified))
        .with("UniqueId", id)
        .with("WelcomePage", "")
        .with_extra("ServerRelativePath", json!({"DecodedUrl": path}))
        .with_links(&["Files", "Folders", "ListItemAllFields", "ParentFolder"])
}

pub(super) fn attachment(world: &World, at: &ItemRef, name: &str) -> Result<Entity, ApiError> {
    let list = world.list_of(at).ok_or_else(ApiError::file_missing)?;
    let path = format!("{}/Attachments/{}/{name}", list.root, at.id);
    let address =
        format!("Web/Lists(guid'{}')/Items({})/AttachmentFiles('{}')", at.list, at.id, quoted(name));
    Ok(Entity::new("SP.Attachment", address)
        .with("FileName", name)
        .with_path("FileNameAsPath", name)
        .with_path("ServerRelativePath", &path)
        .with("ServerRelativeUrl", path))
}
