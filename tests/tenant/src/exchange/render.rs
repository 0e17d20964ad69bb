//! Items and folders as the elements of an answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::answer::Failure;
use super::convert::people;
use super::fields::{self, EXTENDED, Field};
use super::ids::{EntryId, change_key};
use super::mime::{Attachment, AttachmentBody};
use super::shape::{ExtendedField, Shape};
use super::world::{Folder, Item, Kind, Mailbox, PropertyKey};
use super::xml::Element;
use crate::clock::iso_seconds;

/// Version tags start with another byte for items than for folders.
const ITEM_KEY: u8 = 9;
const FOLDER_KEY: u8 = 1;
/// Characters listings cut texts at.
const LISTED_TEXT_MAX: usize = 255;
/// Unsent, the flag of drafts, in `PR_MESSAGE_FLAGS`.
const FLAG_UNSENT: u32 = 8;

/// The `ItemId` of an item.
pub(crate) fn item_id(mailbox: &Mailbox, item: &Item) -> Element {
    Element::types("ItemId")
        .with_attribute("Id", EntryId::item(mailbox.guid, item.place.number).encode())
        .with_attribute("ChangeKey", change_key(ITEM_KEY, mailbox.guid, item.place.changed))
}

/// The `FolderId` of a folder, under the name `element`.
pub(crate) fn folder_id(mailbox: &Mailbox, folder: &Folder, element: &str) -> Element {
    Element::types(element)
        .with_attribute("Id", EntryId::folder(mailbox.guid, folder.number).encode())
        .with_attribute("ChangeKey", change_key(FOLDER_KEY, mailbox.guid, folder.changed))
}

/// An item with its id only.
pub(crate) fn bare_item(mailbox: &Mailbox, item: &Item) -> Element {
    Element::types(item.kind.element()).with_child(item_id(mailbox, item))
}

/// An item as `GetItem` shows it.
pub(crate) fn item(mailbox: &Mailbox, item: &Item, shape: &Shape) -> Result<Element, Failure> {
    if shape.named.iter().any(|field| !fields::fits(item.kind, field)) {
        return Err(Failure::new(
            "ErrorInvalidPropertyRequest",
            "Property is not valid for this object type.",
        ));
    }
    if shape.mime && item.mime.is_none() {
        return Err(Failure::new("ErrorUnsupportedMimeConversion", "Unable to convert the item to MIME."));
    }
    Ok(element(mailbox, item, shape, |_| true))
}

/// An item as listings show it: without large properties, texts cut.
pub(crate) fn listed_item(mailbox: &Mailbox, item: &Item, shape: &Shape) -> Element {
    let mut element = element(mailbox, item, shape, fields::is_listed);
    for child in &mut element.children {
        cut(child);
    }
    element
}

fn element(mailbox: &Mailbox, item: &Item, shape: &Shape, shown: impl Fn(&Field) -> bool) -> Element {
    let mut element = Element::types(item.kind.element());
    for field in fields::of_items(item.kind).filter(|field| shown(field)) {
        if field.element == EXTENDED {
            element.children.extend(
                shape.extended.iter().filter_map(|field| extended_property(field, item_value(item, field))),
            );
        } else if shape.wants(field) || (shape.mime && field.element == "MimeContent") {
            element.children.extend(property(mailbox, item, field));
        }
    }
    element
}

/// A property's element; none if the item does not have it.
pub(crate) fn property(mailbox: &Mailbox, item: &Item, field: &Field) -> Option<Element> {
    let name = field.element;
    let time = |ms: i64| (ms != 0).then(|| Element::value(name, iso_seconds(ms)));
    let flag = |value: bool| Some(Element::value(name, value.to_string()));
    match name {
        "ItemId" => Some(item_id(mailbox, item)),
        "MimeContent" => item.mime.as_ref().map(|mime| {
            Element::types(name).with_attribute("CharacterSet", "UTF-8").with_payload(mime.clone())
        }),
        "ParentFolderId" => mailbox.folder(item.place.folder).map(|folder| folder_id(mailbox, folder, name)),
        "ItemClass" => Some(Element::value(name, item.class.as_str())),
        "DateTimeReceived" => time(if item.received_ms == 0 { item.created_ms } else { item.received_ms }),
        "DateTimeSent" => time(item.sent_ms),
        "DateTimeCreated" => time(item.created_ms),
        "LastModifiedTime" => time(item.modified_ms),
        "LastModifiedName" => Some(Element::value(name, mailbox.display_name.as_str())),
        "Size" => Some(Element::value(name, item.size().to_string())),
        "HasAttachments" => flag(item.attachments.iter().any(|attachment| !attachment.inline)),
        "Attachments" => attachments(mailbox, item),
        "IsDraft" => flag(item.is_draft),
        "IsRead" => flag(item.is_read),
        "IsSubmitted" | "IsFromMe" | "IsResend" | "IsUnmodified" | "IsAssociated" | "IsMeeting"
        | "IsCancelled" => flag(false),
        "IsRecurring" => flag(item.properties.contains_key("Recurrence")),
        "CalendarItemType" => {
            let recurring = item.properties.contains_key("Recurrence");
            Some(Element::value(name, if recurring { "RecurringMaster" } else { "Single" }))
        }
        "IsComplete" => flag(item.text("Status") == "Completed"),
        "Sensitivity" | "Importance" => stored(item, name).or_else(|| Some(Element::value(name, "Normal"))),
        "Culture" => stored(item, name).or_else(|| Some(Element::value(name, "en-US"))),
        "ReminderIsSet" => stored(item, name).or_else(|| flag(false)),
        "DisplayTo" => display(item, "ToRecipients", name),
        "DisplayCc" => display(item, "CcRecipients", name),
        "TextBody" => Some(Element::value(name, item.text("Body")).with_attribute("BodyType", "Text")),
        "ConversationId" => {
            let digest = blake3::hash(item.subject().as_bytes());
            Some(Element::types(name).with_attribute("Id", STANDARD.encode(&digest.as_bytes()[..22])))
        }
        "EffectiveRights" => Some(rights(name)),
        "InstanceKey" => Some(Element::value(name, STANDARD.encode(item.place.number.0.to_be_bytes()))),
        _ => stored(item, name),
    }
}

