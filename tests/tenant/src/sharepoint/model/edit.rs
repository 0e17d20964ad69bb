//! Every way the content changes; each change leaves its entry in the log.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Attachment, ChangeKind, ChangeSubject, FolderRef, Guid, Item, ItemKind, ItemRef, MAJOR, OldVersion, World,
};
use crate::clock::UnixMillis;
use crate::content::FileBody;

/// Older versions kept of a file, `MajorVersionLimit` less the current one.
const VERSIONS_MAX: usize = 499;
/// Longest server-relative address, in characters.
const PATH_CHARS_MAX: usize = 400;

/// Why a change was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("the name is taken")]
    NameTaken,
    #[error("the name holds what SharePoint forbids")]
    BadName,
    #[error("the address is too long")]
    TooLong,
    #[error("there is no such object")]
    NotFound,
    #[error("a list of this title exists")]
    TitleTaken,
}

/// Who changes something, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Actor {
    pub(crate) person: u32,
    pub(crate) now: UnixMillis,
}

/// Checks one part of an address.
pub(crate) fn check_name(name: &str) -> Result<(), EditError> {
    let reserved =
        ["con", "prn", "aux", "nul", ".lock", "desktop.ini"].contains(&name.to_lowercase().as_str());
    let bad = name.is_empty()
        || reserved
        || name.chars().any(|letter| "\"*:<>?/\\|".contains(letter) || letter.is_control())
        || name.starts_with([' '])
        || name.ends_with([' ', '.'])
        || name.starts_with("~$")
        || name.contains("_vti_");
    if bad { Err(EditError::BadName) } else { Ok(()) }
}

/// Gives an item its next version; what a file was becomes an older one.
fn next_version(item: &mut Item, minor: bool) {
    if let ItemKind::File(body) = &item.kind {
        let (body, created, editor) = (body.clone(), item.modified, item.editor);
        item.history.push(OldVersion { ui_version: item.ui_version, body, created, editor });
        let excess = item.history.len().saturating_sub(VERSIONS_MAX);
        item.history.drain(..excess);
    }
    item.ui_version = if minor { item.ui_version + 1 } else { (item.ui_version / MAJOR + 1) * MAJOR };
}

impl World {
    pub(super) fn note(&mut self, at: &ItemRef, kind: ChangeKind, now: UnixMillis) {
        let Some((list, item)) =
            self.lists.get(&at.list).and_then(|list| Some((list, list.items.get(&at.id)?)))
        else {
            return;
        };
        let subject = ChangeSubject::Item { at: at.clone(), unique_id: item.unique_id.clone() };
        let web = list.web.clone();
        self.note_in(&web, kind, subject, now);
    }

    pub(super) fn note_in(&mut self, web: &Guid, kind: ChangeKind, subject: ChangeSubject, now: UnixMillis) {
        if let Some(web) = self.webs.get(web) {
            self.log.push(now, (web.site.clone(), web.id.clone()), kind, subject);
        }
    }

    fn add_item(
        &mut self,
        folder: &FolderRef,
        leaf: Option<&str>,
        kind: ItemKind,
        values: BTreeMap<String, Value>,
        actor: Actor,
    ) -> Result<ItemRef, EditError> {
        if let Some(leaf) = leaf {
            check_name(leaf)?;
        }
        let unique_id = self.new_guid();
        let list = self.lists.get_mut(&folder.list).ok_or(EditError::NotFound)?;
        if folder.folder.is_some_and(|id| !list.items.get(&id).is_some_and(Item::is_folder)) {
            return Err(EditError::NotFound);
        }
        if leaf.is_some_and(|leaf| list.child(folder.folder, leaf).is_some()) {
            return Err(EditError::NameTaken);
        }
        let id = list.take_id();
        let leaf = leaf.map_or_else(|| format!("{id}_.000"), str::to_string);
        if list.folder_path(folder.folder).chars().count() + leaf.chars().count() + 1 > PATH_CHARS_MAX {
            return Err(EditError::TooLong);
        }
        list.insert(Item {
            id,
            unique_id: unique_id.clone(),
            kind,
            parent: folder.folder,
            leaf,
            created: actor.now,
            modified: actor.now,
            author: actor.person,
            editor: actor.person,
            ui_version: if list.minor_versions { 1 } else { MAJOR },
            contents: 1,
            history: Vec::new(),
            etag: 1,
            values,
            attachments: Vec::new(),
            acl: None,
            checked_out: None,
        });
        list.modified = list.modified.max(actor.now);
        let at = ItemRef { list: folder.list.clone(), id };
        self.unique.insert(unique_id, at.clone());
        self.note(&at, ChangeKind::Add, actor.now);
        Ok(at)
    }

    pub(crate) fn add_file(
        &mut self,
        folder: &FolderRef,
        name: &str,
        body: FileBody,
        actor: Actor,
    ) -> Result<ItemRef, EditError> {
        self.add_item(folder, Some(name), ItemKind::File(body), BTreeMap::new(), actor)
    }

    pub(crate) fn add_folder(
        &mut self,
        folder: &FolderRef,
        name: &str,
        actor: Actor,
    ) -> Result<ItemRef, EditError> {
        self.add_item(folder, Some(name), ItemKind::Folder, BTreeMap::new(), actor)
    }

    /// Adds a plain list item; the values are taken as they are.
    pub(crate) fn add_entry(
        &mut self,
        folder: &FolderRef,
        values: BTreeMap<String, Value>,
        actor: Actor,
    ) -> Result<ItemRef, EditError> {
        self.add_item(folder, None, ItemKind::Entry, values, actor)
    }

