//! `ExportItems` and `UploadItems`: items as opaque bytes that hold everything, search key and times included.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::folders::find_folder;
use super::{Context, list};
use crate::counters::ContentKind;
use crate::exchange::access::{folder_not_found, item_not_found};
use crate::exchange::answer::{Failure, Outcome, response};
use crate::exchange::content::Content;
use crate::exchange::convert;
use crate::exchange::render;
use crate::exchange::world::{Item, Kind, PropertyKey, PropertyValue};
use crate::exchange::xml::{self, Element, Output, Segment};

const MARK: &[u8; 4] = b"FTX1";
/// What a stream ends with that was cut.
const TRUNCATED: &str = "=== Truncated Data ===";
/// Bytes of MIME that a cut stream may hold.
const EXPORT_CUT: u64 = 1 << 20;
/// Mark, and the lengths of head and MIME.
const FRAME_BYTES: usize = 4 + 4 + 8;

/// All of an item but its MIME.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    element: String,
    class: String,
    /// The typed properties as one XML document.
    properties: String,
    extended: Vec<(StoredKey, String, Vec<String>)>,
    is_read: bool,
    is_draft: bool,
    has_mime: bool,
    created_ms: i64,
    received_ms: i64,
    sent_ms: i64,
    search_key: [u8; 16],
}

#[derive(Debug, Serialize, Deserialize)]
enum StoredKey {
    Tag(u16),
    Name(String, String),
    Number(String, i64),
}

/// `ExportItems`.
pub(super) fn export(context: &mut Context<'_>, request: &Element) -> Element {
    response(
        "ExportItems",
        list(request, "ItemIds").iter().map(|id| {
            let place = context.caller.item(context.world, context.shared, id)?;
            let mailbox = context.world.mailbox_of(place.mailbox).ok_or_else(item_not_found)?;
            let item = mailbox.item(place.item).ok_or_else(item_not_found)?;
            if let Some(failure) = context.item_fault("ExportItems", mailbox, item) {
                return Err(failure);
            }
            let packed = pack(item).ok_or_else(corrupt)?;
            context.shared.counters.fetched(&mailbox.name_of(item));
            context.shared.counters.sent(ContentKind::Mime, packed.len());
            let mut shown = render::item_id(mailbox, item);
            shown.space = xml::Space::Messages;
            let data = Element::messages("Data");
            if context.world.switches().truncated_export.as_ref() == Some(&mailbox.name_of(item)) {
                let half = item.mime.as_ref().and_then(|mime| mime.collect(EXPORT_CUT)).unwrap_or_default();
                return Ok(vec![shown, data.with_text(format!("{}{TRUNCATED}", STANDARD.encode(half)))]);
            }
            Ok(vec![shown, data.with_payload(packed)])
        }),
    )
}

/// `UploadItems`.
pub(super) fn upload(context: &mut Context<'_>, request: &Element) -> Element {
    response("UploadItems", list(request, "Items").iter().map(|item| upload_one(context, item)))
}

fn upload_one(context: &mut Context<'_>, element: &Element) -> Outcome {
    let parent = element.child("ParentFolderId").ok_or_else(folder_not_found)?;
    let mut folder_id = parent.clone();
    "FolderId".clone_into(&mut folder_id.name);
    let place = context.caller.folder(context.world, context.shared, &folder_id)?;
    find_folder(context, place)?;
    let text: Vec<u8> = element
        .child("Data")
        .map(|data| data.text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect())
        .unwrap_or_default();
    let bytes = STANDARD.decode(text).map_err(|_| corrupt())?;
    let mut item = unpack(&bytes).ok_or_else(corrupt)?;
    item.modified_ms = context.world.tick();
    let action = element.attribute("CreateAction").unwrap_or_default();
    let existing = element.child("ItemId").map(|id| context.caller.item(context.world, context.shared, id));
    let mailbox = context.world.mailbox_of_mut(place.mailbox).ok_or_else(folder_not_found)?;
    let existing = existing.and_then(Result::ok).map(|found| found.item);
    let existing =
        existing.filter(|number| mailbox.item(*number).is_some_and(|item| item.place.folder == place.folder));
    let number = match (action, existing) {
        ("CreateNew", _) | ("UpdateOrCreate", None) => mailbox.add_item(place.folder, item)?,
        ("Update" | "UpdateOrCreate", Some(number)) => {
            mailbox.update_item(number, |stored| {
                let place = stored.place;
                *stored = item;
                stored.place = place;
            })?;
            number
        }
        ("Update", None) => return Err(item_not_found()),
        _ => return Err(Failure::new("ErrorInvalidRequest", "The create action is unknown.")),
    };
    let shown = mailbox.item(number).map(|item| {
        let mut id = render::item_id(mailbox, item);
        id.space = xml::Space::Messages;
        id
    });
    Ok(shown.into_iter().collect())
}

