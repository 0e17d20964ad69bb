//! List items, files' items included.

use serde_json::{Value, json};

use super::list::{content_type_id, rest_property};
use crate::clock::iso_seconds;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{FieldKind, Item, ItemKind, ItemRef, List, World};
use crate::sharepoint::odata::Entity;

fn parts<'a>(world: &'a World, at: &ItemRef) -> Result<(&'a List, &'a Item), ApiError> {
    let list = world.list_of(at).ok_or_else(|| ApiError::list_missing(at.list.as_str()))?;
    Ok((list, list.items.get(&at.id).ok_or_else(ApiError::item_missing)?))
}

fn address(at: &ItemRef) -> String {
    format!("Web/Lists(guid'{}')/Items({})", at.list, at.id)
}

pub(super) fn item(world: &World, at: &ItemRef) -> Result<Entity, ApiError> {
    let (list, item) = parts(world, at)?;
    let mut entity = Entity::new(list.item_type(), address(at))
        .with("FileSystemObjectType", u32::from(item.is_folder()))
        .with("Id", item.id)
        .with("ServerRedirectedEmbedUri", Value::Null)
        .with("ServerRedirectedEmbedUrl", "")
        .with("ContentTypeId", content_type_id(list, item.is_folder()));
    for field in list.fields.iter().filter(|field| field.is_user_column()) {
        let name = field.rest_name();
        let value = item.values.get(&name).cloned().unwrap_or(Value::Null);
        entity = with_column(entity, &field.kind, &field.name, &rest_property(&name), value);
    }
    entity = entity
        .with("ID", item.id)
        .with("Modified", iso_seconds(item.modified))
        .with("Created", iso_seconds(item.created))
        .with("AuthorId", item.author)
        .with("EditorId", item.editor)
        .with("OData__UIVersionString", item.label())
        .with("GUID", item.unique_id.as_str());
    if !list.is_library() {
        entity = entity.with("Attachments", !item.attachments.is_empty());
    }
    let mut links: Vec<&str> = vec![
        "AttachmentFiles",
        "Author",
        "Editor",
        "FieldValuesAsText",
        "File",
        "Folder",
        "ParentList",
        "Versions",
    ];
    links.extend(
        list.fields
            .iter()
            .filter(|field| matches!(field.kind, FieldKind::User | FieldKind::Lookup(_)) && !field.read_only)
            .map(|field| field.name.as_str()),
    );
    entity = extras(entity, list, item).with_links(&links).with_links(&["RoleAssignments"]);
    entity.etag = Some(item.etag_text());
    Ok(entity)
}

/// Columns that `*` leaves out.
fn extras(entity: Entity, list: &List, item: &Item) -> Entity {
    let path = list.path_of(item);
    let ending = item.leaf.rsplit_once('.').map_or("", |(_, ending)| ending);
    entity
        .with_extra("FileRef", path.as_str())
        .with_extra("FileLeafRef", item.leaf.as_str())
        .with_extra("FileDirRef", list.folder_path(item.parent))
        .with_extra("FSObjType", u32::from(item.is_folder()))
        .with_extra("File_x0020_Type", if item.body().is_some() { json!(ending) } else { Value::Null })
        .with_extra("UniqueId", item.unique_id.as_str())
        .with_extra("HasUniqueRoleAssignments", item.acl.is_some())
        .with_extra("owshiddenversion", item.etag)
        .with_extra("OData__UIVersion", item.ui_version)
        .with_extra(
            "SMTotalFileStreamSize",
            item.body().map_or(0, crate::content::FileBody::length).to_string(),
        )
}

fn with_column(entity: Entity, kind: &FieldKind, name: &str, rest: &str, value: Value) -> Entity {
    match (kind, &value) {
        (FieldKind::Url, Value::Object(link)) => {
            let part = |name: &str| link.get(name).cloned().unwrap_or(Value::Null);
            let parts = vec![("Description", part("Description")), ("Url", part("Url"))];
            entity.with_complex(rest, "SP.FieldUrlValue", parts)
        }
        (FieldKind::User, _) => {
            let text = value.as_u64().map_or(Value::Null, |id| json!(id.to_string()));
            entity.with(rest, value).with(&format!("{name}StringId"), text)
        }
        _ => entity.with(rest, value),
    }
}

/// `FieldValuesAsText`: everything as people read it.
pub(super) fn as_text(world: &World, at: &ItemRef) -> Result<Entity, ApiError> {
    let (list, item) = parts(world, at)?;
    let mut entity = Entity::new("SP.FieldStringValues", format!("{}/FieldValuesAsText", address(at)));
    for field in list.fields.iter().filter(|field| field.is_user_column()) {
        let value = item.values.get(&field.rest_name()).unwrap_or(&Value::Null);
        entity = entity.with(&field.name, text_of(world, &field.kind, value));
    }
    Ok(entity
        .with("ID", item.id.to_string())
        .with("FileRef", list.path_of(item))
        .with("FileLeafRef", item.leaf.as_str())
        .with("FSObjType", if item.is_folder() { "1" } else { "0" })
        .with("Modified", iso_seconds(item.modified))
        .with("Created", iso_seconds(item.created)))
}

/// A column's value as text.
pub(crate) fn text_of(world: &World, kind: &FieldKind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (FieldKind::User, value) => {
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            id.and_then(|id| world.person(id)).map_or_else(String::new, |person| person.name.clone())
        }
        (FieldKind::Boolean, Value::Bool(flag)) => if *flag { "Yes" } else { "No" }.to_string(),
        (FieldKind::Url, value) => {
            let part = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{}, {}", part("Url"), part("Description"))
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

/// Whether an item is a plain entry whose columns are its content.
pub(crate) fn is_entry(item: &Item) -> bool {
    matches!(item.kind, ItemKind::Entry)
}
