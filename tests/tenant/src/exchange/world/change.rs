//! Random changes: what users do to their mailboxes between two backups.

use super::item::Item;
use super::mailbox::Mailbox;
use super::{World, events, messages};
use crate::content::Rng;
use crate::exchange::convert;
use crate::exchange::ids::{FolderNumber, ItemNumber};
use crate::exchange::xml::Element;

/// Makes one change; false if none was possible.
pub(super) fn one(world: &mut World, rng: &mut Rng) -> bool {
    let now_ms = world.tick();
    let at = rng.index(world.mailboxes.len() + 1);
    let mailbox = world.mailboxes.values_mut().nth(at).unwrap_or(&mut world.public);
    match rng.below(40) {
        0..=11 => add(mailbox, rng, now_ms),
        12..=19 => edit(mailbox, rng, now_ms),
        20..=25 => read_flag(mailbox, rng),
        26..=29 => move_item(mailbox, rng),
        30..=33 => delete(mailbox, rng),
        34..=35 => rename_folder(mailbox, rng),
        36 => move_folder(mailbox, rng),
        37 => remove_folder(mailbox, rng),
        _ => create_folder(mailbox, rng),
    }
}

fn add(mailbox: &mut Mailbox, rng: &mut Rng, now_ms: i64) -> bool {
    let Some((folder, class)) = any_folder(mailbox, rng, "IPF.") else { return false };
    let mut item = match class.as_str() {
        "IPF.Appointment" => events::event(rng, now_ms),
        "IPF.Contact" => events::contact(rng, now_ms),
        "IPF.Task" => events::task(rng, now_ms),
        "IPF.StickyNote" => messages::note(rng, now_ms),
        _ => messages::random(rng, &mailbox.address, now_ms),
    };
    item.created_ms = now_ms;
    item.modified_ms = now_ms;
    mailbox.add_item(folder, item).is_ok()
}

fn edit(mailbox: &mut Mailbox, rng: &mut Rng, now_ms: i64) -> bool {
    let Some(item) = any_item(mailbox, rng, |_| true) else { return false };
    let subject = messages::words(rng, 3);
    let body = messages::text(rng);
    let categories = rng.chance(0.3);
    let edited = mailbox.update_item(item, |item| {
        item.modified_ms = now_ms;
        if categories {
            item.set_categories(&["Edited"]);
            return;
        }
        item.set("Subject", &subject);
        if item.kind.is_mail() {
            convert::rewrite_subject(item);
        } else {
            item.properties
                .insert("Body".to_owned(), Element::value("Body", body).with_attribute("BodyType", "Text"));
            convert::compose_mime(item);
        }
    });
    edited.is_ok()
}

fn read_flag(mailbox: &mut Mailbox, rng: &mut Rng) -> bool {
    let Some(number) = any_item(mailbox, rng, |item| item.kind.is_mail()) else { return false };
    let is_read = mailbox.item(number).is_some_and(|item| item.is_read);
    mailbox.set_read(number, !is_read).is_ok()
}

fn move_item(mailbox: &mut Mailbox, rng: &mut Rng) -> bool {
    let Some(number) = any_item(mailbox, rng, |_| true) else { return false };
    let from = mailbox.item(number).and_then(|item| mailbox.folder(item.place.folder));
    let class = from.map(|folder| folder.class.clone()).unwrap_or_default();
    let Some((to, _)) = any_folder(mailbox, rng, &class) else { return false };
    mailbox.move_item(number, to).is_ok()
}

fn delete(mailbox: &mut Mailbox, rng: &mut Rng) -> bool {
    any_item(mailbox, rng, |_| true).is_some_and(|number| mailbox.remove_item(number).is_ok())
}

fn rename_folder(mailbox: &mut Mailbox, rng: &mut Rng) -> bool {
    let Some(folder) = own_folder(mailbox, rng) else { return false };
    let name = format!("{} {}", messages::words(rng, 1), rng.below(10_000));
    mailbox.update_folder(folder, |folder| folder.name = name).is_ok()
}

/// Moves a folder below another; where that would make a cycle or a clash of names, nothing happens.
fn move_folder(mailbox: &mut Mailbox, rng: &mut Rng) -> bool {
    let Some(folder) = own_folder(mailbox, rng) else { return false };
    let class = mailbox.folder(folder).map(|folder| folder.class.clone()).unwrap_or_default();
    let Some((to, _)) = any_folder(mailbox, rng, &class) else { return false };
    mailbox.move_folder(folder, to).is_ok()
}

/// Deletes a folder with all in it.
fn remove_folder(mailbox: &mut Mailbox, rng: &mut Rng) -> bool {
    own_folder(mailbox, rng).is_some_and(|folder| mailbox.remove_folder(folder).is_ok())
}

fn create_folder(mailbox: &mut Mailbox, rng: &mut Rng) -> bool {
    let Some((parent, class)) = any_folder(mailbox, rng, "IPF.") else { return false };
    let name = format!("New {} {}", messages::words(rng, 1), rng.below(10_000));
    mailbox.add_folder(Some(parent), &name, &class, None).is_ok()
}

/// A visible folder whose class starts with `class`, and its class.
fn any_folder(mailbox: &Mailbox, rng: &mut Rng, class: &str) -> Option<(FolderNumber, String)> {
    let top = mailbox.top();
    let folders: Vec<(FolderNumber, String)> = mailbox
        .descendants(top)
        .into_iter()
        .filter(|folder| folder.class.starts_with(class))
        .map(|folder| (folder.number, folder.class.clone()))
        .collect();
    rng.pick(&folders).cloned()
}

fn own_folder(mailbox: &Mailbox, rng: &mut Rng) -> Option<FolderNumber> {
    let own: Vec<FolderNumber> = mailbox
        .folders()
        .filter(|folder| folder.distinguished.is_none())
        .map(|folder| folder.number)
        .collect();
    rng.pick(&own).copied()
}

fn any_item(mailbox: &Mailbox, rng: &mut Rng, wanted: impl Fn(&Item) -> bool) -> Option<ItemNumber> {
    let items: Vec<ItemNumber> =
        mailbox.items().filter(|item| wanted(item)).map(|item| item.place.number).collect();
    rng.pick(&items).copied()
}
