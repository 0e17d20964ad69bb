//! Messages as real mailboxes hold them: plain, alternative, with attachments, nested, in old charsets, broken.

use super::item::{Item, Kind};
use crate::account::{DOMAIN, PEOPLE};
use crate::content::Rng;
use crate::exchange::content::Blob;
use crate::exchange::convert;
use crate::exchange::mime::{
    Attachment, AttachmentBody, Body, Contactable, Draft, Event, compose, compose_event,
};

const WORDS: [&str; 24] = [
    "invoice", "meeting", "project", "schedule", "report", "quarter", "budget", "delivery", "contract",
    "review", "Größe", "naïve", "文件", "update", "release", "question", "answer", "draft", "final",
    "urgent", "holiday", "travel", "café", "plan",
];
const CATEGORIES: [&str; 4] = ["Red", "Green & <co>", "Blue", "Größe"];
/// Attachments that many mailboxes hold: name, type and size in bytes.
const POOL: [(&str, &str, u64); 8] = [
    ("report.pdf", "application/pdf", 180_000),
    ("Größe 文件.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", 64_000),
    ("photo.jpg", "image/jpeg", 320_000),
    ("data.csv", "text/csv", 12_345),
    ("empty.txt", "text/plain", 0),
    ("one.bin", "application/octet-stream", 1),
    ("it's 100% #1 & +.zip", "application/zip", 57 * 1024),
    ("logo.png", "image/png", 4_097),
];
const MINUTE_MS: u64 = 60_000;

/// Some words.
pub(super) fn words(rng: &mut Rng, count: u64) -> String {
    let words: Vec<&str> = (0..count).filter_map(|_| rng.pick(&WORDS).copied()).collect();
    words.join(" ")
}

/// Some lines of words.
pub(super) fn text(rng: &mut Rng) -> String {
    let lines: Vec<String> = (0..=rng.below(12)).map(|_| words(rng, 9)).collect();
    lines.join("\n")
}

/// A random message for a mailbox, received before `now_ms`.
pub(super) fn random(rng: &mut Rng, address: &str, now_ms: i64) -> Item {
    let mut draft = draft(rng, address, now_ms);
    let mut item = match rng.below(16) {
        0..=3 => build(&draft),
        4..=5 => {
            draft.body = both(&text(rng));
            build(&draft)
        }
        6..=9 => {
            let count = 1 + rng.below(3);
            draft.attachments = (0..count).filter_map(|_| pooled(rng)).collect();
            build(&draft)
        }
        10 => nested(rng, draft, address, now_ms),
        11 => received(&latin1(&draft)),
        12 => received(&broken(rng, &draft)),
        13 => meeting(rng, draft),
        14 => {
            // What mail gateways let through and XML cannot hold.
            draft.subject = format!("bell\u{7} and \u{1} {}", words(rng, 2));
            build(&draft)
        }
        _ => {
            draft.subject = if rng.chance(0.5) { String::new() } else { words(rng, 60) };
            draft.body = Body::Text(String::new());
            build(&draft)
        }
    };
    item.is_read = rng.chance(0.6);
    item.received_ms = draft_time(rng, now_ms);
    if rng.chance(0.3) {
        let categories: Vec<&str> = CATEGORIES.iter().copied().filter(|_| rng.chance(0.5)).collect();
        item.set_categories(&categories);
    }
    if rng.chance(0.2) {
        item.set("Importance", "High");
    }
    item
}

/// A sticky note.
pub(super) fn note(rng: &mut Rng, now_ms: i64) -> Item {
    let mut item = build(&draft(rng, &format!("ann@{DOMAIN}"), now_ms));
    "IPM.StickyNote".clone_into(&mut item.class);
    item
}

/// A message whose MIME is about `bytes` long.
pub(super) fn big(address: &str, now_ms: i64, bytes: u64) -> Item {
    let mut draft = draft(&mut Rng::new(bytes), address, now_ms);
    draft.subject = format!("Big message of {bytes} bytes");
    // A line of 57 bytes becomes 76 characters and a line end.
    let length = bytes / 78 * 57;
    draft.attachments =
        vec![file("big.bin", "application/octet-stream", Blob::Noise { seed: bytes, length })];
    build(&draft)
}

fn draft(rng: &mut Rng, address: &str, now_ms: i64) -> Draft {
    let person = |rng: &mut Rng| {
        let (name, display_name) = rng.pick(&PEOPLE).copied().unwrap_or(("ann", "Ann Archer"));
        Contactable { name: display_name.to_owned(), address: format!("{name}@{DOMAIN}") }
    };
    let from = person(rng);
    let cc = if rng.chance(0.3) { vec![person(rng)] } else { Vec::new() };
    let count = 2 + rng.below(5);
    Draft {
        from,
        to: vec![Contactable { name: String::new(), address: address.to_owned() }],
        cc,
        subject: words(rng, count),
        date_ms: draft_time(rng, now_ms),
        message_id: format!("<{}@{DOMAIN}>", rng.guid()),
        body: Body::Text(text(rng)),
        invitation: None,
        attachments: Vec::new(),
    }
}