fn stored(item: &Item, name: &str) -> Option<Element> {
    item.properties.get(name).cloned()
}

fn display(item: &Item, from: &str, name: &str) -> Option<Element> {
    let names: Vec<String> = people(item, from)
        .into_iter()
        .map(|person| if person.name.is_empty() { person.address } else { person.name })
        .collect();
    (!names.is_empty()).then(|| Element::value(name, names.join("; ")))
}

fn rights(name: &str) -> Element {
    let right = |name: &str| Element::value(name, "true");
    let names = [
        "CreateAssociated",
        "CreateContents",
        "CreateHierarchy",
        "Delete",
        "Modify",
        "Read",
        "ViewPrivateItems",
    ];
    Element::types(name).with_children(names.map(right))
}

fn attachments(mailbox: &Mailbox, item: &Item) -> Option<Element> {
    let each = item.attachments.iter().enumerate();
    let list = each.map(|(index, attachment)| self::attachment(mailbox, item, index as u32, attachment));
    (!item.attachments.is_empty()).then(|| Element::types("Attachments").with_children(list))
}

/// An attachment's description, without its content.
pub(crate) fn attachment(mailbox: &Mailbox, item: &Item, index: u32, attachment: &Attachment) -> Element {
    let name = match attachment.body {
        AttachmentBody::File(_) => "FileAttachment",
        AttachmentBody::Message(_) => "ItemAttachment",
    };
    let id = EntryId::attachment(mailbox.guid, item.place.number, index).encode();
    let content_id = attachment.content_id.as_ref().map(|id| Element::value("ContentId", id.as_str()));
    Element::types(name)
        .with_child(Element::types("AttachmentId").with_attribute("Id", id))
        .with_child(Element::value("Name", attachment.name.as_str()))
        .with_child(Element::value("ContentType", attachment.content_type.as_str()))
        .with_children(content_id)
        .with_child(Element::value("Size", attachment.size().to_string()))
        .with_child(Element::value("LastModifiedTime", iso_seconds(item.modified_ms)))
        .with_child(Element::value("IsInline", attachment.inline.to_string()))
}

/// A folder.
pub(crate) fn folder(mailbox: &Mailbox, folder: &Folder, shape: &Shape) -> Element {
    let mut element = Element::types(folder.element());
    let count = |name: &str, count: usize| Some(Element::value(name, count.to_string()));
    for field in fields::of_folders() {
        let name = field.element;
        if name == EXTENDED {
            element.children.extend(
                shape
                    .extended
                    .iter()
                    .filter_map(|field| extended_property(field, folder_value(folder, field))),
            );
            continue;
        }
        if !shape.wants(field) {
            continue;
        }
        let child = match name {
            "FolderId" => Some(folder_id(mailbox, folder, name)),
            "ParentFolderId" => folder
                .parent
                .and_then(|parent| mailbox.folder(parent))
                .map(|parent| folder_id(mailbox, parent, name)),
            "FolderClass" => (!folder.class.is_empty()).then(|| Element::value(name, folder.class.as_str())),
            "DisplayName" => Some(Element::value(name, folder.name.as_str())),
            "TotalCount" => count(name, mailbox.items_in(folder.number).count()),
            "ChildFolderCount" => count(name, mailbox.children(folder.number).count()),
            "UnreadCount" if folder.element() == "Folder" => {
                count(name, mailbox.items_in(folder.number).filter(|item| !item.is_read).count())
            }
            "EffectiveRights" => Some(rights(name)),
            "PermissionSet" => Some(permissions(mailbox, folder)),
            "DistinguishedFolderId" => folder.distinguished.map(|id| Element::value(name, id)),
            _ => None,
        };
        element.children.extend(child);
    }
    element
}

