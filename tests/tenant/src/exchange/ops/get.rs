//! `GetItem`.

use super::{Context, list};
use crate::counters::ContentKind;
use crate::exchange::access::item_not_found;
use crate::exchange::answer::{Failure, Outcome, STOPPED, response};
use crate::exchange::render;
use crate::exchange::shape::Shape;
use crate::exchange::xml::Element;

/// `GetItem`: each item succeeds or fails alone, unless the server stops; then all that follow are left alone.
pub(super) fn items(context: &mut Context<'_>, request: &Element) -> Element {
    let shape = Shape::read(request.child("ItemShape"));
    let mut stopped = None;
    let each = list(request, "ItemIds").iter().map(|id| {
        if let Some(failure) = &stopped {
            return Err(Failure::clone(failure));
        }
        let outcome = one(context, id, shape.clone());
        stopped = outcome.as_ref().err().filter(|failure| failure.code == STOPPED).cloned();
        outcome
    });
    response("GetItem", each)
}

fn one(context: &Context<'_>, id: &Element, shape: Result<Shape, Failure>) -> Outcome {
    let shape = shape?;
    let place = context.caller.item(context.world, context.shared, id)?;
    let mailbox = context.world.mailbox_of(place.mailbox).ok_or_else(item_not_found)?;
    let item = mailbox.item(place.item).ok_or_else(item_not_found)?;
    if let Some(failure) = context.item_fault("GetItem", mailbox, item) {
        return Err(failure);
    }
    let element = render::item(mailbox, item, &shape)?;
    if let Some(mime) = item.mime.as_ref().filter(|_| shape.mime) {
        context.shared.counters.fetched(&mailbox.name_of(item));
        context.shared.counters.sent(ContentKind::Mime, mime.len());
    }
    Ok(vec![Element::messages("Items").with_child(element)])
}
