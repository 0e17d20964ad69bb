//! Reads messages clients bring: headers, text and attachments. Broken messages give what can be read of them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::words::{decode_charset, decode_words, quoted};
use super::{Attachment, AttachmentBody, Contactable};
use crate::exchange::content::{Blob, Content};

/// Nested multiparts looked into.
const DEPTH_MAX: usize = 10;

/// Mail is full of base64 that lacks its padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a message says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// Names as written and unfolded, undecoded values, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    /// iCalendar text, if the message carries some.
    pub(crate) calendar: Option<String>,
    pub(crate) attachments: Vec<Attachment>,
}

impl Message {
    /// The decoded value of the first header of that name; names are compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        find(&self.headers, name).map(decode_words)
    }

    /// The people in a header.
    pub(crate) fn people(&self, name: &str) -> Vec<Contactable> {
        find(&self.headers, name).map(people).unwrap_or_default()
    }

    /// The time in the `Date` header, in milliseconds since 1970.
    pub(crate) fn date_ms(&self) -> Option<i64> {
        let value = find(&self.headers, "Date")?;
        jiff::fmt::rfc2822::parse(value.trim()).ok().map(|zoned| zoned.timestamp().as_millisecond())
    }
}

/// Reads a message.
pub(crate) fn parse(bytes: &[u8]) -> Message {
    let (headers, body) = split(bytes);
    let mut message = Message { headers, ..Message::default() };
    let headers = message.headers.clone();
    walk(&mut message, &headers, body, 0);
    message
}

fn walk(message: &mut Message, headers: &[(String, String)], body: &[u8], depth: usize) {
    let field = find(headers, "Content-Type").unwrap_or("text/plain");
    let media = field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let boundary = parameter(field, "boundary").filter(|boundary| !boundary.is_empty());
    if let Some(boundary) = boundary.filter(|_| media.starts_with("multipart/") && depth < DEPTH_MAX) {
        for part in parts(body, &boundary) {
            let (headers, body) = split(part);
            walk(message, &headers, body, depth + 1);
        }
        return;
    }
    let disposition = find(headers, "Content-Disposition").unwrap_or_default();
    let name = parameter(disposition, "filename")
        .or_else(|| parameter(field, "name"))
        .map(|name| decode_words(&name));
    let attached = disposition.to_ascii_lowercase().starts_with("attachment") || name.is_some();
    let decoded = || decode_transfer(body, find(headers, "Content-Transfer-Encoding").unwrap_or_default());
    let text = || decode_charset(&decoded(), &parameter(field, "charset").unwrap_or_default());
    match media.as_str() {
        "text/plain" if !attached && message.text.is_none() => message.text = text(),
        "text/html" if !attached && message.html.is_none() => message.html = text(),
        "text/calendar" if !attached && message.calendar.is_none() => message.calendar = text(),
        _ => {
            let body = if media == "message/rfc822" {
                AttachmentBody::Message(Content::from_bytes(body.to_vec()))
            } else {
                AttachmentBody::File(Blob::Held(decoded().into()))
            };
            let content_id =
                find(headers, "Content-ID").map(|id| id.trim().trim_matches(['<', '>']).to_owned());
            message.attachments.push(Attachment {
                name: name.unwrap_or_else(|| "attachment".to_owned()),
                content_type: media,
                inline: disposition.to_ascii_lowercase().starts_with("inline"),
                content_id,
                body,
            });
        }
    }
}

/// Headers (unfolded) and the rest after the empty line.
fn split(bytes: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim_start());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    (headers, rest)
}

/// The parts between boundary lines; a missing last boundary ends at the end.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let mark = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < body.len() {
        let end =
            body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |found| at + found + 1);
        let line = body[at..end].trim_ascii_end();
        if line.starts_with(mark.as_bytes()) {
            if let Some(start) = start {
                parts.push(without_line_end(&body[start..at]));
            }
            start = Some(end);
            if line[mark.len()..].starts_with(b"--") {
                return parts;
            }
        }
        at = end;
    }
    parts.extend(start.map(|start| &body[start..]));
    parts
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}

fn decode_transfer(body: &[u8], encoding: &str) -> Vec<u8> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "base64" => {
            let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            LENIENT.decode(&text).unwrap_or(text)
        }
        "quoted-printable" => quoted(body),
        _ => body.to_vec(),
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A parameter such as `boundary` of a structured header.
fn parameter(field: &str, name: &str) -> Option<String> {
    field.split(';').skip(1).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Splits an address list; commas within quotes do not part addresses.
fn people(value: &str) -> Vec<Contactable> {
    let mut quoted = false;
    let separate = |character: char| {
        quoted ^= character == '"';
        character == ',' && !quoted
    };
    let person = |text: &str| {
        let text = text.trim();
        let (name, address) = match (text.rfind('<'), text.rfind('>')) {
            (Some(open), Some(close)) if open < close => (&text[..open], &text[open + 1..close]),
            _ => ("", text),
        };
        let name = decode_words(name.trim().trim_matches('"')).replace("\\\"", "\"");
        (!address.is_empty()).then(|| Contactable { name, address: address.trim().to_owned() })
    };
    value.split(separate).filter_map(person).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::mime::{Body, Draft, compose};

    fn person(name: &str) -> Contactable {
        Contactable { name: name.to_owned(), address: "x@contoso.example".to_owned() }
    }

    #[test]
    fn what_is_composed_reads_back() {
        let file = Attachment {
            name: "Größe.bin".to_owned(),
            content_type: "application/octet-stream".to_owned(),
            content_id: None,
            inline: false,
            body: AttachmentBody::File(Blob::Noise { seed: 1, length: 5000 }),
        };
        let mut draft = Draft {
            from: person("Ann, \"the\" Archer"),
            to: vec![person("Bob"), person("")],
            cc: Vec::new(),
            subject: "Größe 文件".to_owned(),
            date_ms: 1_770_000_000_000,
            message_id: "<1@contoso.example>".to_owned(),
            body: Body::Both { text: "line\nline".to_owned(), html: "<p>ä</p>".to_owned() },
            invitation: None,
            attachments: vec![file.clone()],
        };
        let inner = compose(&Draft { attachments: Vec::new(), ..draft.clone() });
        draft.attachments.push(Attachment {
            body: AttachmentBody::Message(inner),
            content_type: "message/rfc822".to_owned(),
            ..file
        });
        let message = parse(&compose(&draft).collect(u64::MAX).expect("no limit"));
        assert_eq!(message.header("subject").as_deref(), Some("Größe 文件"));
        assert_eq!(message.date_ms(), Some(draft.date_ms));
        assert_eq!(message.people("From"), vec![draft.from.clone()]);
        assert_eq!(message.people("To"), draft.to);
        assert_eq!(message.text.as_deref(), Some("line\r\nline"));
        assert_eq!(message.html.as_deref(), Some("<p>ä</p>"));
        assert_eq!(message.attachments.len(), 2);
        assert_eq!(message.attachments[0].name, "Größe.bin");
        assert_eq!(message.attachments[0].size(), 5000);
        let AttachmentBody::Message(nested) = &message.attachments[1].body else {
            panic!("a message is attached")
        };
        let nested = parse(&nested.collect(u64::MAX).expect("no limit"));
        assert_eq!(nested.header("Subject").as_deref(), Some("Größe 文件"));
    }

    #[test]
    fn broken_messages_give_what_can_be_read() {
        let message = parse(b"Subject: x\nno colon here\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAA");
        assert_eq!(message.text.as_deref(), Some("text"));
        assert_eq!(message.attachments.len(), 1);
        assert_eq!(parse(b"").headers.len(), 0);
    }
}