/// Some time in the month before `now_ms`, in whole seconds.
fn draft_time(rng: &mut Rng, now_ms: i64) -> i64 {
    let before = rng.below(30 * 24 * 60) * MINUTE_MS;
    (now_ms - i64::try_from(before).unwrap_or(0)) / 1000 * 1000
}

fn both(text: &str) -> Body {
    let html =
        format!("<html><body><p>{}</p></body></html>", text.replace('&', "&amp;").replace('\n', "</p>\n<p>"));
    Body::Both { text: text.to_owned(), html }
}

fn file(name: &str, content_type: &str, blob: Blob) -> Attachment {
    Attachment {
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        content_id: None,
        inline: false,
        body: AttachmentBody::File(blob),
    }
}

/// One of the attachments that many mailboxes hold: the same bytes wherever it is found.
fn pooled(rng: &mut Rng) -> Option<Attachment> {
    let at = rng.index(POOL.len());
    let (name, content_type, length) = POOL.get(at)?;
    let mut attachment = file(name, content_type, Blob::Noise { seed: at as u64, length: *length });
    if *name == "logo.png" {
        attachment.inline = true;
        attachment.content_id = Some(format!("logo@{DOMAIN}"));
    }
    Some(attachment)
}

/// The item of a composed message; its attachments stay descriptions.
fn build(draft: &Draft) -> Item {
    let mut item = Item::new(Kind::Message, "IPM.Note");
    item.mime = Some(compose(draft));
    item.attachments.clone_from(&draft.attachments);
    convert::describe(&mut item, draft);
    item
}

/// The item of a message's bytes.
fn received(bytes: &[u8]) -> Item {
    let mut item = Item::new(Kind::Message, "IPM.Note");
    convert::read_message(&mut item, bytes);
    item
}

fn nested(rng: &mut Rng, mut draft: Draft, address: &str, now_ms: i64) -> Item {
    let mut inner = self::draft(rng, address, now_ms);
    inner.attachments = pooled(rng).into_iter().collect();
    draft.attachments = vec![Attachment {
        name: inner.subject.clone(),
        content_type: "message/rfc822".to_owned(),
        content_id: None,
        inline: false,
        body: AttachmentBody::Message(compose(&inner)),
    }];
    build(&draft)
}

fn meeting(rng: &mut Rng, mut draft: Draft) -> Item {
    let invitation = Event {
        uid: rng.guid(),
        summary: draft.subject.clone(),
        start: crate::clock::iso_seconds(draft.date_ms + 86_400_000),
        end: crate::clock::iso_seconds(draft.date_ms + 90_000_000),
        ..Event::default()
    };
    draft.invitation = Some(compose_event(&invitation).replace("METHOD:PUBLISH", "METHOD:REQUEST"));
    let mut item = build(&draft);
    item.kind = Kind::MeetingRequest;
    Kind::MeetingRequest.class().clone_into(&mut item.class);
    item
}

/// A message in ISO 8859-1 with quoted-printable and eight-bit parts, and raw bytes in a header.
fn latin1(draft: &Draft) -> Vec<u8> {
    let mut bytes = format!(
        "From: {}\r\nSubject: =?iso-8859-1?Q?Gr=F6=DFe?= {}\r\nMessage-ID: {}\r\nX-Raw: ",
        draft.from.address,
        draft.message_id.len(),
        draft.message_id
    )
    .into_bytes();
    bytes.extend_from_slice(
        b"caf\xe9\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_x\"\r\n\r\n",
    );
    bytes.extend_from_slice(b"--=_x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=F6=DFe =3D=\r\n soft\r\n");
    bytes.extend_from_slice(b"--=_x\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>Gr\xf6\xdfe</p>\r\n--=_x--\r\n");
    bytes
}

/// A message as broken senders make it: bare line feeds, a header without colon, no last boundary, bad base64.
fn broken(rng: &mut Rng, draft: &Draft) -> Vec<u8> {
    let mut bytes = format!(
        "Subject: {}\nMessage-ID: {}\nthis line is no header\nDate: not a date\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n{}\n",
        words(rng, 3), draft.message_id, text(rng)
    )
    .into_bytes();
    bytes.extend_from_slice(b"--b\nContent-Type: image/png; name=\"x.png\"\nContent-Transfer-Encoding: base64\n\nAAA*\xff\x00\x01");
    bytes
}
