//! What the server holds: all mailboxes, the groups of the directory, and the switches.

mod change;
mod events;
mod history;
mod item;
mod mailbox;
mod manifest;
mod messages;
mod seed;
mod settings;

use std::collections::BTreeMap;

pub(crate) use history::{FolderChange, ItemChange, Reached};
pub(crate) use item::{Folder, Item, Kind, PropertyKey, PropertyValue};
pub(crate) use mailbox::{Mailbox, PUBLIC_ROOT, Refused};
pub(crate) use settings::Settings;

use super::ids::MailboxGuid;
use super::switches::Switches;
use crate::content::{Rng, Size};

/// Draws tried per change wanted.
const DRAWS_PER_CHANGE: usize = 4;

/// A distribution group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) address: String,
    pub(crate) display_name: String,
    /// Addresses of the members.
    pub(crate) members: Vec<String>,
}

/// Everything the Exchange server of a tenant holds.
#[derive(Clone, Debug)]
pub struct World {
    mailboxes: BTreeMap<String, Mailbox>,
    /// The public folders, which everybody with a mailbox may read.
    public: Mailbox,
    groups: Vec<Group>,
    switches: Switches,
    /// Goes up when all sync states are to be refused.
    epoch: u64,
    /// The server's clock, in milliseconds since 1970: moves a second with every change, so that the same seed gives
    /// the same times.
    now_ms: i64,
}

impl World {
    /// The world of this seed and size; the same for the same two.
    pub fn generate(seed: u64, size: Size) -> Self {
        seed::generate(seed, size)
    }

    /// Adds a message whose MIME is about `bytes` long to the first mailbox's inbox. Its content is made while it is
    /// read, so it takes no memory.
    pub fn add_big_message(&mut self, bytes: u64) {
        seed::add_big_message(self, bytes);
    }

    /// Makes `count` random changes to items and folders and gives how many were made: fewer only if hardly anything
    /// is left to change.
    pub fn change(&mut self, rng: &mut Rng, count: usize) -> usize {
        // Some draws cannot be done, such as moving a folder below itself; a few more draws make up for them.
        (0..count.saturating_mul(DRAWS_PER_CHANGE)).filter(|_| change::one(self, rng)).take(count).count()
    }

    /// One JSON object per visible folder and item: what a right backup of this server holds. Makes every item's
    /// bytes, so it takes as long as the world is large.
    pub fn manifest_lines(&self) -> Vec<serde_json::Value> {
        self.mailboxes.values().chain([&self.public]).flat_map(manifest::lines).collect()
    }

    /// How the server behaves.
    pub const fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Changes how the server behaves, from the next request on.
    pub fn set_switches(&mut self, switches: Switches) {
        self.switches = switches;
    }

    /// Refuses all sync states given out so far, as a move of the mailboxes to another server does.
    pub const fn expire_sync_states(&mut self) {
        self.epoch += 1;
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The time of a change that happens now, in milliseconds since 1970.
    pub(crate) const fn tick(&mut self) -> i64 {
        self.now_ms += 1000;
        self.now_ms
    }

    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = &Mailbox> {
        self.mailboxes.values()
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The mailbox with a primary address, whatever its case.
    pub(crate) fn mailbox(&self, address: &str) -> Option<&Mailbox> {
        self.mailboxes.get(&address.to_ascii_lowercase())
    }

    /// The mailbox with a guid.
    pub(crate) fn mailbox_of(&self, guid: MailboxGuid) -> Option<&Mailbox> {
        self.mailboxes.values().chain([&self.public]).find(|mailbox| mailbox.guid == guid)
    }

    /// The public folders.
    pub(crate) const fn public(&self) -> &Mailbox {
        &self.public
    }

    /// Changes a mailbox's inbox rules, automatic reply and categories: all name `word` then.
    pub fn set_settings(&mut self, address: &str, word: &str) {
        if let Some(mailbox) = self.mailboxes.get_mut(address) {
            mailbox.settings.rules.push(format!("Rule {word}"));
            mailbox.settings.reply = Some(format!("Away: {word}"));
            mailbox.settings.categories.push(format!("Category {word}"));
        }
    }

    /// Moves all items of a mailbox's folder into another, both by distinguished id or name, and gives how many. As on some servers, that counts as
    /// the items' last change.
    pub fn file_away(&mut self, address: &str, from: &str, to: &str) -> usize {
        let now = self.tick();
        let Some(mailbox) = self.mailboxes.get_mut(address) else { return 0 };
        let (from, to) = (seed::folder_named(mailbox, from), seed::folder_named(mailbox, to));
        let items: Vec<_> = mailbox.items_in(from).map(|item| item.place.number).collect();
        let moved = items.into_iter().filter_map(|item| {
            let number = mailbox.move_item(item, to).ok()?;
            mailbox.update_item(number, |item| item.modified_ms = now).ok()
        });
        moved.count()
    }

    /// The mailbox with a guid, to change.
    pub(crate) fn mailbox_of_mut(&mut self, guid: MailboxGuid) -> Option<&mut Mailbox> {
        self.mailboxes.values_mut().chain([&mut self.public]).find(|mailbox| mailbox.guid == guid)
    }
}
