//! Who may do what: role definitions, groups, and permissions of their own that webs, lists and items may have.

use super::{Actor, ChangeKind, ChangeSubject, EditError, Guid, ItemRef, World};
use crate::clock::UnixMillis;

/// Role definitions: id, kind, name, base permissions (high, low).
pub(crate) const ROLES: [(u32, u32, &str, &str, &str); 6] = [
    (1_073_741_829, 5, "Full Control", "2147483647", "4294967295"),
    (1_073_741_828, 4, "Design", "432", "1012866047"),
    (1_073_741_830, 6, "Edit", "432", "1011030767"),
    (1_073_741_827, 3, "Contribute", "432", "1011028719"),
    (1_073_741_826, 2, "Read", "176", "138612833"),
    (1_073_741_825, 1, "Limited Access", "48", "134287360"),
];

/// Ids of the groups that every site collection has.
pub(crate) const OWNERS: u32 = 3;
pub(crate) const VISITORS: u32 = 4;
pub(crate) const MEMBERS: u32 = 5;

/// Assignments: principal (a person's or a group's id) and role, by principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acl(pub(crate) Vec<(u32, u32)>);

impl Acl {
    /// What a site collection starts with.
    pub(crate) fn of_site() -> Self {
        Self(vec![(OWNERS, ROLES[0].0), (VISITORS, ROLES[4].0), (MEMBERS, ROLES[2].0)])
    }
}

/// A group of a site collection.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Ids of people.
    pub(crate) members: Vec<u32>,
}

/// What can have permissions of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Securable {
    Web(Guid),
    List(Guid),
    Item(ItemRef),
}

impl World {
    /// A thing's own permissions; none if it has those of what it lies in.
    pub(crate) fn own_acl(&self, of: &Securable) -> Option<&Acl> {
        match of {
            Securable::Web(id) => self.webs.get(id)?.acl.as_ref(),
            Securable::List(id) => self.lists.get(id)?.acl.as_ref(),
            Securable::Item(at) => self.item(at)?.acl.as_ref(),
        }
    }

    /// The permissions that hold for a thing, its own or those of what it lies in.
    pub(crate) fn acl(&self, of: &Securable) -> Option<&Acl> {
        if let Some(own) = self.own_acl(of) {
            return Some(own);
        }
        let above = match of {
            Securable::Web(id) => Securable::Web(self.webs.get(id)?.parent.clone()?),
            Securable::List(id) => Securable::Web(self.lists.get(id)?.web.clone()),
            Securable::Item(at) => match self.item(at)?.parent {
                Some(id) => Securable::Item(ItemRef { list: at.list.clone(), id }),
                None => Securable::List(at.list.clone()),
            },
        };
        self.acl(&above)
    }

    /// The groups of a web's site collection.
    pub(crate) fn groups(&self, web: &Guid) -> &[Group] {
        let site = self.webs.get(web).and_then(|web| self.sites.get(&web.site));
        site.map_or(&[], |site| site.groups.as_slice())
    }

    /// The claims login name or group name of a principal of a web.
    pub(crate) fn principal_name(&self, web: &Guid, id: u32) -> Option<String> {
        let group = self.groups(web).iter().find(|group| group.id == id);
        group.map(|group| group.name.clone()).or_else(|| self.person(id).map(super::Person::login))
    }

    /// Gives a thing permissions of its own, or takes them away.
    pub(crate) fn set_acl(
        &mut self,
        of: &Securable,
        acl: Option<Acl>,
        now: UnixMillis,
    ) -> Result<(), EditError> {
        let had = self.own_acl(of).is_some();
        let kind = match (had, &acl) {
            (false, Some(_)) => ChangeKind::ScopeAdd,
            (true, None) => ChangeKind::ScopeDelete,
            _ => ChangeKind::AssignmentAdd,
        };
        match of {
            Securable::Web(id) => {
                self.webs.get_mut(id).ok_or(EditError::NotFound)?.acl = acl;
                self.note_in(id, kind, ChangeSubject::Web(id.clone()), now);
            }
            Securable::List(id) => {
                let list = self.lists.get_mut(id).ok_or(EditError::NotFound)?;
                list.acl = acl;
                let web = list.web.clone();
                self.note_in(&web, kind, ChangeSubject::List(id.clone()), now);
            }
            // Neither version nor time of the item moves, and its entity tag does not either.
            Securable::Item(at) => {
                let list = self.lists.get_mut(&at.list).ok_or(EditError::NotFound)?;
                list.items.get_mut(&at.id).ok_or(EditError::NotFound)?.acl = acl;
                self.note(at, kind, now);
            }
        }
        Ok(())
    }

    /// Adds a person to a group of a site collection, or takes them out.
    pub(crate) fn toggle_member(&mut self, web: &Guid, group: u32, actor: Actor) {
        let site = self.webs.get(web).map(|web| web.site.clone());
        let groups = site.and_then(|site| self.sites.get_mut(&site)).map(|site| &mut site.groups);
        let Some(found) = groups.and_then(|groups| groups.iter_mut().find(|one| one.id == group)) else {
            return;
        };
        let there = found.members.contains(&actor.person);
        if there {
            found.members.retain(|member| *member != actor.person);
        } else {
            found.members.push(actor.person);
            found.members.sort_unstable();
        }
        let kind = if there { ChangeKind::MemberDelete } else { ChangeKind::MemberAdd };
        self.note_in(web, kind, ChangeSubject::Group { id: group }, actor.now);
    }
}
