//! `CreateItem`: items from MIME, from typed elements, or both.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::folders::{find_folder, values_of};
use super::{Context, list};
use crate::exchange::access::{FolderPlace, folder_not_found};
use crate::exchange::answer::{Failure, Fault, Outcome, response};
use crate::exchange::content::{Blob, Content};
use crate::exchange::convert;
use crate::exchange::mime::{Attachment, AttachmentBody};
use crate::exchange::render;
use crate::exchange::shape::ExtendedField;
use crate::exchange::world::{Item, Kind, PropertyKey, PropertyValue};
use crate::exchange::xml::Element;

/// Elements the server makes itself; a client that sends one is wrong.
const READ_ONLY: [&str; 17] = [
    "ItemId",
    "ParentFolderId",
    "DateTimeReceived",
    "Size",
    "IsSubmitted",
    "IsDraft",
    "IsFromMe",
    "IsResend",
    "IsUnmodified",
    "InternetMessageHeaders",
    "DateTimeSent",
    "DateTimeCreated",
    "HasAttachments",
    "EffectiveRights",
    "LastModifiedName",
    "LastModifiedTime",
    "ConversationId",
];

/// Read and unsent in `PR_MESSAGE_FLAGS`.
const FLAG_READ: u32 = 1;
const FLAG_UNSENT: u32 = 8;

/// `CreateItem`.
pub(super) fn items(context: &mut Context<'_>, request: &Element) -> Result<Element, Fault> {
    let items = list(request, "Items");
    let disposition = request.attribute("MessageDisposition");
    if disposition.is_none() && items.iter().any(|item| item.name == "Message") {
        return Err(Failure::new(
            "ErrorMessageDispositionRequired",
            "Message disposition is required for message items.",
        )
        .into());
    }
    let invitations = request.attribute("SendMeetingInvitations");
    if invitations.is_none() && items.iter().any(|item| item.name == "CalendarItem") {
        return Err(Failure::new(
            "ErrorSendMeetingInvitationsRequired",
            "Send invitations is required for calendar items.",
        )
        .into());
    }
    if disposition.is_some_and(|disposition| disposition != "SaveOnly")
        || invitations.is_some_and(|sent| sent != "SendToNone")
    {
        return Err(Failure::new(
            "ErrorSendAsDenied",
            "This server sends no mail: only SaveOnly and SendToNone are allowed.",
        )
        .into());
    }
    Ok(response("CreateItem", items.iter().map(|item| one(context, request, item))))
}

fn one(context: &mut Context<'_>, request: &Element, element: &Element) -> Outcome {
    let class = element.child_text("ItemClass").unwrap_or_default();
    let kind = Kind::of(&element.name, class)
        .ok_or_else(|| Failure::new("ErrorInvalidOperation", "Items of this type cannot be created."))?;
    let place = target(context, request, kind)?;
    let folder_element = find_folder(context, place)?.1.element();
    check_folder(kind, folder_element)?;
    let now = context.world.tick();
    let mut item = Item::new(kind, if class.is_empty() { kind.class() } else { class });
    item.created_ms = now;
    item.modified_ms = now;
    item.is_draft = kind == Kind::Message;
    fill(&mut item, element)?;
    let mailbox = context.world.mailbox_of_mut(place.mailbox).ok_or_else(folder_not_found)?;
    let number = mailbox.add_item(place.folder, item)?;
    let created = mailbox.item(number).map(|item| render::bare_item(mailbox, item));
    Ok(vec![Element::messages("Items").with_children(created)])
}

/// The folder named, or the usual one of the caller's mailbox for items of this kind.
fn target(context: &Context<'_>, request: &Element, kind: Kind) -> Result<FolderPlace, Failure> {
    let usual = match kind {
        Kind::Calendar => "calendar",
        Kind::Contact => "contacts",
        Kind::Task => "tasks",
        Kind::Message | Kind::MeetingRequest | Kind::Post => "drafts",
    };
    let usual = Element::types("DistinguishedFolderId").with_attribute("Id", usual);
    let id = request.child("SavedItemFolderId").and_then(|folder| folder.children.first()).unwrap_or(&usual);
    context.caller.folder(context.world, context.shared, id)
}

fn check_folder(kind: Kind, folder: &str) -> Result<(), Failure> {
    let refuse = |what: &str| {
        Err(Failure::new(
            &format!("ErrorCannotCreate{what}Folder"),
            "The item cannot be created in this type of folder.",
        ))
    };
    match (kind, folder) {
        (Kind::Calendar, "CalendarFolder")
        | (Kind::Contact, "ContactsFolder")
        | (Kind::Task, "TasksFolder")
        | (Kind::Message | Kind::MeetingRequest | Kind::Post, _) => Ok(()),
        (Kind::Calendar, _) => refuse("CalendarItemInNonCalendar"),
        (Kind::Contact, _) => refuse("ContactInNonContact"),
        (Kind::Task, _) => refuse("TaskInNonTask"),
    }
}

