//! Requests that change something.

mod file;
mod item;
mod list;
mod upload;
mod values;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::Response;
use futures::StreamExt;
use serde_json::Value;

use super::api::wanted_format;
use super::call::{Call, Verb};
use super::error::ApiError;
use super::model::{Actor, ChangeKind, World};
use super::odata::{Renderer, Segment};
use super::resource::{self, Node, project};
use super::{SharePoint, answer};
use crate::content::{BodyWriter, FileBody};

pub(super) use upload::Uploads;

/// Largest JSON body, in bytes.
const JSON_BYTES_MAX: usize = 2 << 20;
/// Largest content in one request, in bytes.
const CONTENT_BYTES_MAX: u64 = 262_144_000;

/// Reads a JSON body; the one thing an empty one can be is nothing at all.
pub(super) async fn json_body(call: &Call, body: Body) -> Result<Value, ApiError> {
    let bytes = to_bytes(body, JSON_BYTES_MAX).await.map_err(|_| ApiError::too_big())?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if !call.header("content-type").unwrap_or_default().to_ascii_lowercase().starts_with("application/json") {
        return Err(ApiError::bad_query(
            "The HTTP header Content-Type is missing or its value is not supported.",
        ));
    }
    serde_json::from_slice(&bytes)
        .map_err(|_| ApiError::bad_query("Invalid JSON. The content is not a JSON object."))
}

/// Reads content as it comes and keeps it.
async fn content_body(body: Body) -> Result<FileBody, ApiError> {
    let mut writer = BodyWriter::default();
    fill(&mut writer, body).await?;
    Ok(writer.finish())
}

async fn fill(writer: &mut BodyWriter, body: Body) -> Result<(), ApiError> {
    let mut pieces = body.into_data_stream();
    let start = writer.length();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| ApiError::bad_query("The request's body ended too early."))?;
        if writer.length() - start + piece.len() as u64 > CONTENT_BYTES_MAX {
            return Err(ApiError::too_big());
        }
        writer.push(&piece)?;
    }
    Ok(())
}

impl Call {
    fn actor(&self) -> Actor {
        Actor { person: self.viewer.person, now: self.viewer.now }
    }

    fn last(&self) -> Result<&Segment, ApiError> {
        self.segments.last().ok_or_else(|| ApiError::no_resource(""))
    }

    /// Whether the body is in the verbose form, which must carry type names.
    fn is_verbose_body(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("odata=verbose"))
    }

    /// Checks that an entity to be created or changed names its type in the verbose form, and only there.
    fn check_entity(&self, body: &Value) -> Result<(), ApiError> {
        let kind = body.get("__metadata").map(|metadata| metadata.get("type").and_then(Value::as_str));
        match (self.is_verbose_body(), kind) {
            (true, Some(Some(_))) | (false, None) => Ok(()),
            (true, _) => Err(ApiError::bad_query(
                "An entry without a type name was found, but no expected type was specified. To allow entries \
                 without type information, the expected type must also be specified when the model is specified.",
            )),
            (false, Some(_)) => Err(ApiError::bad_query(
                "The property '__metadata' does not exist on the type. Make sure to only use property names that \
                 are defined by the type.",
            )),
        }
    }

    /// Compares `If-Match` with what is held. Changing and deleting need the header.
    fn check_etag(&self, held: Option<&str>) -> Result<(), ApiError> {
        let needed = matches!(self.verb, Verb::Merge | Verb::Delete);
        match (self.header("if-match"), held) {
            (None, _) if needed => Err(ApiError::etag_mismatch("", held.unwrap_or_default())),
            (Some(sent), Some(held)) if sent != "*" && !sent.eq_ignore_ascii_case(held) => {
                Err(ApiError::etag_mismatch(sent, held))
            }
            _ => Ok(()),
        }
    }
}

