//! Between an item's properties and its MIME: what a message says becomes properties, what a client set becomes MIME.

use std::fmt::Write as _;

use super::content::Content;
use super::mime::{
    Body, Card, Contactable, Draft, Event, compose, compose_card, compose_event, encode_words, parse,
    read_event,
};
use super::world::{Item, Kind};
use super::xml::Element;

/// Sets the properties of a message from what it was composed of.
pub(crate) fn describe(item: &mut Item, draft: &Draft) {
    item.set("Subject", draft.subject.as_str());
    item.properties.insert("From".to_owned(), Element::types("From").with_child(mailbox(&draft.from)));
    item.properties.insert("Sender".to_owned(), Element::types("Sender").with_child(mailbox(&draft.from)));
    set_people(item, "ToRecipients", &draft.to);
    set_people(item, "CcRecipients", &draft.cc);
    if !draft.message_id.is_empty() {
        item.set("InternetMessageId", draft.message_id.as_str());
    }
    match &draft.body {
        Body::Text(text) => set_body(item, "Text", text),
        Body::Html(html) | Body::Both { html, .. } => set_body(item, "HTML", html),
    }
    item.sent_ms = draft.date_ms;
    item.received_ms = draft.date_ms;
}

/// Takes a message's bytes as the item's MIME and sets its properties and attachments from them.
pub(crate) fn read_message(item: &mut Item, bytes: &[u8]) {
    let message = parse(bytes);
    item.set("Subject", message.header("Subject").unwrap_or_default());
    if let Some(from) = message.people("From").first() {
        item.properties.insert("From".to_owned(), Element::types("From").with_child(mailbox(from)));
        item.properties.insert("Sender".to_owned(), Element::types("Sender").with_child(mailbox(from)));
    }
    set_people(item, "ToRecipients", &message.people("To"));
    set_people(item, "CcRecipients", &message.people("Cc"));
    for (header, name) in
        [("Message-ID", "InternetMessageId"), ("References", "References"), ("In-Reply-To", "InReplyTo")]
    {
        if let Some(value) = message.header(header) {
            item.set(name, value);
        }
    }
    match (&message.html, &message.text) {
        (Some(html), _) => set_body(item, "HTML", html),
        (None, Some(text)) => set_body(item, "Text", text),
        (None, None) => {}
    }
    if let Some(date) = message.date_ms() {
        item.sent_ms = date;
        item.received_ms = date;
    }
    let headers = message.headers.iter().map(|(name, value)| {
        Element::value("InternetMessageHeader", value.as_str()).with_attribute("HeaderName", name.as_str())
    });
    let headers = Element::types("InternetMessageHeaders").with_children(headers);
    item.properties.insert(headers.name.clone(), headers);
    item.attachments = message.attachments;
    item.mime = Some(Content::from_bytes(bytes.to_vec()));
}

/// Takes an iCalendar object, or a message that carries one, as the event's MIME; false if there is no event in it.
pub(crate) fn read_calendar(item: &mut Item, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let carried = if text.trim_start().starts_with("BEGIN:VCALENDAR") {
        Some(text.into_owned())
    } else {
        parse(bytes).calendar
    };
    let Some(event) = carried.and_then(|text| read_event(&text)) else { return false };
    for (name, value) in [
        ("Subject", event.summary),
        ("UID", event.uid),
        ("Start", event.start),
        ("End", event.end),
        ("Location", event.location),
    ] {
        if !value.is_empty() {
            item.set(name, value);
        }
    }
    set_body(item, "Text", &event.description);
    item.mime = Some(Content::from_bytes(bytes.to_vec()));
    true
}

/// Makes the item's MIME from its properties. Tasks with a due date have none: no MIME could hold it.
pub(crate) fn compose_mime(item: &mut Item) {
    item.mime = match item.kind {
        Kind::Message | Kind::MeetingRequest | Kind::Post => Some(compose(&draft(item))),
        Kind::Task if item.text("DueDate").is_empty() => Some(compose(&draft(item))),
        Kind::Task => None,
        Kind::Calendar => Some(Content::from_bytes(compose_event(&event(item)))),
        Kind::Contact => Some(Content::from_bytes(compose_card(&card(item)))),
    };
}

/// Puts the item's subject into the MIME it has, leaving all else as it is.
pub(crate) fn rewrite_subject(item: &mut Item) {
    let line = format!("Subject: {}\r\n", encode_words(item.subject()));
    item.mime = item.mime.as_ref().map(|mime| mime.with_head(|head| replace_header(head, "subject:", &line)));
}

/// Replaces a header, its folded lines included; puts it first if there is none.
fn replace_header(head: &[u8], name: &str, line: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len() + line.len());
    let (mut replaced, mut in_headers, mut dropping) = (false, true, false);
    for old in head.split_inclusive(|byte| *byte == b'\n') {
        let blank = old.iter().all(u8::is_ascii_whitespace);
        let continued = old.starts_with(b" ") || old.starts_with(b"\t");
        let named = old.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
        in_headers &= !blank;
        dropping = in_headers && ((dropping && continued) || (named && !replaced));
        if in_headers && named && !replaced {
            out.extend_from_slice(line.as_bytes());
            replaced = true;
        } else if !dropping {
            out.extend_from_slice(old);
        }
    }
    if replaced { out } else { [line.as_bytes(), head].concat() }
}

fn draft(item: &Item) -> Draft {
    let body = item.properties.get("Body");
    let text = body.map(|body| body.text.clone()).unwrap_or_default();
    let is_html = body.and_then(|body| body.attribute("BodyType")) == Some("HTML");
    let from = people(item, "From").into_iter().chain(people(item, "Sender")).next().unwrap_or_default();
    Draft {
        from,
        to: people(item, "ToRecipients"),
        cc: people(item, "CcRecipients"),
        subject: item.subject().to_owned(),
        date_ms: if item.sent_ms == 0 { item.created_ms } else { item.sent_ms },
        message_id: item.text("InternetMessageId").to_owned(),
        body: if is_html { Body::Html(text) } else { Body::Text(text) },
        invitation: None,
        attachments: item.attachments.clone(),
    }
}

