//! The content a tenant starts with, all from one seed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::edit::Actor;
use super::{Acl, FieldKind, FolderRef, Guid, Host, ItemRef, Site, Template, Web, World};
use crate::clock::{UnixMillis, iso_seconds};
use crate::content::{BodyKind, FileBody, Rng, Size, file_name, sentence, word};

/// 2024-03-01 08:00 UTC: nothing is older.
pub(super) const OLDEST_MS: UnixMillis = 1_709_280_000_000;
/// Content is spread over two years.
const SPREAD_MS: u64 = 2 * 365 * 24 * 3600 * 1000;
/// Largest ordinary file.
const FILE_BYTES_MAX: u64 = 2 << 20;

const STATES: [&str; 3] = ["Open", "Doing", "Done"];

/// Which items a site gets.
struct Plan {
    libraries: &'static [(&'static str, &'static str, Template)],
    lists: &'static [(&'static str, Template)],
    /// Files over all libraries, at small size.
    files: usize,
}

const ROOT: Plan = Plan {
    libraries: &[("Documents", "Shared Documents", Template::Library)],
    lists: &[("Tasks", Template::Tasks)],
    files: 60,
};
const TEAM_A: Plan = Plan {
    libraries: &[
        ("Documents", "Shared Documents", Template::Library),
        ("Contracts & Offers", "Contracts", Template::Library),
        ("Archive 100%", "Archive", Template::Library),
    ],
    lists: &[("Tasks", Template::Tasks), ("Contacts & Friends", Template::Generic)],
    files: 100,
};
const TEAM_B: Plan = Plan {
    libraries: &[
        ("Documents", "Shared Documents", Template::Library),
        ("Größen", "Groessen", Template::Library),
    ],
    lists: &[("Inventory", Template::Generic)],
    files: 60,
};
const BELOW: Plan = Plan {
    libraries: &[("Documents", "Shared Documents", Template::Library)],
    lists: &[("Tasks", Template::Tasks)],
    files: 30,
};
const ONEDRIVE: Plan =
    Plan { libraries: &[("Documents", "Documents", Template::OneDrive)], lists: &[], files: 50 };

impl World {
    /// A tenant's content. The log starts empty: all of it is older than the log.
    pub(crate) fn generate(
        seed: u64,
        size: Size,
        accounts: &[(String, String)],
        big_file: Option<u64>,
    ) -> Self {
        let mut world = Self::new(seed, accounts);
        let rng = Rng::new(seed).fork("sharepoint content");
        let root = world.add_site(Host::Main, "/", "Contoso");
        let team_a = world.add_site(Host::Main, "/sites/a", "Team A");
        let team_b = world.add_site(Host::Main, "/sites/b", "Team B — Größe & Co");
        let below = world.add_web(&team_b, "/sites/b/sub", "Team B, below");
        let owner = "/personal/ann_contoso_example";
        let my_root = world.add_site(Host::My, "/", "OneDrive");
        let onedrive = world.add_site(Host::My, owner, "Ann Archer");
        world.add_site(Host::Admin, "/", "Admin");
        let plans =
            [(&root, ROOT), (&team_a, TEAM_A), (&team_b, TEAM_B), (&below, BELOW), (&onedrive, ONEDRIVE)];
        for (web, plan) in plans {
            world.fill(web, &plan, size, &mut rng.fork(web.as_str()));
            world.vary(web, &mut rng.fork(&format!("variety {web}")));
        }
        world.add_system_list(&my_root);
        world.add_system_list(&root);
        if let Some(bytes) = big_file {
            world.add_big_file(&root, bytes, seed);
        }
        world.log.forget();
        world
    }

    fn add_site(&mut self, host: Host, path: &str, title: &str) -> Guid {
        let (site, web) = (self.new_guid(), self.new_guid());
        let groups = super::variety::groups(title);
        self.sites.insert(site.clone(), Site { id: site.clone(), host, root_web: web.clone(), groups });
        let (path, title) = (path.to_string(), title.to_string());
        let (description, acl) = (format!("All of {title}"), Some(Acl::of_site()));
        let root = Web {
            id: web.clone(),
            site,
            host,
            parent: None,
            path,
            title,
            description,
            created: OLDEST_MS,
            acl,
        };
        self.webs.insert(web.clone(), root);
        web
    }

    fn add_web(&mut self, parent: &Guid, path: &str, title: &str) -> Guid {
        let id = self.new_guid();
        if let Some(above) = self.webs.get(parent) {
            let (path, title) = (path.to_string(), title.to_string());
            let web =
                Web { id: id.clone(), parent: Some(parent.clone()), path, title, acl: None, ..above.clone() };
            self.webs.insert(id.clone(), web);
        }
        id
    }

