//! Fills a new world: mailboxes, well-known folders, users' folders and their first items.

use std::collections::BTreeMap;

use super::item::Item;
use super::mailbox::{Mailbox, PUBLIC_ROOT};
use super::{Group, Settings, World, events, messages};
use crate::account::{DOMAIN, PEOPLE};
use crate::content::{Rng, Size};
use crate::exchange::ids::FolderNumber;
use crate::exchange::switches::Switches;

/// When the world begins: 2026-01-05T08:00:00Z.
pub(super) const START_MS: i64 = 1_767_600_000_000;

/// Below the visible root: id, name and class.
const VISIBLE: [(&str, &str, &str); 12] = [
    ("inbox", "Inbox", "IPF.Note"),
    ("drafts", "Drafts", "IPF.Note"),
    ("sentitems", "Sent Items", "IPF.Note"),
    ("deleteditems", "Deleted Items", "IPF.Note"),
    ("outbox", "Outbox", "IPF.Note"),
    ("junkemail", "Junk Email", "IPF.Note"),
    ("calendar", "Calendar", "IPF.Appointment"),
    ("contacts", "Contacts", "IPF.Contact"),
    ("tasks", "Tasks", "IPF.Task"),
    ("notes", "Notes", "IPF.StickyNote"),
    ("journal", "Journal", "IPF.Journal"),
    ("conversationhistory", "Conversation History", "IPF.Note"),
];

/// Beside the visible root: id, name, class and the id of the parent.
const HIDDEN: [(&str, &str, &str, &str); 5] = [
    ("searchfolders", "Finder", "", "root"),
    ("recoverableitemsroot", "Recoverable Items", "", "root"),
    ("recoverableitemsdeletions", "Deletions", "", "recoverableitemsroot"),
    ("recoverableitemspurges", "Purges", "", "recoverableitemsroot"),
    ("recoverableitemsversions", "Versions", "", "recoverableitemsroot"),
];

/// Users' own folders: id of the well-known folder above all, path below it, class.
const OWN: [(&str, &[&str], &str); 7] = [
    ("inbox", &["Projects"], "IPF.Note"),
    ("inbox", &["Projects", "Größe & <Weite> 文件"], "IPF.Note"),
    ("inbox", &["Projects", "100% #1 + a/b"], "IPF.Note"),
    ("inbox", &["Newsletters"], "IPF.Note"),
    ("msgfolderroot", &["Archive 2025"], "IPF.Note"),
    ("calendar", &["Team"], "IPF.Appointment"),
    ("contacts", &["Suppliers"], "IPF.Contact"),
];

/// Items of a small mailbox, by the folder's id: messages, then events, contacts, tasks, notes.
const MESSAGES: [(&str, usize); 9] = [
    ("inbox", 14),
    ("drafts", 2),
    ("sentitems", 8),
    ("deleteditems", 3),
    ("Projects", 8),
    ("Größe & <Weite> 文件", 6),
    ("100% #1 + a/b", 4),
    ("Newsletters", 5),
    ("Archive 2025", 6),
];

/// Public folders: path and class, then messages or events in each.
const PUBLIC: [(&[&str], &str, usize); 5] = [
    (&["Company"], "IPF.Note", 3),
    (&["Company", "Policies & Rules"], "IPF.Note", 6),
    (&["Company", "Holidays"], "IPF.Appointment", 4),
    (&["Suppliers"], "IPF.Contact", 3),
    (&["Suppliers", "Old"], "IPF.Contact", 0),
];

/// What stands for the address of the public folders' store.
const PUBLIC_ADDRESS: &str = "Public Folders";

pub(super) fn generate(seed: u64, size: Size) -> World {
    let rng = Rng::new(seed).fork("exchange");
    let mut world = World {
        mailboxes: BTreeMap::new(),
        public: Mailbox::new(PUBLIC_ADDRESS, PUBLIC_ADDRESS),
        groups: vec![Group {
            address: format!("all@{DOMAIN}"),
            display_name: "All Staff".to_owned(),
            members: PEOPLE.iter().map(|(name, _)| format!("{name}@{DOMAIN}")).collect(),
        }],
        switches: Switches::default(),
        epoch: 1,
        now_ms: START_MS,
    };
    for (name, display_name) in PEOPLE {
        let address = format!("{name}@{DOMAIN}");
        let mut mailbox = Mailbox::new(&address, display_name);
        add_folders(&mut mailbox);
        mailbox.settings = Settings {
            rules: vec![format!("Newsletters of {name}"), "Urgent & <now>".to_owned()],
            reply: (name == "dora").then(|| "Back on Monday.".to_owned()),
            categories: vec!["Red".to_owned(), format!("Projects of {name}")],
            delegate: (name == "ann" || name == "dora").then(|| format!("bob@{DOMAIN}")),
        };
        fill(&mut world, &mut mailbox, &mut rng.fork(name), size);
        world.mailboxes.insert(address, mailbox);
    }
    let mut public = world.public.clone();
    fill_public(&mut world, &mut public, &mut rng.fork("public"), size);
    world.public = public;
    world
}

