//! `MoveItem` and `DeleteItem`.

use super::{Context, list};
use crate::exchange::access::{folder_not_found, item_not_found};
use crate::exchange::answer::{Failure, Fault, Outcome, response};
use crate::exchange::render;
use crate::exchange::world::Kind;
use crate::exchange::xml::Element;

/// `MoveItem`.
pub(super) fn relocate(context: &mut Context<'_>, request: &Element) -> Element {
    let told = request.child_text("ReturnNewItemIds") != Some("false");
    response("MoveItem", list(request, "ItemIds").iter().map(|id| one(context, request, id, told)))
}

fn one(context: &mut Context<'_>, request: &Element, id: &Element, told: bool) -> Outcome {
    let to = request.child("ToFolderId").and_then(|to| to.children.first()).ok_or_else(folder_not_found)?;
    let to = context.caller.folder(context.world, context.shared, to)?;
    let from = context.caller.item(context.world, context.shared, id)?;
    if to.mailbox != from.mailbox {
        return Err(Failure::new("ErrorMoveCopyFailed", "Items cannot be moved between mailboxes."));
    }
    let mailbox = context.world.mailbox_of_mut(from.mailbox).ok_or_else(item_not_found)?;
    let number = mailbox.move_item(from.item, to.folder)?;
    let moved = mailbox.item(number).filter(|_| told).map(|item| render::bare_item(mailbox, item));
    Ok(vec![Element::messages("Items").with_children(moved)])
}

/// `DeleteItem`.
pub(super) fn delete(context: &mut Context<'_>, request: &Element) -> Result<Element, Fault> {
    let ids = list(request, "ItemIds");
    let kinds: Vec<Kind> = ids.iter().filter_map(|id| kind(context, id)).collect();
    if kinds.contains(&Kind::Calendar) && request.attribute("SendMeetingCancellations").is_none() {
        return Err(Failure::new(
            "ErrorSendMeetingCancellationsRequired",
            "Send cancellations is required for calendar items.",
        )
        .into());
    }
    if kinds.contains(&Kind::Task) && request.attribute("AffectedTaskOccurrences").is_none() {
        return Err(Failure::new(
            "ErrorAffectedTaskOccurrencesRequired",
            "Affected task occurrences is required for task items.",
        )
        .into());
    }
    Ok(response(
        "DeleteItem",
        ids.iter().map(|id| {
            let place = context.caller.item(context.world, context.shared, id)?;
            let mailbox = context.world.mailbox_of_mut(place.mailbox).ok_or_else(item_not_found)?;
            match request.attribute("DeleteType") {
                Some("HardDelete") => mailbox.remove_item(place.item)?,
                Some("MoveToDeletedItems") => {
                    mailbox.move_item(place.item, mailbox.well_known("deleteditems"))?;
                }
                _ => {
                    mailbox.move_item(place.item, mailbox.well_known("recoverableitemsdeletions"))?;
                }
            }
            Ok(Vec::new())
        }),
    ))
}

fn kind(context: &Context<'_>, id: &Element) -> Option<Kind> {
    let place = context.caller.item(context.world, context.shared, id).ok()?;
    context.world.mailbox_of(place.mailbox)?.item(place.item).map(|item| item.kind)
}
