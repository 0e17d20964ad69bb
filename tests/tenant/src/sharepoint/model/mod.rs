//! What the tenant's SharePoint holds: site collections, webs, lists, items and the log of their changes.

mod change;
mod edit;
mod edit_list;
mod field;
mod generate;
mod item;
mod list;
mod locate;
mod manifest;
mod mutate;
mod permission;
mod recycle;
mod variety;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

pub(crate) use change::{Change, ChangeKind, ChangeLog, ChangeSubject, Scope, Token, expired};
pub(crate) use edit::{Actor, EditError};
pub(crate) use field::{Field, FieldKind};
pub(crate) use item::{Attachment, Item, ItemKind, MAJOR, OldVersion, version_label};
pub(crate) use list::{ContentType, List, Template, View};
pub(crate) use locate::{FolderRef, Located};
pub(crate) use manifest::Line;
pub(crate) use permission::{Acl, Group, ROLES, Securable};
pub(crate) use recycle::Recycled;

use crate::account::{DOMAIN, PEOPLE};
use crate::clock::UnixMillis;
use crate::content::Rng;

/// A GUID in lower case, without braces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Guid(String);

impl Guid {
    /// Reads a GUID; braces and capitals are allowed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bare = text.trim_matches(['{', '}']).to_ascii_lowercase();
        let fits = bare.len() == 36
            && bare.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        fits.then_some(Self(bare))
    }

    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self(rng.guid())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Which of the tenant's SharePoint hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Host {
    /// Team sites.
    Main,
    /// OneDrive.
    My,
    /// The admin centre.
    Admin,
}

/// A site collection.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) id: Guid,
    pub(crate) host: Host,
    pub(crate) root_web: Guid,
    pub(crate) groups: Vec<Group>,
}

/// A web: a site collection's root or a site below it.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    pub(crate) id: Guid,
    pub(crate) site: Guid,
    pub(crate) host: Host,
    pub(crate) parent: Option<Guid>,
    /// Server-relative, `/` for the host's root web.
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) created: UnixMillis,
    /// Its own permissions; none: those of the web above.
    pub(crate) acl: Option<Acl>,
}

impl Web {
    /// The server-relative address of `below` in this web.
    pub(crate) fn join(&self, below: &str) -> String {
        if self.path == "/" { format!("/{below}") } else { format!("{}/{below}", self.path) }
    }
}

/// Somebody who can stand as author, editor or in a person column. The same id in every site collection.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) id: u32,
    pub(crate) user: String,
    pub(crate) name: String,
}

impl Person {
    /// The claims login name.
    pub(crate) fn login(&self) -> String {
        format!("i:0#.f|membership|{}", self.user)
    }
}

/// An item by its list and number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ItemRef {
    pub(crate) list: Guid,
    pub(crate) id: u32,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) sites: BTreeMap<Guid, Site>,
    pub(crate) webs: BTreeMap<Guid, Web>,
    pub(crate) lists: BTreeMap<Guid, List>,
    pub(crate) people: Vec<Person>,
    pub(crate) log: ChangeLog,
    /// What was deleted and can be brought back.
    pub(crate) recycled: Vec<Recycled>,
    unique: HashMap<Guid, ItemRef>,
    rng: Rng,
}

impl World {
    /// A world with people and nothing else; `accounts` become people too, by (user, name).
    pub(crate) fn new(seed: u64, accounts: &[(String, String)]) -> Self {
        let staff = PEOPLE.iter().map(|(local, name)| (format!("{local}@{DOMAIN}"), (*name).to_string()));
        let people = staff
            .chain(accounts.iter().cloned())
            .zip(9u32..)
            .map(|((user, name), id)| Person { id, user, name })
            .collect();
        Self {
            sites: BTreeMap::new(),
            webs: BTreeMap::new(),
            lists: BTreeMap::new(),
            people,
            log: ChangeLog::default(),
            recycled: Vec::new(),
            unique: HashMap::new(),
            rng: Rng::new(seed).fork("sharepoint ids"),
        }
    }

    pub(crate) fn new_guid(&mut self) -> Guid {
        Guid::new(&mut self.rng)
    }

    pub(crate) fn person(&self, id: u32) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    pub(crate) fn person_of(&self, user: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.user.eq_ignore_ascii_case(user))
    }

    /// The lists of a web, by title.
    pub(crate) fn lists_of(&self, web: &Guid) -> Vec<&List> {
        let mut lists: Vec<&List> = self.lists.values().filter(|list| list.web == *web).collect();
        lists.sort_by(|one, other| one.title.cmp(&other.title));
        lists
    }

    /// The webs right below a web, by address.
    pub(crate) fn webs_below(&self, web: &Guid) -> Vec<&Web> {
        let mut webs: Vec<&Web> =
            self.webs.values().filter(|below| below.parent.as_ref() == Some(web)).collect();
        webs.sort_by(|one, other| one.path.cmp(&other.path));
        webs
    }

    pub(crate) fn item(&self, at: &ItemRef) -> Option<&Item> {
        self.lists.get(&at.list)?.items.get(&at.id)
    }

    pub(crate) fn list_of(&self, at: &ItemRef) -> Option<&List> {
        self.lists.get(&at.list)
    }

    pub(crate) fn by_unique_id(&self, id: &Guid) -> Option<&ItemRef> {
        self.unique.get(id)
    }

    pub(crate) fn site_of(&self, web: &Web) -> Option<&Site> {
        self.sites.get(&web.site)
    }
}
