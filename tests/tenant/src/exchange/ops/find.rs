//! `FindItem`: a folder's items by page, sorted and restricted.

use std::cmp::Ordering;

use super::folders::{Page, find_folder};
use super::restriction::{self, text_of};
use super::{Context, list};
use crate::exchange::answer::{Failure, Outcome, response};
use crate::exchange::render;
use crate::exchange::shape::{Path, Shape};
use crate::exchange::world::{Item, Mailbox};
use crate::exchange::xml::Element;

/// `FindItem`.
pub(super) fn items(context: &mut Context<'_>, request: &Element) -> Element {
    response("FindItem", list(request, "ParentFolderIds").iter().map(|id| one(context, request, id)))
}

fn one(context: &Context<'_>, request: &Element, id: &Element) -> Outcome {
    let shape = Shape::read(request.child("ItemShape"))?;
    if shape.mime {
        return Err(Failure::new(
            "ErrorInvalidPropertyRequest",
            "MimeContent cannot be requested in FindItem.",
        ));
    }
    let place = context.caller.folder(context.world, context.shared, id)?;
    let (mailbox, folder) = find_folder(context, place)?;
    let mut items: Vec<&Item> = match request.attribute("Traversal") {
        Some("Shallow") => mailbox.items_in(folder.number).collect(),
        // Neither associated nor soft-deleted items are kept in folders here.
        _ => Vec::new(),
    };
    if let Some(view) = request.child("CalendarView") {
        let (start, end) =
            (view.attribute("StartDate").unwrap_or_default(), view.attribute("EndDate").unwrap_or_default());
        items.retain(|item| item.text("Start") < end && item.text("End") > start);
    }
    if let Some(restriction) =
        request.child("Restriction").and_then(|restriction| restriction.children.first())
    {
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            if restriction::matches(mailbox, item, restriction)? {
                kept.push(item);
            }
        }
        items = kept;
    }
    sort(mailbox, &mut items, list(request, "SortOrder"))?;
    let page = Page::read(request.child("IndexedPageItemView"), items.len())?;
    let shown = items
        .iter()
        .skip(page.offset)
        .take(page.count)
        .map(|item| render::listed_item(mailbox, item, &shape));
    let list = Element::types("Items").with_children(shown);
    Ok(vec![page.describe(Element::messages("RootFolder")).with_child(list)])
}

/// Sorts by the given fields; without any, newest first.
fn sort(mailbox: &Mailbox, items: &mut Vec<&Item>, orders: &[Element]) -> Result<(), Failure> {
    if orders.is_empty() {
        items.reverse();
        return Ok(());
    }
    let mut paths = Vec::with_capacity(orders.len());
    for order in orders {
        paths.push((Path::read_in(order)?, order.attribute("Order") == Some("Descending")));
    }
    items.sort_by(|one, other| {
        paths.iter().fold(Ordering::Equal, |so_far, (path, descending)| {
            so_far.then_with(|| {
                let order = text_of(mailbox, one, path).cmp(&text_of(mailbox, other, path));
                if *descending { order.reverse() } else { order }
            })
        })
    });
    Ok(())
}
