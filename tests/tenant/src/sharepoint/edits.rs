//! Single changes of one thing, for tests that must know what changed.

use super::SharePoint;
use super::model::{Actor, ChangeKind, FolderRef, Guid, ItemRef, Securable, World};
use crate::content::{BodyKind, FileBody, Rng};

/// A change of the list, folder, file or list item at a server-relative address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A file gets other content, and with it a version.
    Content,
    /// A column changes, the content does not.
    Columns,
    /// Permissions of its own.
    Permissions,
    /// The permissions of what it lies in, again.
    Inherit,
    /// A list gets one more column.
    Column,
    /// A library gives its files out protected by rights.
    Protect,
    /// A file loses its oldest version.
    Trim,
    /// A file is checked out by somebody.
    CheckOut,
    /// A list gets a file that its log does not tell of.
    LostFile,
    /// A list gets this many new folders.
    Folders(usize),
}

impl SharePoint {
    /// Makes one change; false if it does not fit what is there.
    pub(crate) fn edit(&self, path: &str, edit: Edit) -> bool {
        let now = self.shared.clock.now_ms();
        self.world().edit(path, edit, Actor { person: 10, now }).is_some()
    }
}

impl World {
    fn edit(&mut self, path: &str, edit: Edit, actor: Actor) -> Option<()> {
        let list = self.lists.values().find(|list| list.root.eq_ignore_ascii_case(path));
        if let Some(list) = list.map(|list| list.id.clone()) {
            return self.edit_list(&list, edit, actor);
        }
        let at = self.lists.values().find_map(|list| {
            let item = list.items.values().find(|item| list.path_of(item) == path)?;
            Some(ItemRef { list: list.id.clone(), id: item.id })
        })?;
        let mut rng = Rng::new(u64::from(at.id) ^ actor.now.cast_unsigned());
        match edit {
            Edit::Content => {
                let body = self.item(&at)?.body()?.edited(&mut rng);
                self.replace_body(&at, body, actor).ok()
            }
            Edit::Columns => self.touch(&at, ChangeKind::SystemUpdate, actor, |_| ()).ok(),
            Edit::Permissions => {
                let acl = self.random_acl(&mut rng);
                self.set_acl(&Securable::Item(at), Some(acl), actor.now).ok()
            }
            Edit::Inherit => self.set_acl(&Securable::Item(at), None, actor.now).ok(),
            Edit::Trim => {
                let item = self.lists.get_mut(&at.list)?.items.get_mut(&at.id)?;
                (!item.history.is_empty()).then(|| drop(item.history.remove(0)))
            }
            Edit::CheckOut => {
                let change = |item: &mut super::model::Item| item.checked_out = Some(actor.person);
                self.touch(&at, ChangeKind::SystemUpdate, actor, change).ok()
            }
            Edit::Column | Edit::Protect | Edit::LostFile | Edit::Folders(_) => None,
        }
    }

    fn edit_list(&mut self, list: &Guid, edit: Edit, actor: Actor) -> Option<()> {
        let mut rng = Rng::new(actor.now.cast_unsigned());
        let root = FolderRef { list: list.clone(), folder: None };
        match edit {
            Edit::Permissions => {
                let acl = self.random_acl(&mut rng);
                self.set_acl(&Securable::List(list.clone()), Some(acl), actor.now).ok()
            }
            Edit::Inherit => self.set_acl(&Securable::List(list.clone()), None, actor.now).ok(),
            Edit::Column => {
                let name = format!("Added{}", rng.below(1_000_000));
                self.add_field(list, &name, super::model::FieldKind::Text, actor.now).ok().map(drop)
            }
            Edit::LostFile => {
                let body = FileBody::generated(BodyKind::Text, rng.next_u64(), 5000);
                self.add_file(&root, "lost by the log.txt", body, actor).ok()?;
                self.log.drop_last();
                Some(())
            }
            Edit::Folders(count) => (0..count).try_for_each(|number| {
                self.add_folder(&root, &format!("one of many {number}"), actor).ok().map(drop)
            }),
            Edit::Protect => {
                self.lists.get_mut(list)?.protected = true;
                self.note_list(list, actor.now);
                Some(())
            }
            Edit::Content | Edit::Columns | Edit::Trim | Edit::CheckOut => None,
        }
    }
}