impl SharePoint {
    /// Carries out a change.
    pub(super) async fn write(self: &Arc<Self>, call: &Call, body: Body) -> Result<Response, ApiError> {
        match (call.verb, call.last_name()) {
            (Verb::Post, "startupload" | "continueupload" | "finishupload" | "cancelupload") => {
                return self.upload(call, body).await;
            }
            (Verb::Put, "$value") | (Verb::Post, "savebinarystream") => {
                let content = content_body(body).await?;
                return self.replace_content(call, content);
            }
            (Verb::Post, "add" | "addusingpath" | "getbypathoraddstub") => {
                let content = content_body(body).await?;
                return self.add_named(call, content);
            }
            _ => {}
        }
        let json = json_body(call, body).await?;
        match (call.verb, call.last_name()) {
            (Verb::Delete, _) => self.delete(call, &call.segments),
            (Verb::Post, "recycle" | "deleteobject" | "recycleobject") => {
                let owner = &call.segments[..call.segments.len() - 1];
                let answer = self.delete(call, owner)?;
                if call.last_name() == "deleteobject" { Ok(answer) } else { self.recycled(call) }
            }
            (Verb::Post, "checkout" | "checkin" | "publish" | "approve" | "undocheckout") => {
                self.check_out(call)
            }
            (Verb::Post, "addvalidateupdateitemusingpath") => self.add_validated(call, &json),
            (Verb::Post, "validateupdatelistitem") => self.update_validated(call, &json),
            (Verb::Post, "createfieldasxml") => self.create_field(call, &json),
            (Verb::Post, "ensureuser") => self.ensure_user(call, &json),
            (Verb::Post, "moveto" | "movetousingpath") => self.move_file(call),
            _ => match (call.verb, self.target(call, &call.segments)?) {
                (Verb::Post, Node::Lists(web)) => self.create_list(call, &web, &json),
                (Verb::Merge, Node::List(list)) => self.update_list(call, &list, &json),
                (Verb::Post, Node::Items(list)) => self.create_item(call, &list, &json),
                (Verb::Merge, Node::Item(at)) => self.update_item(call, &at, &json),
                (Verb::Post, Node::Fields(list)) => self.create_plain_field(call, &list, &json),
                (Verb::Post, Node::Folders(folder)) => self.create_folder_entity(call, &folder, &json),
                _ => Err(ApiError::bad_query(format!("'{}' does not take this request.", call.operation))),
            },
        }
    }

    fn target(&self, call: &Call, segments: &[Segment]) -> Result<Node, ApiError> {
        resource::resolve(&self.world(), &call.web, &call.viewer, segments)
    }

    fn check_out(&self, call: &Call) -> Result<Response, ApiError> {
        let node = self.target(call, &call.segments[..call.segments.len() - 1])?;
        if let Node::File(at) = node {
            let (mut world, actor) = (self.world(), call.actor());
            match call.last_name() {
                "publish" => world.publish(&at, actor)?,
                "checkout" => world.touch(&at, ChangeKind::SystemUpdate, actor, |item| {
                    item.checked_out = Some(actor.person);
                })?,
                "checkin" | "undocheckout" => {
                    world.touch(&at, ChangeKind::SystemUpdate, actor, |item| item.checked_out = None)?;
                }
                _ => {}
            }
        }
        Ok(answer::empty(StatusCode::OK))
    }

    fn recycled(&self, call: &Call) -> Result<Response, ApiError> {
        let id = self.world().new_guid();
        value(call, "Recycle", &Value::String(id.to_string()))
    }

    fn ensure_user(&self, call: &Call, body: &Value) -> Result<Response, ApiError> {
        let named = call.last()?.first().and_then(super::odata::Literal::text);
        let login = named.or_else(|| body.get("logonName").and_then(Value::as_str).map(str::to_string));
        let login = login.ok_or_else(|| ApiError::bad_query("The parameter logonName is missing."))?;
        let user = login.rsplit('|').next().unwrap_or(&login);
        let world = self.world();
        let person = world.person_of(user).ok_or_else(ApiError::unknown_user)?.id;
        show(call, &world, &Node::User(person), StatusCode::OK)
    }
}

/// The answer that shows an entity just made or changed.
fn show(call: &Call, world: &World, node: &Node, status: StatusCode) -> Result<Response, ApiError> {
    let format = wanted_format(call)?;
    let entity = project(world, &call.viewer, node, &call.options)?.ok_or_else(ApiError::item_missing)?;
    let renderer = Renderer { format, base: call.base.clone() };
    Ok(answer::json(format, status, &renderer.entity(&entity)))
}

/// The answer of a function with a plain result.
fn value(call: &Call, function: &str, value: &Value) -> Result<Response, ApiError> {
    let format = wanted_format(call)?;
    let renderer = Renderer { format, base: call.base.clone() };
    Ok(answer::json(format, StatusCode::OK, &renderer.value(function, value)))
}