/// Who may do what in a folder: its owner, and on the calendar a delegate.
fn permissions(mailbox: &Mailbox, folder: &Folder) -> Element {
    let calendar = folder.class.starts_with("IPF.Appointment");
    let (one, list, level) = if calendar {
        ("CalendarPermission", "CalendarPermissions", "CalendarPermissionLevel")
    } else {
        ("Permission", "Permissions", "PermissionLevel")
    };
    let entry = |user: Element, right: &str| {
        Element::types(one)
            .with_child(Element::types("UserId").with_child(user))
            .with_child(Element::value(level, right))
    };
    let person = |address: &str| Element::value("PrimarySmtpAddress", address);
    let mut entries = vec![
        entry(
            Element::value("DistinguishedUser", "Default"),
            if calendar { "FreeBusyTimeOnly" } else { "None" },
        ),
        entry(person(&mailbox.address), "Owner"),
    ];
    entries.extend(
        mailbox
            .settings
            .delegate
            .iter()
            .filter(|_| calendar)
            .map(|delegate| entry(person(delegate), "Editor")),
    );
    Element::types("PermissionSet").with_child(Element::types(list).with_children(entries))
}

/// Cuts a text as listings do.
pub(crate) fn cut(element: &mut Element) {
    if let Some((at, _)) = element.text.char_indices().nth(LISTED_TEXT_MAX) {
        element.text.truncate(at);
    }
}

fn extended_property(field: &ExtendedField, values: Option<Vec<String>>) -> Option<Element> {
    let values = values?;
    let property = Element::types("ExtendedProperty").with_child(field.uri.clone());
    let value = |text: String| Element::value("Value", text);
    Some(if field.kind.ends_with("Array") {
        property.with_child(Element::types("Values").with_children(values.into_iter().map(value)))
    } else {
        property.with_children(values.into_iter().take(1).map(value))
    })
}

/// The value of an item's extended property: computed for tags the server keeps itself, else as stored.
pub(crate) fn item_value(item: &Item, field: &ExtendedField) -> Option<Vec<String>> {
    let text = |name: &str| Some(item.text(name)).filter(|text| !text.is_empty()).map(str::to_owned);
    let time = |ms: i64| (ms != 0).then(|| iso_seconds(ms));
    let computed = match &field.key {
        PropertyKey::Tag(0x001a) => Some(item.class.clone()),
        PropertyKey::Tag(0x0037) => text("Subject"),
        PropertyKey::Tag(0x0039) => time(item.sent_ms),
        PropertyKey::Tag(0x0e06) => {
            time(if item.received_ms == 0 { item.created_ms } else { item.received_ms })
        }
        PropertyKey::Tag(0x0e07) => Some(message_flags(item).to_string()),
        PropertyKey::Tag(0x0e08) => Some(item.size().to_string()),
        PropertyKey::Tag(0x0e69) => Some(item.is_read.to_string()),
        PropertyKey::Tag(0x1035) if item.kind.is_mail() => text("InternetMessageId"),
        PropertyKey::Tag(0x3007) => time(item.created_ms),
        PropertyKey::Tag(0x3008) => time(item.modified_ms),
        PropertyKey::Tag(0x300b) => Some(STANDARD.encode(item.search_key)),
        _ => None,
    };
    let stored = || {
        item.extended
            .get(&field.key)
            .filter(|value| value.kind == field.kind)
            .map(|value| value.values.clone())
    };
    computed.map(|value| vec![value]).or_else(stored)
}

fn message_flags(item: &Item) -> u32 {
    let has_attachments = if item.attachments.is_empty() { 0 } else { 0x10 };
    u32::from(item.is_read)
        | if item.is_draft && item.kind == Kind::Message { FLAG_UNSENT } else { 0 }
        | has_attachments
}

fn folder_value(folder: &Folder, field: &ExtendedField) -> Option<Vec<String>> {
    let computed = match &field.key {
        PropertyKey::Tag(0x10f4) => Some("false".to_owned()),
        PropertyKey::Tag(0x3001) => Some(folder.name.clone()),
        // A root folder, or an ordinary one.
        PropertyKey::Tag(0x3601) => Some(if folder.parent.is_none() { "0" } else { "1" }.to_owned()),
        PropertyKey::Tag(0x3613) => Some(folder.class.clone()),
        _ => None,
    };
    let stored = || folder.extended.get(&field.key).map(|value| value.values.clone());
    computed.map(|value| vec![value]).or_else(stored)
}
