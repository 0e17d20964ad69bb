//! `GetChanges`: the change log as clients ask for it.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::api::wanted_format;
use super::call::Call;
use super::error::ApiError;
use super::model::{Change, ChangeKind, ChangeSubject, Scope, Token, World, expired};
use super::odata::{Entity, Renderer};
use super::resource::{self, Node};
use super::{ExpiredTokens, SharePoint, answer};
use crate::clock::iso_seconds;

/// Entries per answer, whatever the client asks.
const ENTRIES_MAX: usize = 1000;

/// What a query wants to see.
struct Query<'a> {
    body: &'a Value,
    start: Option<Token>,
    end: Option<Token>,
    limit: usize,
    latest_first: bool,
}

impl<'a> Query<'a> {
    fn read(body: &'a Value, scope: &Scope) -> Result<Self, ApiError> {
        let query = body.get("query").filter(|query| query.is_object());
        let query = query.ok_or_else(|| ApiError::bad_query("The parameter query is missing."))?;
        let token = |name: &str| -> Result<Option<Token>, ApiError> {
            let Some(value) = query.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
            let text = value.get("StringValue").and_then(Value::as_str).unwrap_or_default();
            let token = Token::parse(text).filter(|token| token.scope == *scope);
            token.map(Some).ok_or_else(ApiError::token_refused)
        };
        let limit = match query.get("FetchLimit") {
            None | Some(Value::Null) => ENTRIES_MAX,
            Some(Value::String(text)) => {
                text.parse().map_err(|_| ApiError::bad_query("FetchLimit is no number."))?
            }
            // A 64-bit integer travels as a string.
            Some(_) => {
                return Err(ApiError::bad_query("Cannot convert a value to type 'Edm.Int64': FetchLimit."));
            }
        };
        Ok(Self {
            body: query,
            start: token("ChangeTokenStart")?,
            end: token("ChangeTokenEnd")?,
            limit: limit.clamp(1, ENTRIES_MAX),
            latest_first: query.get("LatestFirst").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    fn flag(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn wants(&self, change: &Change) -> bool {
        let action = match change.kind {
            ChangeKind::Add => "Add",
            ChangeKind::Update => "Update",
            ChangeKind::Delete => "DeleteObject",
            ChangeKind::Rename => "Rename",
            ChangeKind::MoveAway | ChangeKind::MoveInto => "Move",
            ChangeKind::SystemUpdate => "SystemUpdate",
            ChangeKind::AssignmentAdd | ChangeKind::ScopeAdd => "RoleAssignmentAdd",
            ChangeKind::ScopeDelete => "RoleAssignmentDelete",
            ChangeKind::MemberAdd => "GroupMembershipAdd",
            ChangeKind::MemberDelete => "GroupMembershipDelete",
        };
        let object = match change.subject {
            ChangeSubject::Item { .. } => "Item",
            ChangeSubject::List(_) => "List",
            ChangeSubject::Field { .. } => "Field",
            ChangeSubject::ContentType { .. } => "ContentType",
            ChangeSubject::View { .. } => "View",
            ChangeSubject::Web(_) => "Web",
            ChangeSubject::Group { .. } => "Group",
        };
        self.flag(action) && self.flag(object)
    }
}

impl SharePoint {
    pub(super) fn get_changes(&self, call: &Call, body: &Value) -> Result<Response, ApiError> {
        let format = wanted_format(call)?;
        let world = self.world();
        let owner = &call.segments[..call.segments.len() - 1];
        let scope = match resource::resolve(&world, &call.web, &call.viewer, owner)? {
            Node::List(id) => Scope::List(id),
            Node::Web(id) => Scope::Web(id),
            Node::Site(id) => Scope::Site(id),
            _ => return Err(ApiError::no_resource("getchanges")),
        };
        let query = Query::read(body, &scope)?;
        let now = call.viewer.now;
        if query.start.as_ref().is_some_and(|token| expired(token, now)) {
            match self.switches().expired_tokens {
                ExpiredTokens::Error => return Err(ApiError::token_refused()),
                ExpiredTokens::Silent => return Ok(empty_log(call, format)),
            }
        }
        let wanted = world
            .log
            .read(&scope, query.start.as_ref(), query.end.as_ref(), now)
            .filter(|change| query.wants(change));
        let mut found: Vec<&Change> = wanted.collect();
        if query.latest_first {
            found.reverse();
        }
        let rows: Vec<Entity> =
            found.into_iter().take(query.limit).map(|change| entity(&world, &scope, change)).collect();
        let renderer = Renderer { format, base: call.base.clone() };
        Ok(answer::json(format, StatusCode::OK, &renderer.collection("SP.Change", &rows, None)))
    }
}

fn empty_log(call: &Call, format: super::odata::Format) -> Response {
    let renderer = Renderer { format, base: call.base.clone() };
    answer::json(format, StatusCode::OK, &renderer.collection("SP.Change", &[], None))
}

fn entity(world: &World, scope: &Scope, change: &Change) -> Entity {
    let kind = match change.subject {
        ChangeSubject::Item { .. } => "SP.ChangeItem",
        ChangeSubject::List(_) => "SP.ChangeList",
        ChangeSubject::Field { .. } => "SP.ChangeField",
        ChangeSubject::ContentType { .. } => "SP.ChangeContentType",
        ChangeSubject::View { .. } => "SP.ChangeView",
        ChangeSubject::Web(_) => "SP.ChangeWeb",
        ChangeSubject::Group { .. } => "SP.ChangeGroup",
    };
    let token = Token { scope: scope.clone(), time: change.time, number: Some(change.number) };
    let entity = Entity::new(kind, format!("{kind}{}", change.number))
        .with_complex("ChangeToken", "SP.ChangeToken", vec![("StringValue", json!(token.text()))])
        .with("ChangeType", change.kind as u32)
        .with("SiteId", change.site.as_str())
        .with("Time", iso_seconds(change.time))
        .with("WebId", change.web.as_str());
    match &change.subject {
        ChangeSubject::Item { at, unique_id } => entity
            .with("ItemId", at.id)
            .with("ListId", at.list.as_str())
            .with("UniqueId", unique_id.as_str())
            .with("ServerRelativeUrl", ""),
        ChangeSubject::List(list) => {
            let known = world.lists.get(list);
            entity
                .with("BaseTemplate", known.map_or(0, |list| list.template.number()))
                .with("Hidden", known.is_some_and(|list| list.hidden))
                .with("ListId", list.as_str())
                .with("Title", known.map_or("", |list| list.title.as_str()))
        }
        ChangeSubject::Field { list, field } => {
            entity.with("FieldId", field.as_str()).with("ListId", list.as_str())
        }
        ChangeSubject::ContentType { list, id } => entity
            .with_complex("ContentTypeId", "SP.ContentTypeId", vec![("StringValue", json!(id))])
            .with("ListId", list.as_str()),
        ChangeSubject::View { list, view } => {
            entity.with("ListId", list.as_str()).with("ViewId", view.as_str())
        }
        ChangeSubject::Web(_) => entity,
        ChangeSubject::Group { id } => entity.with("GroupId", *id),
    }
}
