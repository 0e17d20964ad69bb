//! `RenderListDataAsStream`: rows of a list as a view shows them, in pages.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::api::wanted_format;
use super::call::Call;
use super::error::ApiError;
use super::model::{Item, List, World};
use super::odata::Format;
use super::resource::{self, Node, text_of};
use super::{SharePoint, answer};
use crate::clock::iso_seconds;
use crate::xml;

/// Rows per page unless the view says otherwise.
const ROWS: usize = 30;
/// Most rows per page.
const ROWS_MAX: usize = 5000;

/// What a view shows.
struct View {
    fields: Vec<String>,
    recursive: bool,
    limit: usize,
    paged: bool,
}

impl View {
    fn read(text: &str) -> Result<Self, ApiError> {
        if text.is_empty() {
            return Ok(Self { fields: Vec::new(), recursive: false, limit: ROWS, paged: true });
        }
        let view = xml::read(text).filter(|view| view.name == "View");
        let view = view.ok_or_else(|| {
            ApiError::bad_query("One or more field types are not installed properly: ViewXml.")
        })?;
        if view.find("Where").is_some() {
            return Err(ApiError::bad_query("The simulated tenant knows no Where in views."));
        }
        let names = view.find("ViewFields").map(|fields| fields.children.iter());
        let names = names.into_iter().flatten().filter_map(|field| field.attribute("Name"));
        let limit = view.find("RowLimit");
        Ok(Self {
            fields: names.map(str::to_string).collect(),
            recursive: view.attribute("Scope").is_some_and(|scope| scope.starts_with("Recursive")),
            limit: limit.and_then(|limit| limit.text.trim().parse().ok()).unwrap_or(ROWS).clamp(1, ROWS_MAX),
            paged: limit
                .and_then(|limit| limit.attribute("Paged"))
                .is_some_and(|paged| paged.eq_ignore_ascii_case("true")),
        })
    }
}

impl SharePoint {
    pub(super) fn render_list(&self, call: &Call, body: &Value) -> Result<Response, ApiError> {
        let format = wanted_format(call)?;
        let world = self.world();
        let owner = &call.segments[..call.segments.len() - 1];
        let Node::List(id) = resource::resolve(&world, &call.web, &call.viewer, owner)? else {
            return Err(ApiError::no_resource(call.last_name()));
        };
        let list = world.lists.get(&id).ok_or_else(|| ApiError::list_missing(id.as_str()))?;
        let parameters = body.get("parameters").filter(|parameters| parameters.is_object());
        let parameters =
            parameters.ok_or_else(|| ApiError::bad_query("The parameter parameters is missing."))?;
        let text = |name: &str| parameters.get(name).and_then(Value::as_str).unwrap_or_default();
        let view = View::read(text("ViewXml"))?;
        let paging: Vec<(String, String)> =
            url::form_urlencoded::parse(text("Paging").as_bytes()).into_owned().collect();
        let part = |name: &str| {
            paging.iter().find(|(mine, _)| mine == name).and_then(|(_, value)| value.parse().ok())
        };
        let start: u32 = part("p_ID").map_or(0, |last: u32| last.saturating_add(1));
        let first: usize = part("PageFirstRow").map_or(1, |first: u32| first as usize);
        let shown = list.items.range(start..).filter(|(_, item)| view.recursive || item.parent.is_none());
        let mut items: Vec<&Item> = shown.map(|(_, item)| item).take(view.limit + 1).collect();
        let more = items.len() > view.limit;
        items.truncate(view.limit);
        let mut answer = json!({
            "Row": items.iter().map(|item| row(&world, list, item, &view)).collect::<Vec<_>>(),
            "FirstRow": first,
            "FolderPermissions": "0x7fffffffffffffff",
            "LastRow": first + items.len() - 1,
            "RowLimit": view.limit,
            "FilterLink": "?",
        });
        if let Some(last) = items.last().filter(|_| more && view.paged) {
            let next = first + items.len();
            answer["NextHref"] = json!(format!(
                "?Paged=TRUE&p_ID={}&PageFirstRow={next}&View={}",
                last.id, list.root_unique_id
            ));
        }
        if format == Format::Verbose {
            answer = json!({"d": {"RenderListDataAsStream": answer.to_string()}});
        }
        Ok(answer::json(format, StatusCode::OK, &answer))
    }
}

/// Values are text, as the view would print them.
fn row(world: &World, list: &List, item: &Item, view: &View) -> Value {
    let mut row = Map::new();
    let mut set = |name: &str, value: String| row.insert(name.to_string(), Value::String(value));
    set("ID", item.id.to_string());
    set("PermMask", "0x7fffffffffffffff".to_string());
    set("FSObjType", if item.is_folder() { "1" } else { "0" }.to_string());
    set("UniqueId", format!("{{{}}}", item.unique_id.as_str().to_uppercase()));
    set("FileRef", list.path_of(item));
    set("FileLeafRef", item.leaf.clone());
    for name in &view.fields {
        match name.as_str() {
            "Modified" => drop(set("Modified.", iso_seconds(item.modified))),
            "Created" => drop(set("Created.", iso_seconds(item.created))),
            "File_x0020_Size" | "SMTotalFileStreamSize" => {
                set(name, item.body().map_or(0, crate::content::FileBody::length).to_string());
            }
            _ => {}
        }
        if let Some(field) = list.field(name).filter(|field| field.is_user_column()) {
            let value = item.values.get(&field.rest_name()).unwrap_or(&Value::Null);
            set(name, text_of(world, &field.kind, value));
        }
    }
    Value::Object(row)
}