    /// A hidden list, as every site has several: a backup leaves it out.
    fn add_system_list(&mut self, web: &Guid) {
        if let Ok(id) = self.add_list_at(web, "appdata", "appdata", Template::Other(125), OLDEST_MS)
            && let Some(list) = self.lists.get_mut(&id)
        {
            list.hidden = true;
        }
    }

    /// Fills the admin host's hidden list of all site collections, whose addresses are known once the hosts listen.
    pub(crate) fn fill_admin_list(&mut self, main: &str, my: &str) {
        let title = "DO_NOT_DELETE_SPLIST_TENANTADMIN_ALL_SITES_AGGREGA";
        let Some(admin) = self.webs.values().find(|web| web.host == Host::Admin).map(|web| web.id.clone())
        else {
            return;
        };
        let Ok(list) = self.add_list_at(&admin, title, title, Template::Generic, OLDEST_MS) else { return };
        for name in ["SiteUrl", "SiteId", "RootWebId", "TemplateName", "TimeDeleted"] {
            // The list is new, so no name can be taken.
            let _ = self.add_field(&list, name, FieldKind::Text, OLDEST_MS);
        }
        let roots: Vec<(String, Guid, Guid, String)> = self
            .sites
            .values()
            .filter(|site| site.host != Host::Admin)
            .filter_map(|site| {
                let web = self.webs.get(&site.root_web)?;
                let origin = if site.host == Host::My { my } else { main };
                let url = format!("{origin}{}", web.path.trim_end_matches('/'));
                Some((url, site.id.clone(), web.id.clone(), web.title.clone()))
            })
            .collect();
        for (url, site, web, title) in roots {
            let template = if url.contains("/personal/") { "SPSPERS#10" } else { "STS#3" };
            let values = [
                ("SiteUrl", json!(url)),
                ("SiteId", json!(site.as_str())),
                ("RootWebId", json!(web.as_str())),
                ("TemplateName", json!(template)),
                ("Title", json!(title)),
            ];
            let values = values.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
            let folder = FolderRef { list: list.clone(), folder: None };
            // A plain item without a name has nothing that could be refused.
            let _ = self.add_entry(&folder, values, Actor { person: 9, now: OLDEST_MS });
        }
        if let Some(list) = self.lists.get_mut(&list) {
            list.hidden = true;
        }
        self.log.forget();
    }

    fn add_big_file(&mut self, web: &Guid, bytes: u64, seed: u64) {
        let library =
            self.lists_of(web).into_iter().find(|list| list.is_library()).map(|list| list.id.clone());
        if let Some(list) = library {
            let actor = Actor { person: 9, now: OLDEST_MS };
            let root = FolderRef { list, folder: None };
            let body = FileBody::generated(BodyKind::Packed, seed ^ 0xB16, bytes);
            // Only a taken name could refuse it, and then there is a big file already.
            let _ = self.add_file(&root, "big file.bin", body, actor);
        }
    }

    fn fill(&mut self, web: &Guid, plan: &Plan, size: Size, rng: &mut Rng) {
        let share = size.scale(plan.files) / plan.libraries.len().max(1);
        for (title, leaf, template) in plan.libraries {
            if let Ok(list) = self.add_list_at(web, title, leaf, *template, OLDEST_MS) {
                self.fill_library(&list, share, rng);
            }
        }
        let mut earlier: Option<Guid> = None;
        for (title, template) in plan.lists {
            if let Ok(list) = self.add_list(web, title, *template, OLDEST_MS) {
                let target = earlier.clone().unwrap_or_else(|| list.clone());
                self.fill_list(&list, &target, size.scale(60), rng);
                earlier = Some(list);
            }
        }
    }

    fn some_actor(&self, rng: &mut Rng) -> Actor {
        let person = rng.pick(&self.people).map_or(9, |person| person.id);
        Actor { person, now: OLDEST_MS + rng.below(SPREAD_MS).cast_signed() / 1000 * 1000 }
    }

    fn fill_library(&mut self, list: &Guid, files: usize, rng: &mut Rng) {
        let mut folders = vec![None];
        for number in 0..files / 8 {
            let parent = folders[rng.index(folders.len())];
            let ending = format!("{} {number}", word(rng));
            let name = if rng.chance(0.2) { format!("it's 100%#{number} & +") } else { ending };
            let actor = self.some_actor(rng);
            if let Ok(at) = self.add_folder(&FolderRef { list: list.clone(), folder: parent }, &name, actor) {
                folders.push(Some(at.id));
            }
        }
        for number in 0..files {
            let folder = folders[rng.index(folders.len())];
            self.add_random_file(&FolderRef { list: list.clone(), folder }, number, rng);
        }
    }

