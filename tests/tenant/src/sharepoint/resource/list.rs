//! Lists, their columns, content types and views.

use serde_json::json;

use super::viewer::Viewer;
use crate::clock::iso_seconds;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{Guid, List, Scope, World};
use crate::sharepoint::odata::Entity;
use crate::xml::escape;

/// Content types of a list, by position: id stem, name.
const LIST_TYPES: [(&str, &str); 2] = [("0x01", "Item"), ("0x0120", "Folder")];
const LIBRARY_TYPES: [(&str, &str); 2] = [("0x0101", "Document"), ("0x0120", "Folder")];

fn list_of<'a>(world: &'a World, id: &Guid) -> Result<&'a List, ApiError> {
    world.lists.get(id).ok_or_else(|| ApiError::list_missing(id.as_str()))
}

fn address(id: &Guid) -> String {
    format!("Web/Lists(guid'{id}')")
}

/// The id of a content type in a list: the stem and the list's own part.
pub(super) fn content_type_id(list: &List, folder: bool) -> String {
    format!("{}00{}", base_types(list)[usize::from(folder)].0, bare(list))
}

fn base_types(list: &List) -> [(&'static str, &'static str); 2] {
    if list.is_library() { LIBRARY_TYPES } else { LIST_TYPES }
}

/// The content types of a list: id, name and columns.
pub(super) fn content_types(list: &List) -> Vec<(String, String, Vec<String>)> {
    let base = base_types(list).into_iter().enumerate();
    let base = base.map(|(number, (_, name))| {
        (content_type_id(list, number == 1), name.to_string(), vec!["Title".to_string()])
    });
    let added = list
        .content_types
        .iter()
        .map(|one| (format!("{}00{}", one.stem, bare(list)), one.name.clone(), one.fields.clone()));
    base.chain(added).collect()
}

fn bare(list: &List) -> String {
    list.id.as_str().replace('-', "").to_uppercase()
}

pub(super) fn list(world: &World, viewer: &Viewer, id: &Guid) -> Result<Entity, ApiError> {
    let list = list_of(world, id)?;
    let library = list.is_library();
    let token = world.log.current(Scope::List(id.clone()), viewer.now);
    let entity = Entity::new("SP.List", address(id))
        .with("AllowContentTypes", true)
        .with("BaseTemplate", list.template.number())
        .with("BaseType", u32::from(library))
        .with("ContentTypesEnabled", false)
        .with("Created", iso_seconds(list.created))
        .with_complex("CurrentChangeToken", "SP.ChangeToken", vec![("StringValue", json!(token.text()))])
        .with("Description", list.description.as_str())
        .with("DraftVersionVisibility", 0)
        .with("EnableAttachments", !library)
        .with("EnableFolderCreation", true)
        .with("EnableMinorVersions", list.minor_versions)
        .with("EnableModeration", false)
        .with("EnableVersioning", true)
        .with("EntityTypeName", list.entity_name())
        .with("ForceCheckout", false)
        .with("Hidden", list.hidden)
        .with("Id", id.as_str())
        .with("IrmEnabled", list.protected)
        .with("IsApplicationList", false)
        .with("IsCatalog", false)
        .with("IsPrivate", false)
        .with("IsSystemList", list.hidden)
        .with("ItemCount", list.items.len())
        .with("LastItemDeletedDate", iso_seconds(list.created))
        .with("LastItemModifiedDate", iso_seconds(list.modified))
        .with("LastItemUserModifiedDate", iso_seconds(list.modified))
        .with("ListItemEntityTypeFullName", list.item_type())
        .with("MajorVersionLimit", 500)
        .with("MajorWithMinorVersionsLimit", 0)
        .with("NoCrawl", false)
        .with_path(
            "ParentWebPath",
            &world.webs.get(&list.web).map_or_else(String::new, |web| web.path.clone()),
        )
        .with("ParentWebUrl", world.webs.get(&list.web).map_or("", |web| web.path.as_str()))
        .with("TemplateFeatureId", "00bfea71-de22-43b2-a848-c05709900100")
        .with("Title", list.title.as_str())
        .with_extra("HasUniqueRoleAssignments", list.acl.is_some())
        .with_extra("SchemaXml", schema(list))
        .with_links(&[
            "ContentTypes",
            "DefaultView",
            "Fields",
            "Items",
            "ParentWeb",
            "RoleAssignments",
            "RootFolder",
            "Views",
        ]);
    Ok(entity)
}

fn schema(list: &List) -> String {
    let fields: String = list.fields.iter().map(crate::sharepoint::model::Field::schema_xml).collect();
    format!(
        "<List ID=\"{{{}}}\" Title=\"{}\" ServerTemplate=\"{}\"><Fields>{fields}</Fields></List>",
        list.id,
        escape(&list.title),
        list.template.number(),
    )
}

