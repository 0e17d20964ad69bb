//! Content for items that the server cannot turn into MIME: a message built here from the item's properties, its body and
//! its attachments, as a stream. All that the server tells of the item goes along as JSON, so that nothing of an unusual
//! item is lost.

use std::collections::VecDeque;

use bytes::Bytes;
use larder_sdk::{Body, Result, async_trait};
use serde_json::{Value, json};

use super::{
    base64,
    client::{Asked, Client, Failure},
    content::{Coding, Content},
    names::prefix,
    requests,
    xml::Element,
};

/// Stands between parts. Every part is base64, in which `_` does not occur.
const BOUNDARY: &str = "=_larder_rebuilt_part_=";
/// Most attachments that are asked for.
const ATTACHMENTS_MAX: usize = 4096;
/// Bytes to a line of base64.
const LINE_BYTES: usize = 57;

/// The stream.
pub(super) struct Rebuilt {
    client: Client,
    steps: VecDeque<Step>,
    current: Option<Content>,
    /// Bytes that do not fill a line yet.
    line: Vec<u8>,
}

/// What comes next.
enum Step {
    /// Bytes as they are.
    Plain(Vec<u8>),
    /// Bytes as base64.
    Coded(Vec<u8>),
    /// The body's text.
    Body(String),
    Attachment {
        id: String,
        name: String,
        media: String,
        /// The element that holds its content: a file's own, or the MIME of an attached item.
        element: &'static str,
    },
}

impl Rebuilt {
    /// Asks for the item's properties; the rest is asked for as it is read.
    pub(super) async fn open(client: &Client, id: &str) -> Asked<Self> {
        let message = client.call_one(&requests::get_everything(id)).await?;
        let empty = Element::default();
        let item = message.element.child("Items").and_then(|items| items.children.first()).unwrap_or(&empty);
        let mut steps = VecDeque::from([Step::Plain(head(item)), Step::Body(id.to_owned())]);
        let properties = serde_json::to_vec(&tree(item)).unwrap_or_default();
        steps.push_back(Step::Plain(part("application/json", "properties.json")));
        steps.push_back(Step::Coded(properties));
        if let Some(list) = item.child("Attachments") {
            steps.extend(list.children.iter().take(ATTACHMENTS_MAX).filter_map(attachment));
        }
        steps.push_back(Step::Plain(format!("--{BOUNDARY}--\r\n").into_bytes()));
        Ok(Self { client: client.clone(), steps, current: None, line: Vec::new() })
    }

    /// Begins the next step; gives the bytes it starts with.
    async fn begin(&mut self, step: Step) -> Result<Vec<u8>> {
        let (opened, head) = match step {
            Step::Plain(bytes) => return Ok(bytes),
            Step::Coded(bytes) => return Ok(self.encode(&bytes, true)),
            Step::Body(id) => {
                let opened =
                    Content::open(&self.client, &requests::get_body(&id), "Body", Coding::Text).await;
                let html =
                    opened.as_ref().is_ok_and(|content| content.tag.attribute("BodyType") == Some("HTML"));
                (
                    opened,
                    part(if html { "text/html; charset=utf-8" } else { "text/plain; charset=utf-8" }, ""),
                )
            }
            Step::Attachment { id, name, media, element } => {
                let call = requests::get_attachment(&id);
                (Content::open(&self.client, &call, element, Coding::Base64).await, part(&media, &name))
            }
        };
        match opened {
            Ok(content) => {
                self.current = Some(content);
                Ok(head)
            }
            // One attachment that cannot be read does not cost the item: what is missing, and why, stands in its place.
            Err(Failure::Refused(problem)) => {
                let mut bytes = part("text/plain; charset=utf-8", "missing.txt");
                let text = format!("This part could not be read: {} {}\r\n", problem.code, problem.text);
                bytes.extend(self.encode(text.as_bytes(), true));
                Ok(bytes)
            }
            Err(Failure::Lost(error)) => Err(error),
        }
    }

    /// Base64 in lines; `last` also writes the line that is not full.
    fn encode(&mut self, bytes: &[u8], last: bool) -> Vec<u8> {
        self.line.extend_from_slice(bytes);
        let whole = if last { self.line.len() } else { self.line.len() / LINE_BYTES * LINE_BYTES };
        let mut text = Vec::with_capacity(whole / LINE_BYTES * 78 + 80);
        for line in self.line[..whole].chunks(LINE_BYTES) {
            text.extend_from_slice(base64::encode(line).as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        self.line.drain(..whole);
        text
    }
}

#[async_trait]
impl Body for Rebuilt {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            let bytes = if let Some(content) = &mut self.current {
                if let Some(piece) = content.read().await? {
                    self.encode(&piece, false)
                } else {
                    self.current = None;
                    self.encode(&[], true)
                }
            } else {
                match self.steps.pop_front() {
                    Some(step) => self.begin(step).await?,
                    None => return Ok(None),
                }
            };
            if !bytes.is_empty() {
                return Ok(Some(Bytes::from(bytes)));
            }
        }
    }
}

/// The message's header and the start of its parts.
fn head(item: &Element) -> Vec<u8> {
    let mut text = String::from("X-Larder-Rebuilt: yes\r\n");
    let mut header = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
    };
    header("From", &addresses(item.child("From")));
    header("To", &addresses(item.child("ToRecipients")));
    header("Cc", &addresses(item.child("CcRecipients")));
    header("Bcc", &addresses(item.child("BccRecipients")));
    header("Subject", &words(item.text_of("Subject").unwrap_or_default()));
    header("Date", &date(item));
    header("Message-ID", &printable(item.text_of("InternetMessageId").unwrap_or_default()));
    text.push_str("MIME-Version: 1.0\r\n");
    text.push_str("Content-Type: multipart/mixed; boundary=\"");
    text.push_str(BOUNDARY);
    text.push_str("\"\r\n\r\n");
    text.into_bytes()
}

