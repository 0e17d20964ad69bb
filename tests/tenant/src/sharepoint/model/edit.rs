//! Every way the content changes; each change leaves its entry in the log.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Attachment, ChangeKind, ChangeSubject, Field, FieldKind, FolderRef, Guid, Item, ItemKind, ItemRef, List,
    Template, World,
};
use crate::clock::UnixMillis;
use crate::content::FileBody;

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

impl World {
    fn note(&mut self, at: &ItemRef, kind: ChangeKind, now: UnixMillis) {
        let Some((list, item)) =
            self.lists.get(&at.list).and_then(|list| Some((list, list.items.get(&at.id)?)))
        else {
            return;
        };
        let subject = ChangeSubject::Item { at: at.clone(), unique_id: item.unique_id.clone() };
        let web = list.web.clone();
        self.note_in(&web, kind, subject, now);
    }

    fn note_in(&mut self, web: &Guid, kind: ChangeKind, subject: ChangeSubject, now: UnixMillis) {
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
            version: 1,
            etag: 1,
            values,
            attachments: Vec::new(),
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
        if kind != ChangeKind::SystemUpdate {
            item.modified = actor.now;
            item.editor = actor.person;
            item.version += 1;
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
        self.touch(at, ChangeKind::Update, actor, |item| item.kind = ItemKind::File(body))
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
        target.insert(Item { id, parent: to.folder, etag: item.etag + 1, values: BTreeMap::new(), ..item });
        self.note(&there, ChangeKind::MoveInto, actor.now);
        Ok(there)
    }

    /// Deletes an item; a folder with all below it, which leaves one entry for the folder alone.
    pub(crate) fn delete(&mut self, at: &ItemRef, now: UnixMillis) -> Result<(), EditError> {
        if self.item(at).is_none() {
            return Err(EditError::NotFound);
        }
        self.note(at, ChangeKind::Delete, now);
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

    /// Creates a list whose address is made from its title.
    pub(crate) fn add_list(
        &mut self,
        web: &Guid,
        title: &str,
        template: Template,
        now: UnixMillis,
    ) -> Result<Guid, EditError> {
        let leaf = title.replace(['/', '\\', '#', '%'], "");
        self.add_list_at(web, title, &leaf, template, now)
    }

    /// Creates a list at a given address below its web (below `Lists/` unless it is a library).
    pub(crate) fn add_list_at(
        &mut self,
        web: &Guid,
        title: &str,
        leaf: &str,
        template: Template,
        now: UnixMillis,
    ) -> Result<Guid, EditError> {
        check_name(leaf)?;
        let web = self.webs.get(web).ok_or(EditError::NotFound)?.clone();
        let root = web.join(&if template.is_library() { leaf.to_string() } else { format!("Lists/{leaf}") });
        let taken = |list: &List| {
            list.web == web.id
                && (list.title.eq_ignore_ascii_case(title) || list.root.eq_ignore_ascii_case(&root))
        };
        if self.lists.values().any(taken) {
            return Err(EditError::TitleTaken);
        }
        let ids = (self.new_guid(), self.new_guid());
        let mut list = List::new(ids, web.id.clone(), title, template, root, now);
        list.fields = self.base_fields(template);
        let id = list.id.clone();
        self.lists.insert(id.clone(), list);
        self.note_in(&web.id, ChangeKind::Add, ChangeSubject::List(id.clone()), now);
        Ok(id)
    }

    pub(crate) fn delete_list(&mut self, id: &Guid, now: UnixMillis) -> Result<(), EditError> {
        let list = self.lists.remove(id).ok_or(EditError::NotFound)?;
        for item in list.items.values() {
            self.unique.remove(&item.unique_id);
        }
        self.note_in(&list.web, ChangeKind::Delete, ChangeSubject::List(id.clone()), now);
        Ok(())
    }

    /// Logs that a list's own properties changed.
    pub(crate) fn note_list(&mut self, id: &Guid, now: UnixMillis) {
        if let Some(web) = self.lists.get(id).map(|list| list.web.clone()) {
            self.note_in(&web, ChangeKind::Update, ChangeSubject::List(id.clone()), now);
        }
    }

    pub(crate) fn add_field(
        &mut self,
        list: &Guid,
        name: &str,
        kind: FieldKind,
        now: UnixMillis,
    ) -> Result<Guid, EditError> {
        let id = self.new_guid();
        let list = self.lists.get_mut(list).ok_or(EditError::NotFound)?;
        if list.field(name).is_some() {
            return Err(EditError::NameTaken);
        }
        let (web, list_id) = (list.web.clone(), list.id.clone());
        list.fields.push(Field {
            id: id.clone(),
            name: name.to_string(),
            title: name.to_string(),
            kind,
            hidden: false,
            read_only: false,
            base: false,
        });
        self.note_in(&web, ChangeKind::Add, ChangeSubject::Field { list: list_id, field: id.clone() }, now);
        Ok(id)
    }

    fn base_fields(&mut self, template: Template) -> Vec<Field> {
        let mut columns = vec![
            ("ContentTypeId", "Content Type ID", FieldKind::ContentType, true),
            ("Title", "Title", FieldKind::Text, false),
            ("ID", "ID", FieldKind::Counter, true),
            ("Modified", "Modified", FieldKind::DateTime, true),
            ("Created", "Created", FieldKind::DateTime, true),
            ("Author", "Created By", FieldKind::User, true),
            ("Editor", "Modified By", FieldKind::User, true),
            ("_UIVersionString", "Version", FieldKind::Text, true),
            ("FileRef", "URL Path", FieldKind::Computed, true),
        ];
        if template.is_library() {
            columns.push(("FileLeafRef", "Name", FieldKind::File, false));
        } else {
            columns.push(("Attachments", "Attachments", FieldKind::Attachments, false));
        }
        let field = |(name, title, kind, read_only): (&str, &str, FieldKind, bool)| Field {
            id: Guid::new(&mut self.rng),
            name: name.to_string(),
            title: title.to_string(),
            kind,
            hidden: name == "ContentTypeId",
            read_only,
            base: true,
        };
        columns.into_iter().map(field).collect()
    }
}