fn fill_public(world: &mut World, public: &mut Mailbox, rng: &mut Rng, size: Size) {
    // Names are distinct and parents come first, so nothing is refused.
    let _ = public.add_folder(None, "IPM_SUBTREE", "", Some(PUBLIC_ROOT));
    for (path, class, count) in PUBLIC {
        let Some((name, parents)) = path.split_last() else { continue };
        let parent = parents.iter().fold(public.top(), |at, name| child(public, at, name));
        let Ok(folder) = public.add_folder(Some(parent), name, class, None) else { continue };
        for _ in 0..size.scale(count) {
            let item = match class {
                "IPF.Appointment" => events::event(rng, world.now_ms),
                "IPF.Contact" => events::contact(rng, world.now_ms),
                _ => messages::random(rng, &format!("info@{DOMAIN}"), world.now_ms),
            };
            store(world, public, folder, item);
        }
    }
}

fn add_folders(mailbox: &mut Mailbox) {
    let add = |mailbox: &mut Mailbox,
               parent: Option<FolderNumber>,
               name: &str,
               class: &str,
               id: Option<&'static str>| {
        // The names below are distinct and parents come first, so nothing is refused.
        let _ = mailbox.add_folder(parent, name, class, id);
    };
    add(mailbox, None, "Root", "", Some("root"));
    let root = mailbox.well_known("root");
    add(mailbox, Some(root), "Top of Information Store", "", Some("msgfolderroot"));
    let top = mailbox.well_known("msgfolderroot");
    for (id, name, class) in VISIBLE {
        add(mailbox, Some(top), name, class, Some(id));
    }
    for (id, name, class, parent) in HIDDEN {
        let parent = mailbox.well_known(parent);
        add(mailbox, Some(parent), name, class, Some(id));
    }
    for (above, path, class) in OWN {
        let Some((name, parents)) = path.split_last() else { continue };
        let parent = parents.iter().fold(mailbox.well_known(above), |at, name| child(mailbox, at, name));
        add(mailbox, Some(parent), name, class, None);
    }
}

fn child(mailbox: &Mailbox, parent: FolderNumber, name: &str) -> FolderNumber {
    mailbox.children(parent).find(|folder| folder.name == name).map_or(parent, |folder| folder.number)
}

fn fill(world: &mut World, mailbox: &mut Mailbox, rng: &mut Rng, size: Size) {
    for (folder, count) in MESSAGES {
        let to = folder_named(mailbox, folder);
        for _ in 0..size.scale(count) {
            let mut item = messages::random(rng, &mailbox.address, world.now_ms);
            if folder == "drafts" {
                item.is_draft = true;
            }
            store(world, mailbox, to, item);
        }
    }
    let plain = |folder: &str,
                 count: usize,
                 make: &dyn Fn(&mut Rng, i64) -> Item,
                 world: &mut World,
                 mailbox: &mut Mailbox,
                 rng: &mut Rng| {
        let to = folder_named(mailbox, folder);
        for _ in 0..size.scale(count) {
            let item = make(rng, world.now_ms);
            store(world, mailbox, to, item);
        }
    };
    plain("calendar", 6, &events::event, world, mailbox, rng);
    plain("Team", 2, &events::event, world, mailbox, rng);
    plain("contacts", 5, &events::contact, world, mailbox, rng);
    plain("Suppliers", 2, &events::contact, world, mailbox, rng);
    plain("tasks", 4, &events::task, world, mailbox, rng);
    plain("notes", 2, &messages::note, world, mailbox, rng);
}

/// The folder with this distinguished id or, among users' folders, this name.
pub(super) fn folder_named(mailbox: &Mailbox, name: &str) -> FolderNumber {
    let own = || mailbox.folders().find(|folder| folder.name == name).map(|folder| folder.number);
    mailbox
        .distinguished(name)
        .map(|folder| folder.number)
        .or_else(own)
        .unwrap_or_else(|| mailbox.well_known("inbox"))
}

fn store(world: &mut World, mailbox: &mut Mailbox, to: FolderNumber, mut item: Item) {
    let now = world.tick();
    item.created_ms = now;
    item.modified_ms = now;
    // The folder exists, so nothing is refused.
    let _ = mailbox.add_item(to, item);
}

pub(super) fn add_big_message(world: &mut World, bytes: u64) {
    let now = world.tick();
    let Some(mailbox) = world.mailboxes.values_mut().next() else { return };
    let mut item = messages::big(&mailbox.address, now, bytes);
    item.created_ms = now;
    item.modified_ms = now;
    let inbox = mailbox.well_known("inbox");
    let _ = mailbox.add_item(inbox, item);
}
