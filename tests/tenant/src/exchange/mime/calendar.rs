//! iCalendar: composing events and reading the few properties of those that clients bring.

use std::fmt::Write as _;

/// A calendar event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) uid: String,
    pub(crate) summary: String,
    /// ISO 8601 in UTC, as EWS writes times.
    pub(crate) start: String,
    pub(crate) end: String,
    pub(crate) location: String,
    pub(crate) description: String,
    /// An RRULE value; empty: the event happens once.
    pub(crate) rule: String,
}

/// The event as an iCalendar object.
pub(crate) fn compose_event(event: &Event) -> String {
    let mut text = "BEGIN:VCALENDAR\r\nMETHOD:PUBLISH\r\nPRODID:Microsoft Exchange Server 2010\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n".to_owned();
    let start = compact(&event.start);
    for (name, value) in [
        ("UID", escape(&event.uid)),
        ("SUMMARY", escape(&event.summary)),
        ("DTSTART", start.clone()),
        ("DTEND", compact(&event.end)),
        ("DTSTAMP", start),
        ("LOCATION", escape(&event.location)),
        ("DESCRIPTION", escape(&event.description)),
        ("RRULE", event.rule.clone()),
    ] {
        if !value.is_empty() {
            fold(&mut text, &format!("{name}:{value}"));
        }
    }
    text.push_str("CLASS:PUBLIC\r\nTRANSP:OPAQUE\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
    text
}

/// Reads the first event of an iCalendar object; none if it has no start.
pub(crate) fn read_event(text: &str) -> Option<Event> {
    let unfolded = text.replace("\r\n", "\n").replace("\n ", "").replace("\n\t", "");
    let (_, body) = unfolded.split_once("BEGIN:VEVENT\n")?;
    let body = body.split_once("END:VEVENT").map_or(body, |(body, _)| body);
    let value = |wanted: &str| {
        body.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let name = name.split(';').next().unwrap_or(name);
            name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
        })
    };
    let text = |name: &str| unescape(&value(name).unwrap_or_default());
    let start = expand(&value("DTSTART")?)?;
    let end = value("DTEND").and_then(|end| expand(&end)).unwrap_or_else(|| start.clone());
    Some(Event {
        uid: text("UID"),
        summary: text("SUMMARY"),
        start,
        end,
        location: text("LOCATION"),
        description: text("DESCRIPTION"),
        rule: value("RRULE").unwrap_or_default(),
    })
}

/// `2026-01-02T03:04:05Z` as `20260102T030405Z`.
fn compact(iso: &str) -> String {
    iso.replace(['-', ':'], "")
}

/// `20260102T030405Z` as ISO 8601; a zoneless time counts as UTC, a date as its midnight.
fn expand(compact: &str) -> Option<String> {
    let digits = compact.trim().trim_end_matches('Z');
    let (date, time) = digits.split_once('T').unwrap_or((digits, "000000"));
    let part = |text: &str, at: usize, length: usize| text.get(at..at + length).map(str::to_owned);
    Some(format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(date, 0, 4)?,
        part(date, 4, 2)?,
        part(date, 6, 2)?,
        part(time, 0, 2)?,
        part(time, 2, 2)?,
        part(time, 4, 2)?
    ))
}

/// Text as iCalendar and vCard escape it.
pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace(';', "\\;")
        .replace(',', "\\,")
        .replace("\r\n", "\\n")
        .replace('\n', "\\n")
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            (other, false) => out.push(other),
        }
    }
    out
}

/// Appends a content line, folded after at most 75 bytes at character boundaries.
pub(super) fn fold(text: &mut String, line: &str) {
    let mut length = 0;
    for character in line.chars() {
        if length + character.len_utf8() > 75 {
            text.push_str("\r\n ");
            length = 1;
        }
        text.push(character);
        length += character.len_utf8();
    }
    let _ = write!(text, "\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back() {
        let event = Event {
            uid: "040000008200E00074C5B7101A82E008".to_owned(),
            summary: "Größe; a, b \\ c".to_owned() + &" long".repeat(30),
            start: "2026-01-02T03:04:05Z".to_owned(),
            end: "2026-01-02T04:04:05Z".to_owned(),
            location: "Room 1".to_owned(),
            description: "one\ntwo".to_owned(),
            rule: "FREQ=WEEKLY;COUNT=4".to_owned(),
        };
        let text = compose_event(&event);
        assert!(text.lines().all(|line| line.len() <= 75));
        assert_eq!(read_event(&text), Some(event));
    }

    #[test]
    fn an_object_without_start_is_no_event() {
        assert_eq!(read_event("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:x\r\nEND:VEVENT\r\n"), None);
    }
}
