//! Events, contacts and tasks of a new world; their MIME is made from their properties, as on a real server.

use super::item::{Item, Kind};
use super::messages::{text, words};
use crate::account::{DOMAIN, PEOPLE};
use crate::clock::iso_seconds;
use crate::content::Rng;
use crate::exchange::convert;
use crate::exchange::xml::Element;

const HOUR_MS: i64 = 3_600_000;

/// An event, every fourth one of them weekly.
pub(super) fn event(rng: &mut Rng, now_ms: i64) -> Item {
    let mut item = Item::new(Kind::Calendar, "IPM.Appointment");
    let start = now_ms + HOUR_MS * i64::try_from(rng.below(1000)).unwrap_or(0);
    item.set("Subject", words(rng, 3));
    item.set(
        "UID",
        format!("040000008200E00074C5B7101A82E008{}", rng.guid().replace('-', "").to_uppercase()),
    );
    item.set("Start", iso_seconds(start));
    item.set("End", iso_seconds(start + HOUR_MS));
    item.set("Location", format!("Room {}", rng.below(20)));
    item.set("IsAllDayEvent", "false");
    item.set("LegacyFreeBusyStatus", "Busy");
    item.properties
        .insert("Body".to_owned(), Element::value("Body", text(rng)).with_attribute("BodyType", "Text"));
    if rng.chance(0.25) {
        item.properties.insert("Recurrence".to_owned(), weekly(start, 2 + rng.below(8)));
    }
    finish(item, rng)
}

/// A contact.
pub(super) fn contact(rng: &mut Rng, _now_ms: i64) -> Item {
    let mut item = Item::new(Kind::Contact, "IPM.Contact");
    let (name, display_name) = rng.pick(&PEOPLE).copied().unwrap_or(("ann", "Ann Archer"));
    let number = rng.below(1000);
    let (given, family) = display_name.split_once(' ').unwrap_or((display_name, ""));
    item.set("Subject", format!("{display_name} {number}"));
    item.set("FileAs", format!("{family}, {given} {number}"));
    item.set("DisplayName", format!("{display_name} {number}"));
    item.set("GivenName", given);
    item.set("Surname", format!("{family} {number}"));
    item.set("CompanyName", words(rng, 2));
    item.set("JobTitle", words(rng, 1));
    item.properties.insert(
        "EmailAddresses".to_owned(),
        entries("EmailAddresses", &[("EmailAddress1", format!("{name}{number}@{DOMAIN}"))]),
    );
    item.properties.insert(
        "PhoneNumbers".to_owned(),
        entries(
            "PhoneNumbers",
            &[("BusinessPhone", format!("+49 30 {number}")), ("MobilePhone", format!("+49 170 {number}"))],
        ),
    );
    finish(item, rng)
}

/// A task. About half have a due date, which no MIME can hold, so the server has none for them.
pub(super) fn task(rng: &mut Rng, now_ms: i64) -> Item {
    let mut item = Item::new(Kind::Task, "IPM.Task");
    item.set("Subject", words(rng, 4));
    if rng.chance(0.5) {
        item.set("DueDate", iso_seconds(now_ms + HOUR_MS * 24));
    }
    item.set("Status", "NotStarted");
    item.set("PercentComplete", "0");
    item.properties
        .insert("Body".to_owned(), Element::value("Body", text(rng)).with_attribute("BodyType", "Text"));
    finish(item, rng)
}

fn finish(mut item: Item, rng: &mut Rng) -> Item {
    if rng.chance(0.3) {
        item.set_categories(&["Blue"]);
    }
    convert::compose_mime(&mut item);
    item
}

fn weekly(start_ms: i64, times: u64) -> Element {
    let date = iso_seconds(start_ms).chars().take(10).collect::<String>();
    let pattern = Element::types("WeeklyRecurrence")
        .with_child(Element::value("Interval", "1"))
        .with_child(Element::value("DaysOfWeek", "Monday"))
        .with_child(Element::value("FirstDayOfWeek", "Monday"));
    let range = Element::types("NumberedRecurrence")
        .with_child(Element::value("StartDate", format!("{date}Z")))
        .with_child(Element::value("NumberOfOccurrences", times.to_string()));
    Element::types("Recurrence").with_child(pattern).with_child(range)
}

fn entries(name: &str, values: &[(&str, String)]) -> Element {
    Element::types(name).with_children(
        values.iter().map(|(key, value)| Element::value("Entry", value.clone()).with_attribute("Key", *key)),
    )
}
