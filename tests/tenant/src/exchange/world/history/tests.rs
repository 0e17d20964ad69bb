use std::collections::BTreeMap;

use super::*;
use crate::content::Rng;
use crate::exchange::world::item::{Item, Kind};

/// A mailbox with two folders.
fn mailbox() -> (Mailbox, FolderNumber, FolderNumber) {
    let mut mailbox = Mailbox::new("ann@contoso.example", "Ann");
    let root = mailbox.add_folder(None, "Root", "", Some("root")).expect("root");
    let top = mailbox.add_folder(Some(root), "Top", "", Some("msgfolderroot")).expect("top");
    let inbox = mailbox.add_folder(Some(top), "Inbox", "IPF.Note", Some("inbox")).expect("inbox");
    let other = mailbox.add_folder(Some(top), "Other", "IPF.Note", None).expect("other");
    (mailbox, inbox, other)
}

fn message() -> Item {
    Item::new(Kind::Message, "IPM.Note")
}

/// A client's picture of a folder: version by item.
#[derive(Debug, Default, PartialEq)]
struct Picture {
    items: BTreeMap<ItemNumber, (Sequence, bool)>,
}

impl Picture {
    fn of(mailbox: &Mailbox, folder: FolderNumber) -> Self {
        let items =
            mailbox.items_in(folder).map(|item| (item.place.number, (item.place.changed, item.is_read)));
        Self { items: items.collect() }
    }

    fn apply(&mut self, mailbox: &Mailbox, changes: &[ItemChange]) {
        for change in changes {
            match change {
                ItemChange::Create(number) | ItemChange::Update(number) | ItemChange::Read(number) => {
                    let item = mailbox.item(*number).expect("a change names a living item");
                    self.items.insert(*number, (item.place.changed, item.is_read));
                }
                ItemChange::Delete(number) => {
                    self.items.remove(number);
                }
            }
        }
    }
}

#[test]
fn a_first_listing_is_newest_first_and_paged() {
    let (mut mailbox, inbox, _) = mailbox();
    let numbers: Vec<ItemNumber> =
        (0..5).map(|_| mailbox.add_item(inbox, message()).expect("added")).collect();
    let first = mailbox.item_changes(inbox, mailbox.history_start(), &[], 3);
    assert_eq!(first.changes, [4, 3, 2].map(|at| ItemChange::Create(numbers[at])));
    assert!(!first.complete);
    let second = mailbox.item_changes(inbox, first.reached, &[], 3);
    assert_eq!(second.changes, [1, 0].map(|at| ItemChange::Create(numbers[at])));
    assert!(second.complete);
    let third = mailbox.item_changes(inbox, second.reached, &[], 3);
    assert_eq!((third.changes.len(), third.complete), (0, true));
}

#[test]
fn each_kind_of_change_is_told_as_itself() {
    let (mut mailbox, inbox, other) = mailbox();
    let numbers: Vec<ItemNumber> =
        (0..5).map(|_| mailbox.add_item(inbox, message()).expect("added")).collect();
    let start = mailbox.item_changes(inbox, mailbox.history_start(), &[], 512).reached;
    mailbox.update_item(numbers[0], |item| item.set("Subject", "x")).expect("updated");
    mailbox.set_read(numbers[1], false).expect("marked");
    let moved = mailbox.move_item(numbers[2], other).expect("moved");
    mailbox.remove_item(numbers[3]).expect("removed");
    let new = mailbox.add_item(inbox, message()).expect("added");
    let brief = mailbox.add_item(inbox, message()).expect("added");
    mailbox.remove_item(brief).expect("removed");
    let page = mailbox.item_changes(inbox, start, &[], 512);
    let expected = [
        ItemChange::Update(numbers[0]),
        ItemChange::Read(numbers[1]),
        ItemChange::Delete(numbers[2]),
        ItemChange::Delete(numbers[3]),
        ItemChange::Create(new),
    ];
    assert_eq!(page.changes, expected);
    assert!(page.complete);
    let key = |number| mailbox.item(number).map(|item| item.search_key);
    assert_ne!(moved, numbers[2]);
    assert_ne!(key(moved), key(numbers[4]));
    let arrived = mailbox.item_changes(other, mailbox.history_start(), &[], 512);
    assert_eq!(arrived.changes, [ItemChange::Create(moved)]);
}