/// The start of a part.
fn part(media: &str, name: &str) -> Vec<u8> {
    let mut text = format!(
        "--{BOUNDARY}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: base64\r\n",
        printable(media)
    );
    if !name.is_empty() {
        text.push_str("Content-Disposition: attachment; filename*=utf-8''");
        text.push_str(&percent(name));
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn attachment(element: &Element) -> Option<Step> {
    let id = element.child("AttachmentId")?.attribute("Id")?.to_owned();
    let name = element.text_of("Name").unwrap_or("attachment").to_owned();
    match element.name.as_str() {
        "FileAttachment" => {
            let media = element
                .text_of("ContentType")
                .filter(|media| media.contains('/'))
                .unwrap_or("application/octet-stream");
            Some(Step::Attachment { id, name, media: media.to_owned(), element: "Content" })
        }
        "ItemAttachment" => {
            // A message in base64 may not be called one.
            let media = "application/octet-stream".to_owned();
            Some(Step::Attachment { id, name: format!("{name}.eml"), media, element: "MimeContent" })
        }
        // A link to the cloud has no content; it stands among the properties.
        _ => None,
    }
}

fn addresses(list: Option<&Element>) -> String {
    let mailboxes = list.map(|list| list.children_named("Mailbox")).into_iter().flatten();
    let shown = mailboxes.filter_map(|mailbox| {
        let address = printable(mailbox.text_of("EmailAddress")?);
        let name = mailbox.text_of("Name").unwrap_or_default();
        Some(if name.is_empty() { format!("<{address}>") } else { format!("{} <{address}>", words(name)) })
    });
    shown.collect::<Vec<_>>().join(",\r\n ")
}

fn date(item: &Element) -> String {
    let text = item.text_of("DateTimeSent").or_else(|| item.text_of("DateTimeReceived")).unwrap_or_default();
    let time: Option<jiff::Timestamp> = text.parse().ok();
    time.and_then(|time| jiff::fmt::rfc2822::to_string(&time.to_zoned(jiff::tz::TimeZone::UTC)).ok())
        .unwrap_or_default()
}

/// Text in a header: encoded words of at most 45 bytes each.
fn words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(prefix(rest, 45).len());
        words.push(format!("=?utf-8?B?{}?=", base64::encode(word.as_bytes())));
        rest = after;
    }
    words.join("\r\n ")
}

fn printable(text: &str) -> String {
    text.chars().filter(|char| matches!(char, ' '..='~')).take(900).collect()
}

/// RFC 5987: everything but letters, digits and a few marks as `%XX`.
fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().take(255).fold(String::new(), |mut coded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            coded.push(char::from(byte));
        } else {
            let _ = write!(coded, "%{byte:02X}");
        }
        coded
    })
}

/// Builds all that follows from an item's properties alone.
#[cfg(feature = "testing")]
pub(super) fn look(item: &Element) {
    let head = head(item);
    // One empty line, at the end: nothing in the item's texts can end the header before.
    assert_eq!(head.windows(4).position(|four| four == b"\r\n\r\n"), Some(head.len() - 4));
    let attachments = item.child("Attachments").map(|list| list.children.as_slice()).unwrap_or_default();
    for step in attachments.iter().filter_map(attachment) {
        if let Step::Attachment { name, media, .. } = step {
            let part = part(&media, &name);
            assert_eq!(part.windows(4).position(|four| four == b"\r\n\r\n"), Some(part.len() - 4));
        }
    }
    assert!(serde_json::to_vec(&tree(item)).is_ok());
}

/// An element as JSON. The tree's depth is bounded where it was read.
pub(super) fn tree(element: &Element) -> Value {
    let mut object = json!({ "name": element.name });
    if !element.attributes.is_empty() {
        object["attributes"] = element
            .attributes
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect();
    }
    if !element.text.trim().is_empty() {
        object["text"] = Value::from(element.text.as_str());
    }
    if !element.children.is_empty() {
        object["children"] = element.children.iter().map(tree).collect();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn headers_hold_no_line_of_their_own() {
        let item = tree_of(
            "<Task><Subject>Grüße\nBcc: x</Subject><InternetMessageId>&lt;a@b&gt;\r\nX: y</InternetMessageId>\
             <ToRecipients><Mailbox><Name>Zoë</Name><EmailAddress>z@x.y</EmailAddress></Mailbox></ToRecipients>\
             <DateTimeSent>2024-05-01T08:00:00Z</DateTimeSent></Task>",
        );
        let text = String::from_utf8(head(&item)).unwrap();
        assert!(
            text.lines().all(|line| line.is_empty() || line.starts_with(' ') || line.contains(": ")),
            "{text}"
        );
        assert!(!text.contains("\r\nBcc") && text.contains("Message-ID: <a@b>X: y\r\n"));
        assert!(text.contains("Date: Wed, 1 May 2024 08:00:00 +0000\r\n"));
        assert!(text.contains("<z@x.y>\r\n"));
    }

    #[test]
    fn everything_told_is_kept() {
        let json = tree(&tree_of("<Task><Owner A=\"1\">Ann</Owner><X/></Task>"));
        assert_eq!(
            json,
            json!({"name":"Task","children":[{"name":"Owner","attributes":{"A":"1"},"text":"Ann"},{"name":"X"}]})
        );
    }

    #[test]
    fn names_are_coded() {
        assert_eq!(percent("a b/ü.txt"), "a%20b%2F%C3%BC.txt");
        assert_eq!(words(""), "");
        assert!(words(&"ü".repeat(100)).lines().all(|line| line.len() <= 76));
    }
}
