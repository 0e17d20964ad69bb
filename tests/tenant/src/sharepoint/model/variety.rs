//! What makes lists differ: versions of files, drafts, permissions of their own, content types, views.

use super::edit::Actor;
use super::permission::{Group, MEMBERS, OWNERS, VISITORS};
use super::{Acl, FolderRef, Guid, Item, ItemRef, ROLES, Securable, World};
use crate::clock::UnixMillis;
use crate::content::{BodyKind, FileBody, Rng};

/// Time between two versions.
const EDIT_MS: UnixMillis = 3_600_000;

/// The groups of a new site collection.
pub(super) fn groups(title: &str) -> Vec<Group> {
    let group = |id, name: &str, members: &[u32]| Group {
        id,
        name: format!("{title} {name}"),
        members: members.to_vec(),
    };
    vec![
        group(OWNERS, "Owners", &[9]),
        group(VISITORS, "Visitors", &[]),
        group(MEMBERS, "Members", &[10, 11, 12]),
    ]
}

impl World {
    /// Gives what a web holds some history and permissions of its own.
    pub(super) fn vary(&mut self, web: &Guid, rng: &mut Rng) {
        let lists: Vec<Guid> = self.lists_of(web).into_iter().map(|list| list.id.clone()).collect();
        for id in &lists {
            let Some(list) = self.lists.get_mut(id) else { continue };
            let (title, library) = (list.title.clone(), list.is_library());
            list.minor_versions = title.starts_with("Contracts");
            if library {
                self.vary_files(id, rng);
            }
            let columns: &[&str] = if library { &["Title"] } else { &["Title", "Notes", "Amount"] };
            // Lists are new here: no name can be taken, and each is there.
            let _ = self.add_content_type(id, "Record & Report", columns, super::generate::OLDEST_MS);
            let _ = self.add_view(id, "By <time>", columns, super::generate::OLDEST_MS);
            if title.contains('&') || title == "Inventory" {
                let acl = self.random_acl(rng);
                let _ = self.set_acl(&Securable::List(id.clone()), Some(acl), super::generate::OLDEST_MS);
            }
            if title == "Documents" {
                self.add_notebook(id, rng);
            }
            self.vary_permissions(id, rng);
        }
    }

    /// A notebook of OneNote: a folder with its sections as files.
    fn add_notebook(&mut self, list: &Guid, rng: &mut Rng) {
        let actor = Actor { person: 9, now: super::generate::OLDEST_MS };
        let root = FolderRef { list: list.clone(), folder: None };
        let Ok(folder) = self.add_folder(&root, "Notebook", actor) else { return };
        let inside = FolderRef { list: list.clone(), folder: Some(folder.id) };
        for name in ["Section 1.one", "Open Notebook.onetoc2"] {
            let body = FileBody::generated(BodyKind::Packed, rng.next_u64(), 20_000);
            // The folder is new: no name can be taken.
            let _ = self.add_file(&inside, name, body, actor);
        }
    }

    /// Edits a third of a library's files a few times.
    fn vary_files(&mut self, list: &Guid, rng: &mut Rng) {
        let Some(library) = self.lists.get(list) else { return };
        let minor = library.minor_versions;
        let files: Vec<u32> =
            library.items.values().filter(|item| item.body().is_some()).map(|item| item.id).collect();
        for id in files.into_iter().filter(|_| rng.chance(0.33)).collect::<Vec<_>>() {
            let at = ItemRef { list: list.clone(), id };
            for number in 0..=rng.below(4) {
                let Some(item) = self.item(&at) else { continue };
                let Some(body) = item.body().map(|body| body.edited(rng)) else { continue };
                let person = self.people[rng.index(self.people.len())].id;
                let actor = Actor { person, now: item.modified + EDIT_MS };
                // The file is there, so neither can be refused.
                let _ = self.replace_body(&at, body, actor);
                if minor && number % 2 == 1 {
                    let _ = self.publish(&at, actor);
                }
            }
        }
    }

    fn vary_permissions(&mut self, list: &Guid, rng: &mut Rng) {
        let Some(of) = self.lists.get(list) else { return };
        let some: Vec<u32> = of.items.keys().copied().collect();
        for id in some.into_iter().filter(|_| rng.chance(0.05)).collect::<Vec<_>>() {
            let acl = self.random_acl(rng);
            let of = Securable::Item(ItemRef { list: list.clone(), id });
            let _ = self.set_acl(&of, Some(acl), super::generate::OLDEST_MS);
        }
    }

    /// Owners, and one or two more.
    pub(crate) fn random_acl(&self, rng: &mut Rng) -> Acl {
        let mut rows = vec![(OWNERS, ROLES[0].0)];
        for _ in 0..=rng.below(2) {
            let (person, role) = (self.people[rng.index(self.people.len())].id, ROLES[1 + rng.index(4)].0);
            if rows.iter().all(|(known, _)| *known != person) {
                rows.push((person, role));
            }
        }
        rows.sort_unstable();
        Acl(rows)
    }

    /// Changes who may do what with one item of a list.
    pub(super) fn change_permissions(&mut self, list: &Guid, actor: Actor, rng: &mut Rng) -> Option<()> {
        let at = self.pick(list, rng, |item: &Item| item.acl.is_some() || item.id.is_multiple_of(7))?;
        let of = Securable::Item(at);
        let acl =
            if self.own_acl(&of).is_some() && rng.chance(0.5) { None } else { Some(self.random_acl(rng)) };
        if acl.as_ref() == self.own_acl(&of) {
            return None;
        }
        self.set_acl(&of, acl, actor.now).ok()
    }

    /// Changes what a list is like, or a group of its site.
    pub(super) fn change_schema(&mut self, list: &Guid, actor: Actor, rng: &mut Rng) -> Option<()> {
        let number = rng.below(1_000_000);
        let web = self.lists.get(list)?.web.clone();
        match rng.below(5) {
            0 => {
                let kind = super::FieldKind::Text;
                self.add_field(list, &format!("Extra{number}"), kind, actor.now).ok().map(drop)
            }
            1 => self.add_view(list, &format!("View {number}"), &["Title"], actor.now).ok(),
            2 => self.add_content_type(list, &format!("Type {number}"), &["Title"], actor.now).ok(),
            3 => {
                let title = self.webs.get(&web)?.title.clone();
                self.describe_web(&web, &title, &format!("Described anew: {number}"), actor.now);
                Some(())
            }
            _ => {
                self.toggle_member(&web, MEMBERS, actor);
                Some(())
            }
        }
    }
}