#[test]
fn an_item_created_and_changed_between_pages_is_still_created() {
    let (mut mailbox, inbox, _) = mailbox();
    let start = mailbox.item_changes(inbox, mailbox.history_start(), &[], 512).reached;
    let one = mailbox.add_item(inbox, message()).expect("added");
    let two = mailbox.add_item(inbox, message()).expect("added");
    mailbox.update_item(one, |item| item.set("Subject", "x")).expect("updated");
    let first = mailbox.item_changes(inbox, start, &[], 1);
    assert_eq!((first.changes, first.complete), (vec![ItemChange::Create(one)], false));
    let second = mailbox.item_changes(inbox, first.reached, &[], 1);
    assert_eq!(second.changes, [ItemChange::Create(two)]);
}

#[test]
fn ignored_items_are_left_out() {
    let (mut mailbox, inbox, _) = mailbox();
    let one = mailbox.add_item(inbox, message()).expect("added");
    let page = mailbox.item_changes(inbox, mailbox.history_start(), &[one], 512);
    assert_eq!((page.changes.len(), page.complete), (0, true));
}

#[test]
fn a_client_that_pages_through_random_changes_ends_with_the_truth() {
    for seed in 0..50 {
        let mut rng = Rng::new(seed);
        let (mut mailbox, inbox, other) = mailbox();
        for _ in 0..20 {
            mailbox.add_item(inbox, message()).expect("added");
        }
        let mut picture = Picture::default();
        let mut reached = mailbox.history_start();
        for _ in 0..60 {
            random_change(&mut mailbox, &mut rng, inbox, other);
            let page = mailbox.item_changes(inbox, reached, &[], 1 + rng.index(4));
            picture.apply(&mailbox, &page.changes);
            reached = page.reached;
        }
        loop {
            let page = mailbox.item_changes(inbox, reached, &[], 3);
            picture.apply(&mailbox, &page.changes);
            reached = page.reached;
            if page.complete {
                break;
            }
        }
        assert_eq!(picture, Picture::of(&mailbox, inbox), "seed {seed}");
    }
}

fn random_change(mailbox: &mut Mailbox, rng: &mut Rng, inbox: FolderNumber, other: FolderNumber) {
    let items: Vec<ItemNumber> = mailbox.items().map(|item| item.place.number).collect();
    let Some(item) = rng.pick(&items).copied() else { return };
    match rng.below(5) {
        0 => mailbox.add_item(inbox, message()).map(|_| ()),
        1 => mailbox.update_item(item, |item| item.set("Subject", "y")),
        2 => {
            let is_read = mailbox.item(item).is_some_and(|item| item.is_read);
            mailbox.set_read(item, !is_read)
        }
        3 => mailbox.move_item(item, if rng.chance(0.5) { inbox } else { other }).map(|_| ()),
        _ => mailbox.remove_item(item),
    }
    .expect("the item lives");
}

#[test]
fn folder_changes_follow_creation_renaming_moving_and_deletion() {
    let (mut mailbox, inbox, other) = mailbox();
    let top = mailbox.well_known("msgfolderroot");
    let first = mailbox.folder_changes(top, mailbox.history_start(), 512);
    assert_eq!(first.changes.len(), 2);
    assert!(first.complete);
    let new = mailbox.add_folder(Some(inbox), "New", "IPF.Note", None).expect("added");
    mailbox.update_folder(inbox, |folder| folder.name = "Posteingang".to_owned()).expect("renamed");
    let page = mailbox.folder_changes(top, first.reached, 512);
    assert_eq!(page.changes, [FolderChange::Create(new), FolderChange::Update(inbox)]);
    mailbox.move_folder(new, other).expect("moved");
    mailbox.remove_folder(other).expect("removed");
    let page = mailbox.folder_changes(top, page.reached, 512);
    assert_eq!(page.changes, [FolderChange::Delete(new), FolderChange::Delete(other)]);
}
