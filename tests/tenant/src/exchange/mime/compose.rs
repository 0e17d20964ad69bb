//! Composes RFC 5322 messages; large attachments stay descriptions and are encoded while the message is read.

use std::fmt::Write as _;

use super::{Attachment, AttachmentBody, Contactable, encode_words};
use crate::exchange::content::{Content, ContentBuilder};

/// The text of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// `text/plain` only.
    Text(String),
    /// `text/html` only.
    Html(String),
    /// Both, as `multipart/alternative`.
    Both { text: String, html: String },
}

/// All a message is made of.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) from: Contactable,
    pub(crate) to: Vec<Contactable>,
    pub(crate) cc: Vec<Contactable>,
    pub(crate) subject: String,
    /// Milliseconds since 1970.
    pub(crate) date_ms: i64,
    /// With angle brackets; empty: none.
    pub(crate) message_id: String,
    pub(crate) body: Body,
    /// iCalendar text of a meeting request, sent along as an alternative.
    pub(crate) invitation: Option<String>,
    pub(crate) attachments: Vec<Attachment>,
}

/// The message's bytes; the same draft gives the same bytes.
pub(crate) fn compose(draft: &Draft) -> Content {
    let mut head = String::new();
    header(&mut head, "From", &mailbox(&draft.from));
    for (name, people) in [("To", &draft.to), ("Cc", &draft.cc)] {
        if !people.is_empty() {
            header(&mut head, name, &people.iter().map(mailbox).collect::<Vec<_>>().join(",\r\n\t"));
        }
    }
    header(&mut head, "Subject", &encode_words(&draft.subject));
    header(&mut head, "Date", &rfc2822(draft.date_ms));
    if !draft.message_id.is_empty() {
        header(&mut head, "Message-ID", &draft.message_id);
    }
    header(&mut head, "MIME-Version", "1.0");
    let boundary = boundary(draft);
    if draft.attachments.is_empty() {
        let (fields, body) = body_part(draft, &boundary);
        return Content::builder().plain(format!("{head}{fields}\r\n{body}")).build();
    }
    let _ = write!(head, "Content-Type: multipart/mixed; boundary=\"{boundary}m\"\r\n\r\n");
    let (fields, body) = body_part(draft, &boundary);
    let mut content = Content::builder().plain(format!("{head}--{boundary}m\r\n{fields}\r\n{body}\r\n"));
    for attachment in &draft.attachments {
        content = attachment_part(content.plain(format!("--{boundary}m\r\n")), attachment);
    }
    content.plain(format!("--{boundary}m--\r\n")).build()
}

/// The headers and text of the body part.
fn body_part(draft: &Draft, boundary: &str) -> (String, String) {
    let plain = |text: &str| text_part("text/plain", text);
    let mut parts = match &draft.body {
        Body::Text(text) => vec![plain(text)],
        Body::Html(html) => vec![text_part("text/html", html)],
        Body::Both { text, html } => vec![plain(text), text_part("text/html", html)],
    };
    if let Some(invitation) = &draft.invitation {
        let fields = "Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\nContent-Transfer-Encoding: 8bit\r\n";
        parts.push((fields.to_owned(), invitation.clone()));
    }
    if let [_] = parts.as_slice() {
        return parts.remove(0);
    }
    let mut body = String::new();
    for (fields, text) in &parts {
        let _ = write!(body, "--{boundary}a\r\n{fields}\r\n{text}\r\n");
    }
    let _ = write!(body, "--{boundary}a--\r\n");
    (format!("Content-Type: multipart/alternative; boundary=\"{boundary}a\"\r\n"), body)
}

fn text_part(media_type: &str, text: &str) -> (String, String) {
    let fields =
        format!("Content-Type: {media_type}; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 8bit\r\n");
    (fields, text.replace("\r\n", "\n").replace('\n', "\r\n"))
}

fn attachment_part(content: ContentBuilder, attachment: &Attachment) -> ContentBuilder {
    let mut fields = String::new();
    let disposition = if attachment.inline { "inline" } else { "attachment" };
    let name = encode_words(&attachment.name.replace(['"', '\r', '\n'], "_"));
    let _ = write!(fields, "Content-Disposition: {disposition}; filename=\"{name}\"\r\n");
    if let Some(id) = &attachment.content_id {
        let _ = write!(fields, "Content-ID: <{id}>\r\n");
    }
    match &attachment.body {
        AttachmentBody::File(blob) => {
            let kind = &attachment.content_type;
            let _ = write!(
                fields,
                "Content-Type: {kind}; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            );
            content.plain(fields).lines(blob.clone())
        }
        AttachmentBody::Message(message) => content
            .plain(fields + "Content-Type: message/rfc822\r\n\r\n")
            .content(message)
            .plain(&b"\r\n"[..]),
    }
}

fn header(head: &mut String, name: &str, value: &str) {
    let _ = write!(head, "{name}: {value}\r\n");
}

fn mailbox(person: &Contactable) -> String {
    if person.name.is_empty() {
        return format!("<{}>", person.address);
    }
    let plain = person.name.chars().all(|character| character.is_ascii_alphanumeric() || character == ' ');
    let name = if plain || !person.name.is_ascii() {
        encode_words(&person.name)
    } else {
        format!("\"{}\"", person.name.replace('\\', "\\\\").replace('"', "\\\""))
    };
    format!("{name} <{}>", person.address)
}

/// A boundary that cannot occur in the message: made from all that is in it.
fn boundary(draft: &Draft) -> String {
    let digest = blake3::hash(format!("{draft:?}").as_bytes());
    format!("_{}_", &digest.to_hex().as_str()[..24])
}

/// The time as message headers write it.
pub(super) fn rfc2822(ms: i64) -> String {
    jiff::Timestamp::from_second(ms.div_euclid(1000))
        .ok()
        .and_then(|at| jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).ok())
        .unwrap_or_else(|| "Thu, 1 Jan 1970 00:00:00 +0000".to_owned())
}
