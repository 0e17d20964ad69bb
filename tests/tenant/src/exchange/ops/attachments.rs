//! `GetAttachment`.

use super::{Context, list};
use crate::counters::ContentKind;
use crate::exchange::access::item_not_found;
use crate::exchange::answer::{Failure, Outcome, response};
use crate::exchange::content::Content;
use crate::exchange::mime::{AttachmentBody, parse};
use crate::exchange::render;
use crate::exchange::xml::Element;

/// Attached messages up to this size, in bytes, are looked into for their subject.
const PARSED_MAX: u64 = 4 * 1024 * 1024;

/// `GetAttachment`.
pub(super) fn get(context: &mut Context<'_>, request: &Element) -> Element {
    let mime = request.child("AttachmentShape").and_then(|shape| shape.child_text("IncludeMimeContent"));
    let mime = matches!(mime, Some("true" | "1"));
    response("GetAttachment", list(request, "AttachmentIds").iter().map(|id| one(context, id, mime)))
}

fn one(context: &Context<'_>, id: &Element, mime: bool) -> Outcome {
    let (place, index) = context.caller.attachment(context.world, context.shared, id)?;
    let mailbox = context.world.mailbox_of(place.mailbox).ok_or_else(item_not_found)?;
    let item = mailbox.item(place.item).ok_or_else(item_not_found)?;
    let missing = || Failure::new("ErrorAttachmentNotFound", "The attachment was not found.");
    let attachment = item.attachments.get(index as usize).ok_or_else(missing)?;
    if let Some(failure) = context.item_fault("GetAttachment", mailbox, item) {
        return Err(failure);
    }
    context.shared.counters.sent(ContentKind::Attachment, attachment.size());
    let element = render::attachment(mailbox, item, index, attachment);
    let element = match &attachment.body {
        AttachmentBody::File(blob) => {
            element.with_child(Element::types("Content").with_payload(Content::from_blob(blob.clone())))
        }
        AttachmentBody::Message(bytes) => element.with_child(message(bytes, mime)),
    };
    Ok(vec![Element::messages("Attachments").with_child(element)])
}

fn message(bytes: &Content, mime: bool) -> Element {
    let subject =
        bytes.collect(PARSED_MAX).and_then(|held| parse(&held).header("Subject")).unwrap_or_default();
    let shown = mime.then(|| {
        Element::types("MimeContent").with_attribute("CharacterSet", "UTF-8").with_payload(bytes.clone())
    });
    Element::types("Message")
        .with_children(shown)
        .with_child(Element::value("ItemClass", "IPM.Note"))
        .with_child(Element::value("Subject", subject))
}
