//! `UpdateItem`.

use super::create::{set_extended, set_property};
use super::{Context, list};
use crate::exchange::access::{ItemPlace, item_not_found};
use crate::exchange::answer::{Failure, Fault, Outcome, response};
use crate::exchange::convert;
use crate::exchange::render;
use crate::exchange::shape::Path;
use crate::exchange::world::{Item, Kind};
use crate::exchange::xml::Element;

/// Properties that stand beside the MIME and do not change it.
const BESIDE_MIME: [&str; 8] = [
    "IsRead",
    "Categories",
    "Importance",
    "Sensitivity",
    "Flag",
    "ReminderIsSet",
    "ReminderDueBy",
    "ReminderMinutesBeforeStart",
];

/// `UpdateItem`.
pub(super) fn items(context: &mut Context<'_>, request: &Element) -> Result<Element, Fault> {
    let changes = list(request, "ItemChanges");
    let has_calendar = changes
        .iter()
        .flat_map(|change| list(change, "Updates"))
        .any(|update| update.child("CalendarItem").is_some());
    if has_calendar && request.attribute("SendMeetingInvitationsOrCancellations").is_none() {
        let text = "Send invitations or cancellations is required for calendar items.";
        return Err(Failure::new("ErrorSendMeetingInvitationsOrCancellationsRequired", text).into());
    }
    Ok(response("UpdateItem", changes.iter().map(|change| one(context, request, change))))
}

fn one(context: &mut Context<'_>, request: &Element, change: &Element) -> Outcome {
    let id = change.children.first().ok_or_else(item_not_found)?;
    let place = context.caller.item(context.world, context.shared, id)?;
    let mailbox = context.world.mailbox_of(place.mailbox).ok_or_else(item_not_found)?;
    let current = mailbox.item(place.item).ok_or_else(item_not_found)?;
    if current.kind == Kind::Message && request.attribute("MessageDisposition").is_none() {
        return Err(Failure::new(
            "ErrorMessageDispositionRequired",
            "Message disposition is required for message items.",
        ));
    }
    let shown = render::item_id(mailbox, current);
    let stale = id.attribute("ChangeKey").is_some_and(|key| Some(key) != shown.attribute("ChangeKey"));
    if stale && request.attribute("ConflictResolution") == Some("NeverOverwrite") {
        return Err(Failure::new(
            "ErrorIrresolvableConflict",
            "The send or update operation could not be performed because the change key passed in the request does not match the current change key for the item.",
        ));
    }
    let mut updated = current.clone();
    let mut effect = Effect::default();
    for update in list(change, "Updates") {
        effect.add(apply(&mut updated, update)?);
    }
    if effect.rebuild {
        convert::compose_mime(&mut updated);
    } else if effect.retitle {
        convert::rewrite_subject(&mut updated);
    }
    store(context, place, updated, effect)
}

/// What an update does to the item besides setting the property.
#[derive(Clone, Copy, Debug, Default)]
struct Effect {
    /// Something other than the read flag changed.
    version: bool,
    /// The subject in the MIME is to be replaced.
    retitle: bool,
    /// The MIME is to be made anew.
    rebuild: bool,
}

impl Effect {
    const fn add(&mut self, other: Self) {
        self.version |= other.version;
        self.retitle |= other.retitle;
        self.rebuild |= other.rebuild;
    }
}

fn store(context: &mut Context<'_>, place: ItemPlace, updated: Item, effect: Effect) -> Outcome {
    let now = context.world.tick();
    let mailbox = context.world.mailbox_of_mut(place.mailbox).ok_or_else(item_not_found)?;
    mailbox.set_read(place.item, updated.is_read)?;
    if effect.version {
        mailbox.update_item(place.item, |item| {
            let place = item.place;
            *item = updated;
            item.place = place;
            item.modified_ms = now;
        })?;
    }
    let item = mailbox.item(place.item).map(|item| render::bare_item(mailbox, item));
    Ok(vec![
        Element::messages("Items").with_children(item),
        Element::messages("ConflictResults").with_child(Element::value("Count", "0")),
    ])
}

fn apply(item: &mut Item, update: &Element) -> Result<Effect, Failure> {
    let path = Path::read_in(update)?;
    let value = update.children.iter().find(|child| !child.name.ends_with("FieldURI"));
    let version = Effect { version: true, ..Effect::default() };
    let property = match (update.name.as_str(), &path) {
        ("AppendToItemField", _) => {
            return Err(Failure::new(
                "ErrorInvalidPropertyAppend",
                "Append action is not supported for this property.",
            ));
        }
        ("DeleteItemField", Path::Extended(field)) => {
            item.extended.remove(&field.key);
            return Ok(version);
        }
        (_, Path::Extended(_)) => {
            let property = value.and_then(|value| value.child("ExtendedProperty"));
            set_extended(item, property.ok_or_else(missing_value)?, false)?;
            return Ok(version);
        }
        ("DeleteItemField", Path::Field(field)) => {
            item.properties.remove(field.element);
            field.element
        }
        ("DeleteItemField", Path::Indexed { field, uri, index }) => {
            unset_entry(item, field.element, uri, index);
            field.element
        }
        (_, Path::Field(field)) => {
            let property = value.and_then(|value| value.child(field.element)).ok_or_else(missing_value)?;
            set_property(item, property)?;
            field.element
        }
        (_, Path::Indexed { field, index, .. }) => {
            let entries = value.and_then(|value| value.child(field.element)).ok_or_else(missing_value)?;
            set_entry(item, entries, index);
            field.element
        }
    };
    Ok(effect_of(item, property))
}

fn effect_of(item: &Item, property: &str) -> Effect {
    let retitle = property == "Subject" && item.kind.is_mail();
    Effect { version: property != "IsRead", retitle, rebuild: !retitle && !BESIDE_MIME.contains(&property) }
}

/// Merges one entry of a dictionary property into those the item has.
fn set_entry(item: &mut Item, entries: &Element, index: &str) {
    let stored = item.properties.entry(entries.name.clone()).or_insert_with(|| Element::types(&entries.name));
    for entry in entries.children.iter().filter(|entry| entry.attribute("Key") == Some(index)) {
        match stored.children.iter_mut().find(|old| old.attribute("Key") == Some(index)) {
            // Addresses have parts, and a request sets one part at a time.
            Some(old) if !entry.children.is_empty() => {
                for part in &entry.children {
                    old.children.retain(|old| old.name != part.name);
                    old.children.push(part.clone());
                }
            }
            Some(old) => old.text.clone_from(&entry.text),
            None => stored.children.push(entry.clone()),
        }
    }
}

fn unset_entry(item: &mut Item, property: &str, uri: &str, index: &str) {
    let Some(stored) = item.properties.get_mut(property) else { return };
    let part = uri.split(':').nth(2);
    for entry in stored.children.iter_mut().filter(|entry| entry.attribute("Key") == Some(index)) {
        entry.children.retain(|child| Some(child.name.as_str()) != part);
    }
    stored.children.retain(|entry| entry.attribute("Key") != Some(index) || !entry.children.is_empty());
}

fn missing_value() -> Failure {
    Failure::new(
        "ErrorIncorrectUpdatePropertyCount",
        "An object within a change description must contain one and only one property to modify.",
    )
}