    /// Adds a file of a random name, kind and size, now (by its actor) or at a random time.
    pub(super) fn add_random_file(
        &mut self,
        folder: &FolderRef,
        number: usize,
        rng: &mut Rng,
    ) -> Option<ItemRef> {
        let actor = self.some_actor(rng);
        let (name, body) = random_file(number, rng);
        self.add_file(folder, &name, body, actor).ok()
    }

    fn fill_list(&mut self, list: &Guid, lookup: &Guid, items: usize, rng: &mut Rng) {
        let columns = [
            ("Notes", FieldKind::Note),
            ("Amount", FieldKind::Number),
            ("Due", FieldKind::DateTime),
            ("Done", FieldKind::Boolean),
            ("State", FieldKind::Choice(STATES.to_vec())),
            ("AssignedTo", FieldKind::User),
            ("Related", FieldKind::Lookup(lookup.clone())),
            ("Link", FieldKind::Url),
        ];
        for (name, kind) in columns {
            // The list is new, so no name can be taken.
            let _ = self.add_field(list, name, kind, OLDEST_MS);
        }
        let mut folders = vec![None, None, None];
        for number in 0..items {
            let folder = FolderRef { list: list.clone(), folder: folders[rng.index(folders.len())] };
            let actor = self.some_actor(rng);
            if number % 25 == 24 {
                if let Ok(at) = self.add_folder(&folder, &format!("{} {number}", word(rng)), actor) {
                    folders.push(Some(at.id));
                }
                continue;
            }
            let values = self.random_values(lookup, rng);
            let Ok(at) = self.add_entry(&folder, values, actor) else { continue };
            for extra in 0..if rng.chance(0.2) { rng.below(3) + 1 } else { 0 } {
                let (name, body) = random_file(extra as usize, rng);
                // Two equal names on one item: the second is left out.
                let _ = self.attach(&at, &name, body, false, actor);
            }
        }
    }

    /// Values for all columns [`Self::fill_list`] adds; now and then one is missing.
    pub(super) fn random_values(&self, lookup: &Guid, rng: &mut Rng) -> BTreeMap<String, Value> {
        let person = rng.pick(&self.people).map_or(9, |person| person.id);
        let target = self.lists.get(lookup).map(|list| list.items.keys().copied().collect::<Vec<_>>());
        let related = target.and_then(|ids| rng.pick(&ids).copied());
        let words = 2 + rng.index(5);
        let notes = 5 + rng.index(40);
        let all = [
            ("Title", json!(format!("{} <&> \"{}\"", sentence(rng, words), word(rng)))),
            ("Notes", json!(format!("{}\n{}", sentence(rng, notes), "größer & kleiner < als"))),
            ("Amount", json!(rng.below(1_000_000) as f64 / 8.0)),
            ("Due", json!(iso_seconds(OLDEST_MS + rng.below(SPREAD_MS).cast_signed()))),
            ("Done", json!(rng.chance(0.5))),
            ("State", json!(STATES[rng.index(STATES.len())])),
            ("AssignedToId", json!(person)),
            ("RelatedId", json!(related)),
            (
                "Link",
                json!({"Description": word(rng), "Url": format!("https://www.contoso.example/{}?a=1&b=2", word(rng))}),
            ),
        ];
        let missing = rng.index(all.len() * 2);
        let keep = |(at, (name, value)): (usize, (&str, Value))| {
            (name.to_string(), if at == missing && at > 0 { Value::Null } else { value })
        };
        all.into_iter().enumerate().map(keep).collect()
    }
}

/// A name and a body: one in twenty is empty, most are small, some large.
pub(super) fn random_file(number: usize, rng: &mut Rng) -> (String, FileBody) {
    let (kind, endings): (BodyKind, &[&str]) = match rng.below(3) {
        0 => (BodyKind::Text, &["txt", "csv", "md"]),
        1 => (BodyKind::Office, &["docx", "xlsx", "pptx"]),
        _ => (BodyKind::Packed, &["jpg", "zip", "bin"]),
    };
    let ending = rng.pick(endings).copied().unwrap_or("txt");
    let length = match rng.below(20) {
        0 => 0,
        1 => rng.below(FILE_BYTES_MAX),
        2..=5 => rng.below(FILE_BYTES_MAX / 10),
        _ => rng.below(FILE_BYTES_MAX / 100),
    };
    (file_name(rng, number, ending), FileBody::generated(kind, rng.next_u64(), length))
}
