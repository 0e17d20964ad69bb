//! What a list is like: its settings, columns, content types and views.

use larder_sdk::Result;
use serde_json::{Value as Json, json};

use super::{
    json,
    lists::List,
    sheet::{SCHEMA, Sheet},
    web::Web,
};

/// Most columns, content types or views of one list.
const ROWS_MAX: usize = 20_000;

/// What is asked of a column.
pub(super) const FIELD: &str = "Id,InternalName,StaticName,Title,TypeAsString,FieldTypeKind,Hidden,ReadOnlyField,FromBaseType,Sealed,\
    Required,Indexed,SchemaXml";
/// What is asked of a content type.
pub(super) const CONTENT_TYPE: &str = "StringId,Name,Description,Group,Hidden,ReadOnly,Sealed,SchemaXml";
/// What is asked of a view.
const VIEW: &str = "Id,Title,DefaultView,PersonalView,Hidden,RowLimit,ViewQuery,ListViewXml,ViewFields";

/// Reads it.
pub(super) async fn read(web: &Web, list: &List) -> Result<Sheet> {
    let of = |part: &str| format!("web/lists(guid'{}')/{part}", list.id);
    let fields = web.all(&of(&format!("fields?$select={FIELD}")), ROWS_MAX).await?;
    let types = of(&format!("contenttypes?$select={CONTENT_TYPE},FieldLinks&$expand=FieldLinks"));
    let types = web.all(&types, ROWS_MAX).await?;
    let views = web.all(&of(&format!("views?$select={VIEW}&$expand=ViewFields")), ROWS_MAX).await?;
    // A personal view is its owner's, and of people only those who happen to ask would show theirs.
    let views: Vec<Json> = views.into_iter().filter(|view| !json::flag(view, "PersonalView")).collect();
    let told = json!({"Settings": list.settings(), "Fields": fields, "ContentTypes": types, "Views": views});
    Ok(Sheet::new(SCHEMA, &told))
}
