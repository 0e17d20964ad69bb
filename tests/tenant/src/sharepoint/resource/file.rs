//! Files, folders and attachments.

use serde_json::{Value, json};

use super::node::FolderNode;
use crate::clock::iso_seconds;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{FolderRef, ItemRef, World};
use crate::sharepoint::odata::Entity;

fn quoted(path: &str) -> String {
    path.replace('\'', "''").replace('%', "%25").replace('#', "%23").replace('?', "%3f")
}

pub(super) fn file(world: &World, at: &ItemRef) -> Result<Entity, ApiError> {
    let (Some(list), Some(item)) = (world.list_of(at), world.item(at)) else {
        return Err(ApiError::file_missing());
    };
    let body = item.body().ok_or_else(ApiError::file_missing)?;
    let path = list.path_of(item);
    let mut entity =
        Entity::new("SP.File", format!("Web/GetFileByServerRelativePath(decodedurl='{}')", quoted(&path)))
            .with("CheckInComment", "")
            .with("CheckOutType", 2)
            .with("ContentTag", format!("{{{}}},{},1", item.unique_id.as_str().to_uppercase(), item.version))
            .with("CustomizedPageStatus", 0)
            .with("ETag", item.etag_text())
            .with("Exists", true)
            .with("IrmEnabled", false)
            .with("Length", body.length().to_string())
            .with("Level", 1)
            .with("LinkingUri", Value::Null)
            .with("LinkingUrl", "")
            .with("MajorVersion", item.version)
            .with("MinorVersion", 0)
            .with("Name", item.leaf.as_str())
            .with("ServerRelativeUrl", path.as_str())
            .with("TimeCreated", iso_seconds(item.created))
            .with("TimeLastModified", iso_seconds(item.modified))
            .with("Title", Value::Null)
            .with("UIVersion", item.version * 512)
            .with("UIVersionLabel", format!("{}.0", item.version))
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

pub(super) fn folder(world: &World, folder: &FolderNode) -> Result<Entity, ApiError> {
    match folder {
        FolderNode::WebRoot(web) | FolderNode::Lists(web) => {
            let web = world.webs.get(web).ok_or_else(ApiError::file_missing)?;
            let lists = matches!(folder, FolderNode::Lists(_));
            let path = if lists { web.join("Lists") } else { web.path.clone() };
            let name = if lists { "Lists" } else { "" };
            Ok(folder_entity(
                name,
                &path,
                web.id.as_str(),
                world.lists_of(&web.id).len(),
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
            Ok(folder_entity(&name, &path, id, count, times))
        }
    }
}

fn folder_entity(name: &str, path: &str, id: &str, count: usize, (created, modified): (i64, i64)) -> Entity {
    Entity::new("SP.Folder", format!("Web/GetFolderByServerRelativePath(decodedurl='{}')", quoted(path)))
        .with("Exists", true)
        .with("IsWOPIEnabled", false)
        .with("ItemCount", count)
        .with("Name", name)
        .with("ProgID", Value::Null)
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
