//! What an address, an id or a name leads to.

use super::node::{FolderNode, Node};
use super::step::web_of;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{FolderRef, Guid, ItemKind, ItemRef, Located, Web, World};
use crate::sharepoint::odata::{Literal, decode};

type Found = Result<Node, ApiError>;

/// What the older `…ByServerRelativeUrl` makes of its argument: it decodes once more and stops at `#`.
pub(super) fn as_url(text: &str) -> Result<String, ApiError> {
    let decoded = decode(text).ok_or_else(|| ApiError::foreign_path(text))?;
    Ok(decoded.split('#').next().unwrap_or_default().to_string())
}

pub(super) fn file_at(world: &World, web: &Web, path: &str) -> Found {
    match world.locate(web, &absolute(web, path)) {
        Some(Located::File(at)) => Ok(Node::File(at)),
        Some(Located::Attachment(at, name)) => Ok(Node::Attachment(at, name)),
        Some(_) => Err(ApiError::file_missing()),
        None => Err(ApiError::foreign_path(path)),
    }
}

pub(super) fn folder_at(world: &World, web: &Web, path: &str) -> Found {
    match world.locate(web, &absolute(web, path)) {
        Some(Located::Folder(folder)) => Ok(Node::Folder(FolderNode::InList(folder))),
        Some(Located::WebRoot) => Ok(Node::Folder(FolderNode::WebRoot(web.id.clone()))),
        Some(Located::Nothing) if absolute(web, path).eq_ignore_ascii_case(&web.join("Lists")) => {
            Ok(Node::Folder(FolderNode::Lists(web.id.clone())))
        }
        Some(_) => Err(ApiError::file_missing()),
        None => Err(ApiError::foreign_path(path)),
    }
}

/// A path that does not begin with a slash is below the web.
fn absolute(web: &Web, path: &str) -> String {
    if path.starts_with('/') { path.to_string() } else { web.join(path) }
}

fn in_web<'a>(world: &'a World, web: &Web, id: &Guid) -> Option<&'a ItemRef> {
    let at = world.by_unique_id(id)?;
    (world.list_of(at)?.web == web.id).then_some(at)
}

pub(super) fn file_by_id(world: &World, web: &Web, id: &Guid) -> Found {
    let at = in_web(world, web, id).ok_or_else(ApiError::file_missing)?;
    match world.item(at).map(|item| &item.kind) {
        Some(ItemKind::File(_)) => Ok(Node::File(at.clone())),
        _ => Err(ApiError::file_missing()),
    }
}

pub(super) fn folder_by_id(world: &World, web: &Web, id: &Guid) -> Found {
    let root = world.lists_of(&web.id).into_iter().find(|list| list.root_unique_id == *id);
    if let Some(list) = root {
        return Ok(Node::Folder(FolderNode::InList(FolderRef { list: list.id.clone(), folder: None })));
    }
    let at = in_web(world, web, id).ok_or_else(ApiError::file_missing)?;
    match world.item(at) {
        Some(item) if item.is_folder() => {
            Ok(Node::Folder(FolderNode::InList(FolderRef { list: at.list.clone(), folder: Some(at.id) })))
        }
        _ => Err(ApiError::file_missing()),
    }
}

pub(super) fn file_named(world: &World, folder: &FolderNode, name: &str) -> Found {
    let FolderNode::InList(FolderRef { list, folder }) = folder else { return Err(ApiError::file_missing()) };
    let leaf = name.rsplit('/').next().unwrap_or(name);
    let item =
        world.lists.get(list).and_then(|list| list.child(*folder, leaf)).filter(|item| item.body().is_some());
    let item = item.ok_or_else(ApiError::file_missing)?;
    Ok(Node::File(ItemRef { list: list.clone(), id: item.id }))
}

pub(super) fn folder_named(world: &World, folder: &FolderNode, name: &str) -> Found {
    match folder {
        FolderNode::WebRoot(web) | FolderNode::Lists(web) => {
            let web = web_of(world, web)?;
            let below = if matches!(folder, FolderNode::Lists(_)) {
                format!("Lists/{name}")
            } else {
                name.to_string()
            };
            folder_at(world, web, &if name.starts_with('/') { name.to_string() } else { web.join(&below) })
        }
        FolderNode::InList(FolderRef { list, folder }) => {
            let leaf = name.rsplit('/').next().unwrap_or(name);
            let found = world.lists.get(list).and_then(|list| list.child(*folder, leaf));
            let item = found.filter(|item| item.is_folder()).ok_or_else(ApiError::file_missing)?;
            Ok(Node::Folder(FolderNode::InList(FolderRef { list: list.clone(), folder: Some(item.id) })))
        }
    }
}

pub(super) fn attachment(world: &World, at: &ItemRef, name: &str) -> Found {
    let item = world.item(at).ok_or_else(ApiError::item_missing)?;
    let found = item.attachment(name).ok_or_else(ApiError::file_missing)?;
    Ok(Node::Attachment(at.clone(), found.name.clone()))
}

pub(super) fn user(world: &World, id: u32) -> Found {
    world.person(id).map(|person| Node::User(person.id)).ok_or_else(ApiError::unknown_user)
}

pub(super) fn person_key(world: &World, key: &Literal) -> Found {
    if let Literal::Text(login) = key {
        let person = world.people.iter().find(|person| person.login() == *login);
        return person.map(|person| Node::User(person.id)).ok_or_else(ApiError::unknown_user);
    }
    let id = key.number().and_then(|number| u32::try_from(number).ok());
    user(world, id.ok_or_else(ApiError::unknown_user)?)
}
