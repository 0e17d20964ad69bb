//! What a right backup of a mailbox holds, as JSON.

use serde_json::{Value, json};

use super::item::{Item, Kind};
use super::mailbox::Mailbox;

/// One object per visible folder and per item in it. Items the server has no MIME for have no `size` and `blake3`.
pub(super) fn lines(mailbox: &Mailbox) -> Vec<Value> {
    let mut lines = settings(mailbox);
    for folder in mailbox.descendants(mailbox.top()) {
        let path = mailbox.path(folder.number).unwrap_or_default();
        lines.push(json!({
            "service": "exchange",
            "mailbox": mailbox.address,
            "kind": "folder",
            "path": path,
            "folder_class": folder.class,
        }));
        lines.extend(mailbox.items_in(folder.number).map(|item| line(mailbox, &path, item)));
    }
    lines
}

/// One object for each document of settings: its name, and texts that stand in it. A backup decides itself how it writes them.
fn settings(mailbox: &Mailbox) -> Vec<Value> {
    if mailbox.is_public() {
        return Vec::new();
    }
    let documents = mailbox.settings.documents(&mailbox.address).into_iter();
    let line = |(name, holds)| {
        json!({
            "service": "exchange",
            "mailbox": mailbox.address,
            "kind": "settings",
            "path": ["Mailbox Settings"],
            "name": name,
            "holds": holds,
        })
    };
    documents.map(line).collect()
}

fn line(mailbox: &Mailbox, path: &[String], item: &Item) -> Value {
    json!({
        "service": "exchange",
        "mailbox": mailbox.address,
        "kind": kind(item),
        "path": path,
        "subject": item.subject(),
        "item_class": item.class,
        "internet_message_id": item.text("InternetMessageId"),
        "size": item.mime.as_ref().map(super::super::content::Content::len),
        "blake3": item.mime.as_ref().map(super::super::content::Content::blake3),
        "is_read": item.is_read,
        "categories": item.categories(),
    })
}

fn kind(item: &Item) -> &'static str {
    match item.kind {
        Kind::Message if item.class.starts_with("IPM.StickyNote") => "note",
        Kind::Message | Kind::MeetingRequest | Kind::Post => "message",
        Kind::Calendar => "event",
        Kind::Contact => "contact",
        Kind::Task => "task",
    }
}
