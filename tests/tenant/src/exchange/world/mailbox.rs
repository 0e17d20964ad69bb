//! One mailbox: its folders and items, and every change to them stamped with the next number of its history.

use std::collections::BTreeMap;

use super::item::{Folder, Item};
use super::settings::Settings;
use crate::exchange::ids::{EntryId, FolderNumber, ItemNumber, MailboxGuid, Sequence};

/// The distinguished id of the root of public folders.
pub(crate) const PUBLIC_ROOT: &str = "publicfoldersroot";

/// An item or folder that is no longer where it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone<N> {
    pub(crate) number: N,
    /// The folder it was in; for folders, any of the folders above.
    pub(crate) folder: FolderNumber,
    pub(crate) arrived: Sequence,
    pub(crate) at: Sequence,
}

/// Why a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("The specified folder could not be found in the store.")]
    FolderNotFound,
    #[error("The specified object was not found in the store.")]
    ItemNotFound,
    #[error("A folder with the specified name already exists.")]
    FolderExists,
    #[error("Distinguished folders cannot be deleted.")]
    Distinguished,
    #[error("The folder cannot be moved below itself.")]
    Cycle,
}

/// A mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    pub(crate) guid: MailboxGuid,
    /// The primary SMTP address, lower case.
    pub(crate) address: String,
    pub(crate) display_name: String,
    pub(crate) settings: Settings,
    folders: BTreeMap<FolderNumber, Folder>,
    items: BTreeMap<ItemNumber, Item>,
    gone_items: Vec<Gone<ItemNumber>>,
    gone_folders: Vec<Gone<FolderNumber>>,
    numbers_used: u64,
    sequence: Sequence,
}

impl Mailbox {
    /// A mailbox without folders.
    pub(crate) fn new(address: &str, display_name: &str) -> Self {
        Self {
            guid: MailboxGuid::of(address),
            address: address.to_owned(),
            display_name: display_name.to_owned(),
            settings: Settings::default(),
            folders: BTreeMap::new(),
            items: BTreeMap::new(),
            gone_items: Vec::new(),
            gone_folders: Vec::new(),
            numbers_used: 0,
            sequence: Sequence(0),
        }
    }

    /// The latest point in the history.
    pub(crate) const fn sequence(&self) -> Sequence {
        self.sequence
    }

    pub(crate) fn folder(&self, number: FolderNumber) -> Option<&Folder> {
        self.folders.get(&number)
    }