pub(super) fn field(world: &World, list: &Guid, id: &Guid) -> Result<Entity, ApiError> {
    let list = list_of(world, list)?;
    let field =
        list.fields.iter().find(|field| field.id == *id).ok_or_else(|| ApiError::no_field(id.as_str()))?;
    let kind = match field.kind.name() {
        "ContentTypeId" | "Counter" | "Attachments" | "File" => "SP.Field".to_string(),
        name => format!("SP.Field{name}"),
    };
    Ok(Entity::new(kind, format!("{}/Fields(guid'{id}')", address(&list.id)))
        .with("CanBeDeleted", !field.base)
        .with("EntityPropertyName", rest_property(&field.name))
        .with("FieldTypeKind", field.kind.number())
        .with("FromBaseType", field.base)
        .with("Hidden", field.hidden)
        .with("Id", id.as_str())
        .with("Indexed", false)
        .with("InternalName", field.name.as_str())
        .with("ReadOnlyField", field.read_only)
        .with("Required", false)
        .with("SchemaXml", field.schema_xml())
        .with("Scope", list.root.as_str())
        .with("Sealed", false)
        .with("StaticName", field.name.as_str())
        .with("Title", field.title.as_str())
        .with("TypeAsString", field.kind.name()))
}

/// Names that begin with an underscore get a prefix in REST.
pub(super) fn rest_property(name: &str) -> String {
    if name.starts_with('_') { format!("OData_{name}") } else { name.to_string() }
}

pub(super) fn content_type(world: &World, list: &Guid, number: usize) -> Result<Entity, ApiError> {
    let list = list_of(world, list)?;
    let (id, name, fields) =
        content_types(list).into_iter().nth(number).ok_or_else(ApiError::item_missing)?;
    let refs = field_refs(&fields);
    let schema = format!(
        "<ContentType ID=\"{id}\" Name=\"{}\"><FieldRefs>{refs}</FieldRefs></ContentType>",
        escape(&name)
    );
    Ok(Entity::new("SP.ContentType", format!("{}/ContentTypes('{id}')", address(&list.id)))
        .with("Description", "")
        .with("Group", "List Content Types")
        .with("Hidden", false)
        .with_complex("Id", "SP.ContentTypeId", vec![("StringValue", json!(id))])
        .with("Name", name)
        .with("ReadOnly", false)
        .with("SchemaXml", schema)
        .with("Sealed", false)
        .with("StringId", id.as_str())
        .with_links(&["FieldLinks", "Fields"]))
}

/// A column as a content type refers to it.
pub(super) fn field_link(world: &World, list: &Guid, name: &str) -> Result<Entity, ApiError> {
    let list = list_of(world, list)?;
    let field = list.field(name).ok_or_else(|| ApiError::no_field(name))?;
    Ok(Entity::new("SP.FieldLink", format!("{}/FieldLinks(guid'{}')", address(&list.id), field.id))
        .with("FieldInternalName", field.name.as_str())
        .with("Hidden", false)
        .with("Id", field.id.as_str())
        .with("Name", field.name.as_str())
        .with("Required", false))
}

fn field_refs(fields: &[String]) -> String {
    let add = |refs: String, field: &String| refs + &format!("<FieldRef Name=\"{}\" />", escape(field));
    fields.iter().fold(String::new(), add)
}

/// The columns of a view.
pub(super) fn view_fields(world: &World, list: &Guid, id: &Guid) -> Result<Entity, ApiError> {
    let list = list_of(world, list)?;
    let view = list.views.iter().find(|view| view.id == *id).ok_or_else(ApiError::item_missing)?;
    let refs = field_refs(&view.fields);
    let address = format!("{}/Views(guid'{id}')/ViewFields", address(&list.id));
    Ok(Entity::new("SP.ViewFieldCollection", address)
        .with("Items", json!(view.fields))
        .with("SchemaXml", refs))
}

pub(super) fn view(world: &World, list: &Guid, id: &Guid) -> Result<Entity, ApiError> {
    let list = list_of(world, list)?;
    let view = list.views.iter().find(|view| view.id == *id).ok_or_else(ApiError::item_missing)?;
    let refs = field_refs(&view.fields);
    let xml = format!(
        "<View Name=\"{{{}}}\" DefaultView=\"{}\" DisplayName=\"{}\"><Query>{}</Query><ViewFields>{refs}</ViewFields>\
         <RowLimit Paged=\"TRUE\">30</RowLimit></View>",
        view.id.as_str().to_uppercase(),
        if view.default { "TRUE" } else { "FALSE" },
        escape(&view.title),
        view.query,
    );
    Ok(Entity::new("SP.View", format!("{}/Views(guid'{id}')", address(&list.id)))
        .with("DefaultView", view.default)
        .with("Hidden", false)
        .with("Id", id.as_str())
        .with("ListViewXml", xml)
        .with("PersonalView", false)
        .with("RowLimit", 30)
        .with("Title", view.title.as_str())
        .with("ViewQuery", view.query.as_str())
        .with("ViewType", "HTML")
        .with_extra("ViewType2", serde_json::Value::Null)
        .with_links(&["ViewFields"]))
}
