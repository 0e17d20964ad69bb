//! Creating and changing lists and columns.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::super::call::Call;
use super::super::error::ApiError;
use super::super::model::{EditError, FieldKind, Guid, Template};
use super::super::resource::Node;
use super::super::{SharePoint, answer};
use super::show;
use crate::xml;

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

impl SharePoint {
    pub(super) fn create_list(
        self: &Arc<Self>,
        call: &Call,
        web: &Guid,
        body: &Value,
    ) -> Result<Response, ApiError> {
        call.check_entity(body)?;
        let title = text(body, "Title").filter(|title| !title.is_empty());
        let title = title.ok_or_else(|| ApiError::bad_query("A list needs a Title."))?;
        let number = body.get("BaseTemplate").and_then(Value::as_u64).unwrap_or(100);
        let template = Template::from_number(u32::try_from(number).unwrap_or(100));
        let mut world = self.world();
        let id = world.add_list(web, title, template, call.viewer.now)?;
        if let Some(list) = world.lists.get_mut(&id) {
            list.description = text(body, "Description").unwrap_or_default().to_string();
        }
        show(call, &world, &Node::List(id), StatusCode::CREATED)
    }

    pub(super) fn update_list(&self, call: &Call, id: &Guid, body: &Value) -> Result<Response, ApiError> {
        call.check_entity(body)?;
        call.check_etag(None)?;
        let mut world = self.world();
        let list = world.lists.get(id).ok_or_else(|| ApiError::list_missing(id.as_str()))?;
        if let Some(title) = text(body, "Title") {
            let taken = |other: &&super::super::model::List| {
                other.id != *id && other.web == list.web && other.title.eq_ignore_ascii_case(title)
            };
            if world.lists.values().any(|other| taken(&other)) {
                return Err(EditError::TitleTaken.into());
            }
        }
        if let Some(list) = world.lists.get_mut(id) {
            if let Some(title) = text(body, "Title") {
                list.title = title.to_string();
            }
            if let Some(description) = text(body, "Description") {
                list.description = description.to_string();
            }
            if let Some(hidden) = body.get("Hidden").and_then(Value::as_bool) {
                list.hidden = hidden;
            }
            list.modified = call.viewer.now;
        }
        world.note_list(id, call.viewer.now);
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    /// `fields/CreateFieldAsXml`.
    pub(super) fn create_field(&self, call: &Call, body: &Value) -> Result<Response, ApiError> {
        let Node::Fields(list) = self.target(call, &call.segments[..call.segments.len() - 1])? else {
            return Err(ApiError::no_resource("createfieldasxml"));
        };
        let schema = body.get("parameters").and_then(|parameters| text(parameters, "SchemaXml"));
        let field = schema.and_then(xml::read).filter(|field| field.name == "Field");
        let field = field.ok_or_else(|| ApiError::bad_query("SchemaXml is missing or is no field."))?;
        let title = field.attribute("DisplayName").unwrap_or_default();
        let keeps_name =
            body["parameters"].get("Options").and_then(Value::as_u64).is_some_and(|bits| bits & 8 != 0);
        let name = field.attribute("Name").filter(|_| keeps_name).unwrap_or(title);
        let target = field.attribute("List").and_then(Guid::parse);
        let kind = kind_named(field.attribute("Type").unwrap_or_default(), target)
            .ok_or_else(|| ApiError::bad_query("The field's type is not known."))?;
        self.add_column(call, &list, name, title, kind)
    }

    /// `POST …/fields` with an entity.
    pub(super) fn create_plain_field(
        &self,
        call: &Call,
        list: &Guid,
        body: &Value,
    ) -> Result<Response, ApiError> {
        call.check_entity(body)?;
        let title = text(body, "Title").ok_or_else(|| ApiError::bad_query("A field needs a Title."))?;
        let kinds = [
            (2, "Text"),
            (3, "Note"),
            (4, "DateTime"),
            (8, "Boolean"),
            (9, "Number"),
            (11, "URL"),
            (20, "User"),
        ];
        let number = body.get("FieldTypeKind").and_then(Value::as_u64);
        let name = kinds.iter().find(|(kind, _)| Some(*kind) == number).map_or("", |(_, name)| name);
        let kind =
            kind_named(name, None).ok_or_else(|| ApiError::bad_query("The field's type is not known."))?;
        self.add_column(call, list, title, title, kind)
    }

    fn add_column(
        &self,
        call: &Call,
        list: &Guid,
        name: &str,
        title: &str,
        kind: FieldKind,
    ) -> Result<Response, ApiError> {
        let name = name.replace(' ', "_x0020_");
        let mut world = self.world();
        let id = world.add_field(list, &name, kind, call.viewer.now)?;
        let field =
            world.lists.get_mut(list).and_then(|list| list.fields.iter_mut().find(|field| field.id == id));
        if let Some(field) = field {
            field.title = title.to_string();
        }
        show(call, &world, &Node::Field(list.clone(), id), StatusCode::CREATED)
    }
}

fn kind_named(name: &str, target: Option<Guid>) -> Option<FieldKind> {
    Some(match name {
        "Text" => FieldKind::Text,
        "Note" => FieldKind::Note,
        "DateTime" => FieldKind::DateTime,
        "Boolean" => FieldKind::Boolean,
        "Number" => FieldKind::Number,
        "URL" => FieldKind::Url,
        "User" => FieldKind::User,
        // Any choice is taken: the choices themselves are not kept.
        "Choice" => FieldKind::Choice(Vec::new()),
        "Lookup" => FieldKind::Lookup(target?),
        _ => return None,
    })
}