    /// Changes an item in place and logs it as `kind`.
    pub(crate) fn touch(
        &mut self,
        at: &ItemRef,
        kind: ChangeKind,
        actor: Actor,
        change: impl FnOnce(&mut Item),
    ) -> Result<(), EditError> {
        let list = self.lists.get_mut(&at.list).ok_or(EditError::NotFound)?;
        let item = list.items.get_mut(&at.id).ok_or(EditError::NotFound)?;
        if kind == ChangeKind::Update {
            next_version(item, list.minor_versions);
        }
        if kind != ChangeKind::SystemUpdate {
            item.modified = actor.now;
            item.editor = actor.person;
        }
        item.etag += 1;
        change(item);
        list.modified = list.modified.max(actor.now);
        self.note(at, kind, actor.now);
        Ok(())
    }

    pub(crate) fn replace_body(
        &mut self,
        at: &ItemRef,
        body: FileBody,
        actor: Actor,
    ) -> Result<(), EditError> {
        self.touch(at, ChangeKind::Update, actor, |item| {
            item.kind = ItemKind::File(body);
            item.contents += 1;
        })
    }

    /// Makes the draft of a file its next major version.
    pub(crate) fn publish(&mut self, at: &ItemRef, actor: Actor) -> Result<(), EditError> {
        let before = self.item(at).ok_or(EditError::NotFound)?.clone();
        self.touch(at, ChangeKind::SystemUpdate, actor, |item| {
            item.ui_version = (before.ui_version / MAJOR + 1) * MAJOR;
        })
    }

    /// Renames an item or moves it inside its list.
    pub(crate) fn relocate(
        &mut self,
        at: &ItemRef,
        parent: Option<u32>,
        leaf: &str,
        actor: Actor,
    ) -> Result<(), EditError> {
        check_name(leaf)?;
        let list = self.lists.get_mut(&at.list).ok_or(EditError::NotFound)?;
        if list.child(parent, leaf).is_some_and(|other| other.id != at.id) {
            return Err(EditError::NameTaken);
        }
        if parent.is_some_and(|parent| list.subtree(at.id).contains(&parent)) {
            return Err(EditError::NotFound);
        }
        list.relocate(at.id, parent, leaf);
        self.touch(at, ChangeKind::Rename, actor, |_| ())
    }

    /// Moves a file to another list: a new number there, the same unique id.
    pub(crate) fn move_file(
        &mut self,
        at: &ItemRef,
        to: &FolderRef,
        actor: Actor,
    ) -> Result<ItemRef, EditError> {
        let item = self.item(at).ok_or(EditError::NotFound)?.clone();
        let target = self.lists.get(&to.list).ok_or(EditError::NotFound)?;
        if item.body().is_none() || target.child(to.folder, &item.leaf).is_some() {
            return Err(EditError::NameTaken);
        }
        self.note(at, ChangeKind::MoveAway, actor.now);
        if let Some(list) = self.lists.get_mut(&at.list) {
            list.remove(at.id);
        }
        let target = self.lists.get_mut(&to.list).ok_or(EditError::NotFound)?;
        let id = target.take_id();
        let there = ItemRef { list: to.list.clone(), id };
        self.unique.insert(item.unique_id.clone(), there.clone());
        target.insert(Item {
            id,
            parent: to.folder,
            etag: item.etag + 1,
            values: BTreeMap::new(),
            acl: None,
            ..item
        });
        self.note(&there, ChangeKind::MoveInto, actor.now);
        Ok(there)
    }

    /// Deletes an item; a folder with all below it, which leaves one entry for the folder alone.
    pub(crate) fn delete(&mut self, at: &ItemRef, now: UnixMillis) -> Result<(), EditError> {
        if self.item(at).is_none() {
            return Err(EditError::NotFound);
        }
        self.note(at, ChangeKind::Delete, now);
        self.recycle(at, now);
        let list = self.lists.get_mut(&at.list).ok_or(EditError::NotFound)?;
        for id in list.subtree(at.id) {
            if let Some(gone) = list.remove(id) {
                self.unique.remove(&gone.unique_id);
            }
        }
        list.modified = list.modified.max(now);
        Ok(())
    }

    /// Adds an attachment or, with `replace`, puts new bytes under its name.
    pub(crate) fn attach(
        &mut self,
        at: &ItemRef,
        name: &str,
        body: FileBody,
        replace: bool,
        actor: Actor,
    ) -> Result<(), EditError> {
        check_name(name)?;
        let item = self.item(at).ok_or(EditError::NotFound)?;
        if item.attachment(name).is_some() != replace {
            return Err(if replace { EditError::NotFound } else { EditError::NameTaken });
        }
        self.touch(at, ChangeKind::Update, actor, |item| {
            item.attachments.retain(|attachment| !attachment.name.eq_ignore_ascii_case(name));
            item.attachments.push(Attachment { name: name.to_string(), body });
        })
    }

    pub(crate) fn detach(&mut self, at: &ItemRef, name: &str, actor: Actor) -> Result<(), EditError> {
        if self.item(at).and_then(|item| item.attachment(name)).is_none() {
            return Err(EditError::NotFound);
        }
        self.touch(at, ChangeKind::Update, actor, |item| {
            item.attachments.retain(|attachment| !attachment.name.eq_ignore_ascii_case(name));
        })
    }
}