    pub(crate) fn item(&self, number: ItemNumber) -> Option<&Item> {
        self.items.get(&number)
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.folders.values()
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    pub(crate) fn gone_items(&self) -> &[Gone<ItemNumber>] {
        &self.gone_items
    }

    pub(crate) fn gone_folders(&self) -> &[Gone<FolderNumber>] {
        &self.gone_folders
    }

    /// The items in a folder, in the order they came.
    pub(crate) fn items_in(&self, folder: FolderNumber) -> impl Iterator<Item = &Item> {
        self.items.values().filter(move |item| item.place.folder == folder)
    }

    /// The folders directly below a folder.
    pub(crate) fn children(&self, folder: FolderNumber) -> impl Iterator<Item = &Folder> {
        self.folders.values().filter(move |child| child.parent == Some(folder))
    }

    /// All folders below a folder, parents before children.
    pub(crate) fn descendants(&self, folder: FolderNumber) -> Vec<&Folder> {
        let mut found: Vec<&Folder> = Vec::new();
        for child in self.children(folder) {
            found.push(child);
            found.extend(self.descendants(child.number));
        }
        found
    }

    /// The folder with a distinguished id.
    pub(crate) fn distinguished(&self, id: &str) -> Option<&Folder> {
        self.folders.values().find(|folder| folder.distinguished == Some(id))
    }

    /// Whether it is the store of public folders.
    pub(crate) fn is_public(&self) -> bool {
        self.distinguished(PUBLIC_ROOT).is_some()
    }

    /// What an item is called where it is counted, and by backups: its entry id in hexadecimal; in public folders, where ids do not convert, its EWS id.
    pub(crate) fn name_of(&self, item: &Item) -> String {
        let id = EntryId::item(self.guid, item.place.number);
        if self.is_public() { id.encode() } else { id.encode_hex().to_lowercase() }
    }

    /// The root of what people see.
    pub(crate) fn top(&self) -> FolderNumber {
        self.well_known(if self.is_public() { PUBLIC_ROOT } else { "msgfolderroot" })
    }

    /// The number of the folder with a distinguished id every mailbox has.
    pub(crate) fn well_known(&self, id: &str) -> FolderNumber {
        self.distinguished(id).map_or(FolderNumber(0), |folder| folder.number)
    }

    /// Whether `folder` is `ancestor` or below it.
    pub(crate) fn is_within(&self, folder: FolderNumber, ancestor: FolderNumber) -> bool {
        let mut at = Some(folder);
        while let Some(number) = at {
            if number == ancestor {
                return true;
            }
            at = self.folders.get(&number).and_then(|folder| folder.parent);
        }
        false
    }

    /// The display names from below the visible root down to a folder; none for what is not below it.
    pub(crate) fn path(&self, folder: FolderNumber) -> Option<Vec<String>> {
        let top = self.top();
        let mut names = Vec::new();
        let mut at = folder;
        while at != top {
            let folder = self.folders.get(&at)?;
            names.push(folder.name.clone());
            at = folder.parent?;
        }
        names.reverse();
        Some(names)
    }

    /// Adds a folder; names are unique below a parent, whatever their case.
    pub(crate) fn add_folder(
        &mut self,
        parent: Option<FolderNumber>,
        name: &str,
        class: &str,
        distinguished: Option<&'static str>,
    ) -> Result<FolderNumber, Refused> {
        if let Some(parent) = parent {
            self.check_name(parent, name, None)?;
        }
        let number = FolderNumber(self.next_number());
        let at = self.step();
        let folder = Folder {
            number,
            parent,
            name: name.to_owned(),
            class: class.to_owned(),
            distinguished,
            extended: BTreeMap::new(),
            created: at,
            changed: at,
        };
        self.folders.insert(number, folder);
        Ok(number)
    }

    /// Changes a folder in place and gives it a new version. A new name must be free.
    pub(crate) fn update_folder(
        &mut self,
        number: FolderNumber,
        change: impl FnOnce(&mut Folder),
    ) -> Result<(), Refused> {
        let mut folder = self.folders.get(&number).cloned().ok_or(Refused::FolderNotFound)?;
        change(&mut folder);
        if let Some(parent) = folder.parent {
            self.check_name(parent, &folder.name, Some(number))?;
        }
        folder.changed = self.step();
        self.folders.insert(number, folder);
        Ok(())
    }

    /// Moves a folder with all below it; its id and its items' ids stay.
    pub(crate) fn move_folder(&mut self, number: FolderNumber, to: FolderNumber) -> Result<(), Refused> {
        if !self.folders.contains_key(&to) {
            return Err(Refused::FolderNotFound);
        }
        if self.is_within(to, number) {
            return Err(Refused::Cycle);
        }
        let name = self.folders.get(&number).ok_or(Refused::FolderNotFound)?.name.clone();
        self.check_name(to, &name, Some(number))?;
        self.update_folder(number, |folder| folder.parent = Some(to))
    }

    /// Deletes a folder with all folders and items below it.
    pub(crate) fn remove_folder(&mut self, number: FolderNumber) -> Result<(), Refused> {
        let folder = self.folders.get(&number).ok_or(Refused::FolderNotFound)?;
        if folder.distinguished.is_some() {
            return Err(Refused::Distinguished);
        }
        let mut doomed: Vec<FolderNumber> =
            self.descendants(number).iter().map(|folder| folder.number).collect();
        doomed.insert(0, number);
        // Children first, so that each one's parent still says where it was.
        for folder in doomed.into_iter().rev() {
            let items: Vec<ItemNumber> = self.items_in(folder).map(|item| item.place.number).collect();
            for item in items {
                self.remove_item(item)?;
            }
            let at = self.step();
            if let Some(gone) = self.folders.remove(&folder) {
                let parent = gone.parent.unwrap_or(gone.number);
                self.gone_folders.push(Gone {
                    number: gone.number,
                    folder: parent,
                    arrived: gone.created,
                    at,
                });
            }
        }
        Ok(())
    }

    /// Puts a new item into a folder.
    pub(crate) fn add_item(&mut self, folder: FolderNumber, mut item: Item) -> Result<ItemNumber, Refused> {
        if !self.folders.contains_key(&folder) {
            return Err(Refused::FolderNotFound);
        }
        let number = ItemNumber(self.next_number());
        let at = self.step();
        item.place.number = number;
        item.place.folder = folder;
        item.place.arrived = at;
        item.place.changed = at;
        item.place.read_changed = at;
        if item.search_key == [0; 16] {
            let digest = blake3::hash(format!("{}/{}", self.address, number.0).as_bytes());
            item.search_key.copy_from_slice(&digest.as_bytes()[..16]);
        }
        self.items.insert(number, item);
        Ok(number)
    }

    /// Changes an item in place and gives it a new version.
    pub(crate) fn update_item(
        &mut self,
        number: ItemNumber,
        change: impl FnOnce(&mut Item),
    ) -> Result<(), Refused> {
        let at = self.sequence;
        let item = self.items.get_mut(&number).ok_or(Refused::ItemNotFound)?;
        change(item);
        item.place.changed = Sequence(at.0 + 1);
        self.step();
        Ok(())
    }

    /// Sets the read flag; the version stays.
    pub(crate) fn set_read(&mut self, number: ItemNumber, is_read: bool) -> Result<(), Refused> {
        let at = self.sequence;
        let item = self.items.get_mut(&number).ok_or(Refused::ItemNotFound)?;
        if item.is_read != is_read {
            item.is_read = is_read;
            item.place.read_changed = Sequence(at.0 + 1);
            self.step();
        }
        Ok(())
    }

    /// Moves an item, which gives it a new number; its search key stays.
    pub(crate) fn move_item(&mut self, number: ItemNumber, to: FolderNumber) -> Result<ItemNumber, Refused> {
        if !self.folders.contains_key(&to) {
            return Err(Refused::FolderNotFound);
        }
        let item = self.items.get(&number).cloned().ok_or(Refused::ItemNotFound)?;
        self.remove_item(number)?;
        self.add_item(to, item)
    }

    /// Deletes an item for good.
    pub(crate) fn remove_item(&mut self, number: ItemNumber) -> Result<(), Refused> {
        let item = self.items.remove(&number).ok_or(Refused::ItemNotFound)?;
        let at = self.step();
        self.gone_items.push(Gone { number, folder: item.place.folder, arrived: item.place.arrived, at });
        Ok(())
    }

    fn check_name(
        &self,
        parent: FolderNumber,
        name: &str,
        except: Option<FolderNumber>,
    ) -> Result<(), Refused> {
        if !self.folders.contains_key(&parent) {
            return Err(Refused::FolderNotFound);
        }
        let name = name.to_lowercase();
        let taken = self
            .children(parent)
            .any(|child| Some(child.number) != except && child.name.to_lowercase() == name);
        if taken { Err(Refused::FolderExists) } else { Ok(()) }
    }

    const fn step(&mut self) -> Sequence {
        self.sequence.0 += 1;
        self.sequence
    }

    const fn next_number(&mut self) -> u64 {
        self.numbers_used += 1;
        self.numbers_used
    }
}