fn pack(item: &Item) -> Option<Content> {
    let properties = Element::types("Properties").with_children(item.properties.values().cloned());
    let mut output = Output::new(false);
    output.element(&properties);
    let document: String = output
        .finish()
        .into_iter()
        .filter_map(|segment| match segment {
            Segment::Text(text) => Some(text),
            Segment::Base64(_) => None,
        })
        .collect();
    let declared = format!("<t:Properties xmlns:t=\"{}\"", xml::Space::Types.uri());
    let extended = item.extended.iter().map(|(key, value)| {
        let key = match key {
            PropertyKey::Tag(tag) => StoredKey::Tag(*tag),
            PropertyKey::Name { set, name } => StoredKey::Name(set.clone(), name.clone()),
            PropertyKey::Number { set, number } => StoredKey::Number(set.clone(), *number),
        };
        (key, value.kind.clone(), value.values.clone())
    });
    let head = Head {
        element: item.kind.element().to_owned(),
        class: item.class.clone(),
        properties: document.replacen("<t:Properties", &declared, 1),
        extended: extended.collect(),
        is_read: item.is_read,
        is_draft: item.is_draft,
        has_mime: item.mime.is_some(),
        created_ms: item.created_ms,
        received_ms: item.received_ms,
        sent_ms: item.sent_ms,
        search_key: item.search_key,
    };
    let head = serde_json::to_vec(&head).ok()?;
    let mime = item.mime.clone().unwrap_or_else(|| Content::from_bytes(Vec::new()));
    let mut frame = MARK.to_vec();
    frame.extend_from_slice(&u32::try_from(head.len()).ok()?.to_be_bytes());
    frame.extend_from_slice(&mime.len().to_be_bytes());
    frame.extend_from_slice(&head);
    Some(Content::builder().plain(frame).content(&mime).build())
}

fn unpack(bytes: &[u8]) -> Option<Item> {
    let frame = bytes.get(..FRAME_BYTES).filter(|frame| frame.starts_with(MARK))?;
    let head_length = u32::from_be_bytes(frame[4..8].try_into().ok()?) as usize;
    let mime_length = usize::try_from(u64::from_be_bytes(frame[8..16].try_into().ok()?)).ok()?;
    let rest =
        bytes.get(FRAME_BYTES..).filter(|rest| Some(rest.len()) == head_length.checked_add(mime_length))?;
    let (head, mime) = rest.split_at(head_length);
    let head: Head = serde_json::from_slice(head).ok()?;
    let mut item = Item::new(Kind::of(&head.element, &head.class)?, &head.class);
    if head.has_mime && item.kind.is_mail() {
        convert::read_message(&mut item, mime);
    } else if head.has_mime {
        item.mime = Some(Content::from_bytes(mime.to_vec()));
    }
    let properties = xml::read(&head.properties).ok()?;
    item.properties = properties
        .children
        .into_iter()
        .map(|property| (property.name.clone(), property))
        .collect::<BTreeMap<_, _>>();
    for (key, kind, values) in head.extended {
        let key = match key {
            StoredKey::Tag(tag) => PropertyKey::Tag(tag),
            StoredKey::Name(set, name) => PropertyKey::Name { set, name },
            StoredKey::Number(set, number) => PropertyKey::Number { set, number },
        };
        item.extended.insert(key, PropertyValue { kind, values });
    }
    item.is_read = head.is_read;
    item.is_draft = head.is_draft;
    item.created_ms = head.created_ms;
    item.received_ms = head.received_ms;
    item.sent_ms = head.sent_ms;
    item.search_key = head.search_key;
    Some(item)
}

fn corrupt() -> Failure {
    Failure::new("ErrorCorruptData", "The data is corrupt.")
}
