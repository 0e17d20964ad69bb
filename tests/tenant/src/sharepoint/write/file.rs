//! Adding files, folders and attachments by name; replacing their content; moving files.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::super::call::Call;
use super::super::error::ApiError;
use super::super::model::{EditError, FolderRef, ItemRef, Located, World};
use super::super::odata::Literal;
use super::super::resource::{FolderNode, Node};
use super::super::{SharePoint, answer};
use super::show;
use crate::content::FileBody;

impl SharePoint {
    /// `…/Files/Add`, `…/Folders/Add`, `…/AttachmentFiles/Add` and their kin with a path.
    pub(super) fn add_named(self: &Arc<Self>, call: &Call, content: FileBody) -> Result<Response, ApiError> {
        let last = call.last()?;
        let names = ["decodedurl", "url", "filename"];
        let name = names.iter().find_map(|name| last.argument(name)).and_then(Literal::text);
        let name = name.ok_or_else(|| ApiError::bad_query("The name is missing."))?;
        let overwrite =
            last.argument("overwrite") == Some(&Literal::Bool(true)) || last.name == "getbypathoraddstub";
        match self.target(call, &call.segments[..call.segments.len() - 1])? {
            Node::Files(FolderNode::InList(folder)) => {
                self.add_file(call, &folder, &name, content, overwrite)
            }
            Node::Folders(folder) => self.add_folder(call, &folder, &name),
            Node::Attachments(at) => {
                let mut world = self.world();
                world.attach(&at, &name, content, false, call.actor())?;
                show(call, &world, &Node::Attachment(at, name), StatusCode::OK)
            }
            _ => Err(ApiError::bad_query("Nothing can be added here.")),
        }
    }

    fn add_file(
        self: &Arc<Self>,
        call: &Call,
        folder: &FolderRef,
        name: &str,
        content: FileBody,
        overwrite: bool,
    ) -> Result<Response, ApiError> {
        let mut world = self.world();
        let folder = folder_of_name(&world, folder, name)?;
        let leaf = name.rsplit('/').next().unwrap_or(name);
        let list = world.lists.get(&folder.list).ok_or_else(|| ApiError::list_missing(leaf))?;
        if !list.is_library() {
            return Err(ApiError::bad_query("Files live in document libraries."));
        }
        let there = list.child(folder.folder, leaf).map(|item| (item.id, item.is_folder()));
        let at = match there {
            None => world.add_file(&folder, leaf, content, call.actor())?,
            Some((id, false)) if overwrite => {
                let at = ItemRef { list: folder.list.clone(), id };
                world.replace_body(&at, content, call.actor())?;
                at
            }
            Some(_) => return Err(EditError::NameTaken.into()),
        };
        show(call, &world, &Node::File(at), StatusCode::OK)
    }

    fn add_folder(&self, call: &Call, folder: &FolderNode, name: &str) -> Result<Response, ApiError> {
        let mut world = self.world();
        let (parent, leaf) = parent_of(&world, call, folder, name)?;
        let list = world.lists.get(&parent.list).ok_or_else(|| ApiError::list_missing(name))?;
        // A folder that is there already is simply shown.
        let id = match list.child(parent.folder, &leaf) {
            Some(item) if item.is_folder() => item.id,
            Some(_) => return Err(EditError::NameTaken.into()),
            None => world.add_folder(&parent, &leaf, call.actor())?.id,
        };
        let made = FolderNode::InList(FolderRef { list: parent.list, folder: Some(id) });
        show(call, &world, &Node::Folder(made), StatusCode::OK)
    }

    /// `POST …/folders` with an entity.
    pub(super) fn create_folder_entity(
        &self,
        call: &Call,
        folder: &FolderNode,
        body: &Value,
    ) -> Result<Response, ApiError> {
        call.check_entity(body)?;
        let name = body.get("ServerRelativeUrl").and_then(Value::as_str);
        let name = name.ok_or_else(|| ApiError::bad_query("A folder needs a ServerRelativeUrl."))?;
        self.add_folder(call, folder, name)
    }

    /// `PUT …/$value` and `SaveBinaryStream`.
    pub(super) fn replace_content(&self, call: &Call, content: FileBody) -> Result<Response, ApiError> {
        let node = self.target(call, &call.segments[..call.segments.len() - 1])?;
        let mut world = self.world();
        match node {
            Node::File(at) => {
                let etag = world.item(&at).map(super::super::model::Item::etag_text);
                call.check_etag(etag.as_deref())?;
                world.replace_body(&at, content, call.actor())?;
            }
            Node::Attachment(at, name) => world.attach(&at, &name, content, true, call.actor())?,
            _ => return Err(ApiError::bad_query("This has no content.")),
        }
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    /// `MoveTo` and `MoveToUsingPath`.
    pub(super) fn move_file(&self, call: &Call) -> Result<Response, ApiError> {
        let Node::File(at) = self.target(call, &call.segments[..call.segments.len() - 1])? else {
            return Err(ApiError::file_missing());
        };
        let last = call.last()?;
        let target =
            ["newurl", "decodedurl"].iter().find_map(|name| last.argument(name)).and_then(Literal::text);
        let target = target.ok_or_else(|| ApiError::bad_query("The new address is missing."))?;
        let (folder, leaf) = target.rsplit_once('/').ok_or_else(|| ApiError::foreign_path(&target))?;
        let mut world = self.world();
        let web = world.webs.get(&call.web).ok_or_else(ApiError::file_missing)?;
        let Some(Located::Folder(to)) = world.locate(web, folder) else {
            return Err(ApiError::file_missing());
        };
        if to.list == at.list {
            world.relocate(&at, to.folder, leaf, call.actor())?;
        } else {
            let moved = world.move_file(&at, &to, call.actor())?;
            if world.item(&moved).is_some_and(|item| item.leaf != leaf) {
                world.relocate(&moved, to.folder, leaf, call.actor())?;
            }
        }
        Ok(answer::empty(StatusCode::OK))
    }
}

/// A name may be a whole path, which then must lie in the folder it is added to.
fn folder_of_name(world: &World, folder: &FolderRef, name: &str) -> Result<FolderRef, ApiError> {
    let Some((path, _)) = name.rsplit_once('/') else { return Ok(folder.clone()) };
    let list = world.lists.get(&folder.list).ok_or_else(|| ApiError::list_missing(name))?;
    if list.folder_path(folder.folder).eq_ignore_ascii_case(path) {
        Ok(folder.clone())
    } else {
        Err(ApiError::foreign_path(name))
    }
}

/// The folder a new one goes into, and its name.
fn parent_of(
    world: &World,
    call: &Call,
    folder: &FolderNode,
    name: &str,
) -> Result<(FolderRef, String), ApiError> {
    let web = world.webs.get(&call.web).ok_or_else(ApiError::file_missing)?;
    let path = match folder {
        _ if name.starts_with('/') => name.to_string(),
        FolderNode::InList(FolderRef { list, folder }) => {
            let list = world.lists.get(list).ok_or_else(|| ApiError::list_missing(name))?;
            format!("{}/{name}", list.folder_path(*folder))
        }
        FolderNode::WebRoot(_) => web.join(name),
        FolderNode::Lists(_) => web.join(&format!("Lists/{name}")),
    };
    let (parent, leaf) = path.rsplit_once('/').ok_or_else(|| ApiError::foreign_path(&path))?;
    match world.locate(web, parent) {
        Some(Located::Folder(parent)) => Ok((parent, leaf.to_string())),
        Some(_) => Err(ApiError::file_missing()),
        None => Err(ApiError::foreign_path(&path)),
    }
}