/// Sets all properties of a new item from its element.
pub(super) fn fill(item: &mut Item, element: &Element) -> Result<(), Failure> {
    let mime = element.child("MimeContent");
    if let Some(mime) = mime {
        read_mime(item, mime)?;
    }
    let mut retitled = false;
    for child in &element.children {
        match child.name.as_str() {
            "MimeContent" | "ItemClass" => {}
            name if READ_ONLY.contains(&name) => {
                return Err(Failure::new("ErrorInvalidPropertySet", "Set action is invalid for property."));
            }
            "ExtendedProperty" => set_extended(item, child, true)?,
            name => {
                retitled |= name == "Subject" && item.subject() != child.text;
                set_property(item, child)?;
            }
        }
    }
    if item.kind == Kind::Calendar && (item.text("Start").is_empty() || item.text("End").is_empty()) {
        return Err(Failure::new("ErrorItemCorrupt", "Start and end of the calendar item are missing."));
    }
    match mime {
        None => convert::compose_mime(item),
        Some(_) if retitled && item.kind.is_mail() => convert::rewrite_subject(item),
        Some(_) => {}
    }
    Ok(())
}

fn read_mime(item: &mut Item, mime: &Element) -> Result<(), Failure> {
    let text: Vec<u8> = mime.text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(text).map_err(|_| {
        Failure::new("ErrorMimeContentInvalidBase64String", "The MIME content is no valid base64.")
    })?;
    let invalid = || Failure::new("ErrorMimeContentInvalid", "The MIME content is invalid.");
    match item.kind {
        Kind::Calendar => convert::read_calendar(item, &bytes).then_some(()).ok_or_else(invalid),
        // vCard can be exported only.
        Kind::Contact => Err(invalid()),
        Kind::Message | Kind::MeetingRequest | Kind::Post | Kind::Task => {
            convert::read_message(item, &bytes);
            Ok(())
        }
    }
}

/// Sets a typed property.
pub(super) fn set_property(item: &mut Item, element: &Element) -> Result<(), Failure> {
    match element.name.as_str() {
        "IsRead" => item.is_read = matches!(element.text.trim(), "true" | "1"),
        "Attachments" => {
            for attachment in &element.children {
                item.attachments.push(attachment_of(attachment)?);
            }
        }
        name => {
            item.properties.insert(name.to_owned(), element.clone());
        }
    }
    Ok(())
}

fn attachment_of(element: &Element) -> Result<Attachment, Failure> {
    let text = |name: &str| element.child_text(name).map(str::to_owned);
    let body = if element.name == "FileAttachment" {
        let content: Vec<u8> = element
            .child("Content")
            .map(|content| content.text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect())
            .unwrap_or_default();
        let bytes = STANDARD.decode(content).map_err(|_| {
            Failure::new("ErrorInvalidAttachmentContent", "The attachment's content is no valid base64.")
        })?;
        AttachmentBody::File(Blob::Held(bytes.into()))
    } else {
        let nested = element.children.iter().find(|child| Kind::of(&child.name, "").is_some());
        let nested = nested.ok_or_else(|| {
            Failure::new("ErrorInvalidAttachmentSubfilter", "The attached item is missing.")
        })?;
        let mut item = Item::new(Kind::Message, "IPM.Note");
        fill(&mut item, nested)?;
        AttachmentBody::Message(item.mime.unwrap_or_else(|| Content::from_bytes(Vec::new())))
    };
    Ok(Attachment {
        name: text("Name").unwrap_or_default(),
        content_type: text("ContentType").unwrap_or_else(|| "application/octet-stream".to_owned()),
        content_id: text("ContentId"),
        inline: text("IsInline").as_deref() == Some("true"),
        body,
    })
}

/// Sets an extended property. Some tags stand for what the server keeps itself; the unsent flag can be set with a new
/// item only.
pub(super) fn set_extended(item: &mut Item, property: &Element, is_new: bool) -> Result<(), Failure> {
    let uri = property
        .child("ExtendedFieldURI")
        .ok_or_else(|| Failure::new("ErrorInvalidExtendedProperty", "The property is not named."))?;
    let field = ExtendedField::read(uri)?;
    let values = values_of(property);
    let first = values.first().map(|value| value.trim().to_owned()).unwrap_or_default();
    let invalid = || {
        Failure::new("ErrorInvalidExtendedPropertyValue", "The value does not fit the type of the property.")
    };
    let time = || crate::clock::parse_iso(&first).ok_or_else(invalid);
    match field.key {
        PropertyKey::Tag(0x0e07) => {
            let flags: u32 = first.parse().map_err(|_| invalid())?;
            item.is_read = flags & FLAG_READ != 0;
            if is_new {
                item.is_draft = flags & FLAG_UNSENT != 0;
            }
        }
        PropertyKey::Tag(0x0e06) => item.received_ms = time()?,
        PropertyKey::Tag(0x0039) => item.sent_ms = time()?,
        PropertyKey::Tag(0x300b) => {
            let key = STANDARD.decode(&first).map_err(|_| invalid())?;
            item.search_key = key.try_into().map_err(|_| invalid())?;
        }
        key => {
            item.extended.insert(key, PropertyValue { kind: field.kind, values });
        }
    }
    Ok(())
}
