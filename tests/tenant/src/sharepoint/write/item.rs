//! Creating, changing and deleting items.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::api::wanted_format;
use super::super::call::Call;
use super::super::error::ApiError;
use super::super::model::{Actor, ChangeKind, FolderRef, Guid, ItemRef, List, Located, World};
use super::super::odata::{Format, Segment};
use super::super::resource::{FolderNode, Node};
use super::super::{SharePoint, answer};
use super::show;
use super::values::{FormChange, FormResult, from_entity, from_form};

fn list_of<'a>(world: &'a World, id: &Guid) -> Result<&'a List, ApiError> {
    world.lists.get(id).ok_or_else(|| ApiError::list_missing(id.as_str()))
}

impl SharePoint {
    pub(super) fn create_item(&self, call: &Call, id: &Guid, body: &Value) -> Result<Response, ApiError> {
        call.check_entity(body)?;
        let mut world = self.world();
        let list = list_of(&world, id)?;
        if list.is_library() {
            return Err(ApiError::bad_query(
                "To add an item to a document library, use SPFileCollection.Add()",
            ));
        }
        let values = from_entity(list, body)?;
        let at = world.add_entry(&FolderRef { list: id.clone(), folder: None }, values, call.actor())?;
        show(call, &world, &Node::Item(at), StatusCode::CREATED)
    }

    pub(super) fn update_item(&self, call: &Call, at: &ItemRef, body: &Value) -> Result<Response, ApiError> {
        call.check_entity(body)?;
        let mut world = self.world();
        let item = world.item(at).ok_or_else(ApiError::item_missing)?;
        call.check_etag(Some(&item.etag_text()))?;
        let values = from_entity(list_of(&world, &at.list)?, body)?;
        world.touch(at, ChangeKind::Update, call.actor(), |item| item.values.extend(values))?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    /// `AddValidateUpdateItemUsingPath`: an item or, with `UnderlyingObjectType` 1, a folder.
    pub(super) fn add_validated(self: &Arc<Self>, call: &Call, body: &Value) -> Result<Response, ApiError> {
        let Node::List(id) = self.target(call, &call.segments[..call.segments.len() - 1])? else {
            return Err(ApiError::no_resource(call.last_name()));
        };
        let info = body
            .get("listItemCreateInfo")
            .ok_or_else(|| ApiError::bad_query("listItemCreateInfo is missing."))?;
        let mut world = self.world();
        let folder = match info.pointer("/FolderPath/DecodedUrl").and_then(Value::as_str) {
            None | Some("") => FolderRef { list: id.clone(), folder: None },
            Some(path) => folder_in(&world, call, &id, path)?,
        };
        let list = list_of(&world, &id)?;
        let (change, mut results) = from_form(&world, list, body)?;
        let mut made = 0;
        if results.iter().all(|result| result.error.is_none()) {
            let actor = call.actor();
            let at = if info.get("UnderlyingObjectType").and_then(Value::as_u64) == Some(1) {
                let leaf = info.get("LeafName").and_then(Value::as_str).map(str::to_string);
                let title = change.values.get("Title").and_then(Value::as_str).map(str::to_string);
                let name = leaf.or(change.leaf.clone()).or(title);
                world.add_folder(
                    &folder,
                    &name.ok_or_else(|| ApiError::bad_query("A folder needs a name."))?,
                    actor,
                )?
            } else {
                world.add_entry(&folder, change.values.clone(), actor)?
            };
            apply_system(&mut world, &at, &change, actor)?;
            made = at.id;
            results.push(FormResult { name: "Id".into(), value: at.id.to_string(), error: None });
        }
        form_answer(call, "AddValidateUpdateItemUsingPath", &results, made)
    }

    /// `ValidateUpdateListItem`.
    pub(super) fn update_validated(&self, call: &Call, body: &Value) -> Result<Response, ApiError> {
        let Node::Item(at) = self.target(call, &call.segments[..call.segments.len() - 1])? else {
            return Err(ApiError::no_resource(call.last_name()));
        };
        let keeps_version = body.get("bNewDocumentUpdate").and_then(Value::as_bool).unwrap_or(false);
        let mut world = self.world();
        let (change, results) = from_form(&world, list_of(&world, &at.list)?, body)?;
        if results.iter().all(|result| result.error.is_none()) {
            let actor = call.actor();
            let before = world.item(&at).ok_or_else(ApiError::item_missing)?.clone();
            let values = change.values.clone();
            world.touch(&at, ChangeKind::Update, actor, |item| {
                item.values.extend(values);
                if keeps_version {
                    item.ui_version = before.ui_version;
                    item.history.clone_from(&before.history);
                }
            })?;
            if let Some(leaf) = &change.leaf {
                world.relocate(&at, before.parent, leaf, actor)?;
            }
            apply_system(&mut world, &at, &change, actor)?;
        }
        form_answer(call, "ValidateUpdateListItem", &results, at.id)
    }

    /// Deletes what `segments` name: a list, an item, a file, a folder or an attachment.
    pub(super) fn delete(&self, call: &Call, segments: &[Segment]) -> Result<Response, ApiError> {
        let node = self.target(call, segments)?;
        let mut world = self.world();
        let now = call.viewer.now;
        match node {
            Node::List(id) => {
                call.check_etag(None)?;
                world.delete_list(&id, now)?;
            }
            Node::Item(at) | Node::File(at) => {
                let etag = world.item(&at).map(super::super::model::Item::etag_text);
                call.check_etag(etag.as_deref())?;
                world.delete(&at, now)?;
            }
            Node::Folder(FolderNode::InList(FolderRef { list, folder: Some(id) })) => {
                call.check_etag(None)?;
                world.delete(&ItemRef { list, id }, now)?;
            }
            Node::Attachment(at, name) => world.detach(&at, &name, call.actor())?,
            _ => return Err(ApiError::bad_query("This cannot be deleted.")),
        }
        Ok(answer::empty(StatusCode::OK))
    }
}

fn folder_in(world: &World, call: &Call, list: &Guid, path: &str) -> Result<FolderRef, ApiError> {
    let web = world.webs.get(&call.web).ok_or_else(ApiError::item_missing)?;
    match world.locate(web, path) {
        Some(Located::Folder(folder)) if folder.list == *list => Ok(folder),
        Some(_) => Err(ApiError::file_missing()),
        None => Err(ApiError::foreign_path(path)),
    }
}

/// Sets author, editor and times, without another version or log entry.
fn apply_system(world: &mut World, at: &ItemRef, change: &FormChange, actor: Actor) -> Result<(), ApiError> {
    let (author, editor, created, modified) = (change.author, change.editor, change.created, change.modified);
    if author.is_none() && editor.is_none() && created.is_none() && modified.is_none() {
        return Ok(());
    }
    world.touch(at, ChangeKind::SystemUpdate, actor, |item| {
        item.author = author.unwrap_or(item.author);
        item.editor = editor.unwrap_or(item.editor);
        item.created = created.unwrap_or(item.created);
        item.modified = modified.unwrap_or(item.modified);
    })?;
    Ok(())
}

fn form_answer(call: &Call, function: &str, results: &[FormResult], item: u32) -> Result<Response, ApiError> {
    let format = wanted_format(call)?;
    let rows: Vec<Value> = results.iter().map(|result| result.json(item)).collect();
    let body = match format {
        Format::Verbose => json!({"d": {function: {"results": rows}}}),
        Format::Minimal => {
            json!({"odata.metadata": format!("{}$metadata#Collection", call.base), "value": rows})
        }
        Format::Bare => json!({"value": rows}),
    };
    Ok(answer::json(format, StatusCode::OK, &body))
}