fn event(item: &Item) -> Event {
    let text = |name: &str| item.text(name).to_owned();
    Event {
        uid: text("UID"),
        summary: text("Subject"),
        start: text("Start"),
        end: text("End"),
        location: text("Location"),
        description: text("Body"),
        rule: item.properties.get("Recurrence").map(rule).unwrap_or_default(),
    }
}

/// A recurrence as an RRULE; patterns this server does not know give none.
fn rule(recurrence: &Element) -> String {
    let pattern = recurrence.children.iter().find_map(|child| match child.name.as_str() {
        "DailyRecurrence" => Some(("DAILY", child)),
        "WeeklyRecurrence" => Some(("WEEKLY", child)),
        "AbsoluteMonthlyRecurrence" => Some(("MONTHLY", child)),
        "AbsoluteYearlyRecurrence" => Some(("YEARLY", child)),
        _ => None,
    });
    let Some((frequency, pattern)) = pattern else { return String::new() };
    let mut rule = format!("FREQ={frequency}");
    if let Some(interval) = pattern.child_text("Interval") {
        let _ = write!(rule, ";INTERVAL={interval}");
    }
    if let Some(days) = pattern.child_text("DaysOfWeek") {
        let days: Vec<String> = days
            .split_whitespace()
            .map(|day| day.chars().take(2).collect::<String>().to_uppercase())
            .collect();
        let _ = write!(rule, ";BYDAY={}", days.join(","));
    }
    if let Some(count) = recurrence.descend(&["NumberedRecurrence", "NumberOfOccurrences"]) {
        let _ = write!(rule, ";COUNT={}", count.text.trim());
    }
    rule
}

fn card(item: &Item) -> Card {
    let text = |name: &str| item.text(name).to_owned();
    let entries =
        |name: &str| item.properties.get(name).map(|list| list.children.clone()).unwrap_or_default();
    let kind = |entry: &Element| if entry.attribute("Key") == Some("MobilePhone") { "CELL" } else { "WORK" };
    Card {
        display_name: text(if item.text("DisplayName").is_empty() { "FileAs" } else { "DisplayName" }),
        given_name: text("GivenName"),
        surname: text("Surname"),
        company: text("CompanyName"),
        title: text("JobTitle"),
        notes: text("Body"),
        addresses: entries("EmailAddresses").into_iter().map(|entry| entry.text).collect(),
        phones: entries("PhoneNumbers")
            .iter()
            .map(|entry| (kind(entry).to_owned(), entry.text.clone()))
            .collect(),
    }
}

fn set_body(item: &mut Item, body_type: &str, text: &str) {
    let body = Element::value("Body", text).with_attribute("BodyType", body_type);
    item.properties.insert("Body".to_owned(), body);
}

fn set_people(item: &mut Item, name: &str, people: &[Contactable]) {
    if !people.is_empty() {
        item.properties
            .insert(name.to_owned(), Element::types(name).with_children(people.iter().map(mailbox)));
    }
}

/// A person as a `Mailbox` element.
pub(crate) fn mailbox(person: &Contactable) -> Element {
    let name = if person.name.is_empty() { &person.address } else { &person.name };
    Element::types("Mailbox")
        .with_child(Element::value("Name", name.as_str()))
        .with_child(Element::value("EmailAddress", person.address.as_str()))
        .with_child(Element::value("RoutingType", "SMTP"))
        .with_child(Element::value("MailboxType", "Mailbox"))
}

/// The people in a property of `Mailbox` elements.
pub(crate) fn people(item: &Item, name: &str) -> Vec<Contactable> {
    let person = |mailbox: &Element| Contactable {
        name: mailbox.child_text("Name").unwrap_or_default().to_owned(),
        address: mailbox.child_text("EmailAddress").unwrap_or_default().to_owned(),
    };
    item.properties.get(name).map(|list| list.children.iter().map(person).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_replaced_with_its_folded_lines_and_only_there() {
        let head = b"A: 1\r\nSUBJECT: x\r\n y\r\nB: 2\r\n\r\nSubject: in the body\r\n";
        let new = replace_header(head, "subject:", "Subject: z\r\n");
        assert_eq!(new, b"A: 1\r\nSubject: z\r\nB: 2\r\n\r\nSubject: in the body\r\n");
        assert_eq!(replace_header(b"A: 1\n\nx", "subject:", "Subject: z\r\n"), b"Subject: z\r\nA: 1\n\nx");
    }

    #[test]
    fn composed_messages_describe_themselves_when_read() {
        let mut item = Item::new(Kind::Message, "IPM.Note");
        item.set("Subject", "Größe");
        item.set("InternetMessageId", "<1@x>");
        set_people(
            &mut item,
            "ToRecipients",
            &[Contactable { name: "Bob".to_owned(), address: "bob@x".to_owned() }],
        );
        set_body(&mut item, "HTML", "<p>x</p>");
        compose_mime(&mut item);
        let bytes = item.mime.as_ref().and_then(|mime| mime.collect(u64::MAX)).expect("MIME");
        let mut back = Item::new(Kind::Message, "IPM.Note");
        read_message(&mut back, &bytes);
        assert_eq!(back.subject(), "Größe");
        assert_eq!(back.text("InternetMessageId"), "<1@x>");
        assert_eq!(people(&back, "ToRecipients"), people(&item, "ToRecipients"));
        assert_eq!(back.text("Body"), "<p>x</p>");
    }
}
