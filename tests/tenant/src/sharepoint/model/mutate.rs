//! Random changes, as people make them between two backups.

use super::edit::Actor;
use super::generate::random_file;
use super::{ChangeKind, FieldKind, FolderRef, Guid, Item, ItemRef, World};
use crate::clock::UnixMillis;
use crate::content::{Rng, word};

impl World {
    /// Makes `count` changes: edits, additions, deletions, moves, renames of files and folders. `now` is their time.
    pub(crate) fn change(&mut self, rng: &mut Rng, count: usize, now: UnixMillis) {
        // An attempt can find nothing to do (an empty folder, a taken name); so more attempts than changes.
        let mut made = 0;
        for _ in 0..count * 20 {
            if made == count {
                return;
            }
            made += usize::from(self.change_once(rng, now).is_some());
        }
    }

    fn change_once(&mut self, rng: &mut Rng, now: UnixMillis) -> Option<()> {
        let person = rng.pick(&self.people).map_or(9, |person| person.id);
        let actor = Actor { person, now };
        let lists: Vec<Guid> =
            self.lists.values().filter(|list| !list.hidden).map(|list| list.id.clone()).collect();
        let list = rng.pick(&lists)?.clone();
        if self.lists.get(&list)?.is_library() {
            self.change_library(&list, actor, rng)
        } else {
            self.change_list(&list, actor, rng)
        }
    }

    fn change_library(&mut self, list: &Guid, actor: Actor, rng: &mut Rng) -> Option<()> {
        let number = 1000 + rng.below(1_000_000) as usize;
        match rng.below(22) {
            20 => self.change_permissions(list, actor, rng),
            21 => self.change_schema(list, actor, rng),
            0..=6 => {
                let at = self.pick(list, rng, |item| item.body().is_some())?;
                let body = self.item(&at)?.body()?.edited(rng);
                self.replace_body(&at, body, actor).ok()
            }
            7..=11 => {
                let folder = self.pick_folder(list, rng);
                let (name, body) = random_file(number, rng);
                self.add_file(&folder, &name, body, actor).ok().map(drop)
            }
            12 | 13 => {
                let at = self.pick(list, rng, |item| item.body().is_some())?;
                self.delete(&at, actor.now).ok()
            }
            14 => {
                let at = self.pick(list, rng, |item| item.body().is_some())?;
                let leaf =
                    format!("renamed {number} {}", self.item(&at)?.leaf.chars().take(80).collect::<String>());
                let parent = self.item(&at)?.parent;
                self.relocate(&at, parent, &leaf, actor).ok()
            }
            15 => {
                let at = self.pick(list, rng, |item| item.body().is_some())?;
                let (leaf, folder) = (self.item(&at)?.leaf.clone(), self.pick_folder(list, rng).folder);
                if self.item(&at)?.parent == folder {
                    return None;
                }
                self.relocate(&at, folder, &leaf, actor).ok()
            }
            16 => self.move_between_lists(list, actor, rng),
            17 => {
                let at = self.pick(list, rng, Item::is_folder)?;
                let (parent, leaf) = (self.item(&at)?.parent, format!("{} renamed {number}", word(rng)));
                self.relocate(&at, parent, &leaf, actor).ok()
            }
            18 => {
                let folder = self.pick_folder(list, rng);
                let at = self.add_folder(&folder, &format!("{} {number}", word(rng)), actor).ok()?;
                let (name, body) = random_file(number, rng);
                let inside = FolderRef { list: list.clone(), folder: Some(at.id) };
                self.add_file(&inside, &name, body, actor).ok().map(drop)
            }
            _ => self.delete_small_folder(list, actor, rng),
        }
    }

    fn move_between_lists(&mut self, list: &Guid, actor: Actor, rng: &mut Rng) -> Option<()> {
        let web = self.lists.get(list)?.web.clone();
        let others: Vec<Guid> = self
            .lists_of(&web)
            .into_iter()
            .filter(|other| other.is_library() && !other.hidden && other.id != *list)
            .map(|other| other.id.clone())
            .collect();
        let target = rng.pick(&others)?.clone();
        let at = self.pick(list, rng, |item| item.body().is_some())?;
        let folder = self.pick_folder(&target, rng);
        self.move_file(&at, &folder, actor).ok().map(drop)
    }

    /// Deletes a folder with few things in it, so that a few hundred changes do not empty the tenant.
    fn delete_small_folder(&mut self, list: &Guid, actor: Actor, rng: &mut Rng) -> Option<()> {
        let at = self.pick(list, rng, Item::is_folder)?;
        if self.lists.get(list)?.subtree(at.id).len() > 6 {
            return None;
        }
        self.delete(&at, actor.now).ok()
    }

    fn change_list(&mut self, list: &Guid, actor: Actor, rng: &mut Rng) -> Option<()> {
        let lookup = self.lookup_target(list)?;
        let entry = |item: &Item| !item.is_folder();
        match rng.below(12) {
            10 => self.change_permissions(list, actor, rng),
            11 => self.change_schema(list, actor, rng),
            0..=4 => {
                let at = self.pick(list, rng, entry)?;
                let values = self.random_values(&lookup, rng);
                self.touch(&at, ChangeKind::Update, actor, |item| item.values = values).ok()
            }
            5 | 6 => {
                let (folder, values) = (self.pick_folder(list, rng), self.random_values(&lookup, rng));
                self.add_entry(&folder, values, actor).ok().map(drop)
            }
            7 => {
                let at = self.pick(list, rng, entry)?;
                let (name, body) = random_file(rng.below(100_000) as usize, rng);
                self.attach(&at, &name, body, false, actor).ok()
            }
            8 => {
                let at = self.pick(list, rng, |item| !item.attachments.is_empty())?;
                let name = self.item(&at)?.attachments.first()?.name.clone();
                self.detach(&at, &name, actor).ok()
            }
            _ => {
                let at = self.pick(list, rng, entry)?;
                self.delete(&at, actor.now).ok()
            }
        }
    }

    fn lookup_target(&self, list: &Guid) -> Option<Guid> {
        self.lists.get(list)?.fields.iter().find_map(|field| match &field.kind {
            FieldKind::Lookup(target) => Some(target.clone()),
            _ => None,
        })
    }

    pub(super) fn pick(&self, list: &Guid, rng: &mut Rng, wanted: impl Fn(&Item) -> bool) -> Option<ItemRef> {
        let items = self.lists.get(list)?.items.values();
        let ids: Vec<u32> = items.filter(|item| wanted(item)).map(|item| item.id).collect();
        Some(ItemRef { list: list.clone(), id: *rng.pick(&ids)? })
    }

    /// The root folder, by a third of chances, or any other.
    fn pick_folder(&self, list: &Guid, rng: &mut Rng) -> FolderRef {
        let folder =
            if rng.chance(0.33) { None } else { self.pick(list, rng, Item::is_folder).map(|at| at.id) };
        FolderRef { list: list.clone(), folder }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Size;

    #[test]
    fn changes_follow_from_their_seed() {
        let worlds: Vec<World> = (0..2)
            .map(|_| {
                let mut world = World::generate(5, Size::Small, &[], None);
                world.change(&mut Rng::new(7), 200, 1_800_000_000_000);
                world
            })
            .collect();
        let names = |world: &World| -> Vec<String> {
            let lists = world.lists.values();
            lists.flat_map(|list| list.items.values().map(|item| list.path_of(item))).collect()
        };
        assert_eq!(names(&worlds[0]), names(&worlds[1]));
        assert!(names(&worlds[0]).len() > 400);
    }
}
