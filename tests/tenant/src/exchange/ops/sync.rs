//! `SyncFolderItems` and `SyncFolderHierarchy`.

use super::folders::find_folder;
use super::{Context, list};
use crate::exchange::access::{FolderPlace, folder_not_found, not_for_public};
use crate::exchange::answer::{Failure, Outcome, message, response};
use crate::exchange::ids::{EntryId, Named};
use crate::exchange::render;
use crate::exchange::shape::Shape;
use crate::exchange::sync_state::{Scope, SyncState};
use crate::exchange::world::{FolderChange, ItemChange, Mailbox, Reached};
use crate::exchange::xml::Element;
use crate::fault::FaultKind;

/// Folders in one page of a hierarchy.
const FOLDERS_MAX: usize = 512;

/// `SyncFolderItems`.
pub(super) fn items(context: &mut Context<'_>, request: &Element) -> Element {
    answer("SyncFolderItems", item_page(context, request))
}

/// `SyncFolderHierarchy`.
pub(super) fn hierarchy(context: &mut Context<'_>, request: &Element) -> Element {
    answer("SyncFolderHierarchy", folder_page(context, request))
}

/// A failed sync carries an empty state and says it is complete, as on a real server.
fn answer(operation: &str, outcome: Outcome) -> Element {
    let failed = outcome.is_err();
    let outcome = outcome.map_err(|failure| match failure.code.as_str() {
        "ErrorFolderNotFound" => Failure::new("ErrorSyncFolderNotFound", &failure.text),
        _ => failure,
    });
    let mut message = message(operation, outcome);
    if failed {
        let last = if operation == "SyncFolderItems" {
            "IncludesLastItemInRange"
        } else {
            "IncludesLastFolderInRange"
        };
        message = message
            .with_child(Element::messages("SyncState"))
            .with_child(Element::messages(last).with_text("true"));
    }
    let mut response = response(operation, []);
    if let Some(messages) = response.child_mut("ResponseMessages") {
        messages.children.push(message);
    }
    response
}

fn item_page(context: &Context<'_>, request: &Element) -> Outcome {
    let shape = Shape::read(request.child("ItemShape"))?;
    let id = request.child("SyncFolderId").and_then(|id| id.children.first()).ok_or_else(folder_not_found)?;
    let place = context.caller.folder(context.world, context.shared, id)?;
    let (mailbox, folder) = find_folder(context, place)?;
    if mailbox.is_public() {
        return Err(not_for_public());
    }
    let all = request.child_text("SyncScope") == Some("NormalAndAssociatedItems");
    let scope = if all { Scope::AllItems } else { Scope::NormalItems };
    let from = reached(context, request, mailbox, place, scope)?;
    let ignored: Vec<_> = list(request, "Ignore")
        .iter()
        .filter_map(|id| match EntryId::decode(id.attribute("Id")?).ok()?.named {
            Named::Item(number) => Some(number),
            Named::Folder(_) | Named::Attachment(..) => None,
        })
        .collect();
    // The schema check has bounded it already.
    let changes_max =
        request.child_text("MaxChangesReturned").and_then(|count| count.parse().ok()).unwrap_or(1);
    let page = mailbox.item_changes(folder.number, from, &ignored, changes_max);
    let changes = page.changes.iter().filter_map(|change| item_change(mailbox, *change, &shape));
    let state = SyncState {
        mailbox: mailbox.guid,
        scope,
        folder: folder.number,
        epoch: context.world.epoch(),
        known: page.reached.known,
        below: page.reached.below,
    };
    Ok(vec![
        Element::messages("SyncState").with_text(state.encode(mailbox.items_in(folder.number).count())),
        Element::messages("IncludesLastItemInRange").with_text(page.complete.to_string()),
        Element::messages("Changes").with_children(changes),
    ])
}

fn item_change(mailbox: &Mailbox, change: ItemChange, shape: &Shape) -> Option<Element> {
    Some(match change {
        ItemChange::Create(number) => {
            Element::types("Create").with_child(render::listed_item(mailbox, mailbox.item(number)?, shape))
        }
        ItemChange::Update(number) => {
            Element::types("Update").with_child(render::listed_item(mailbox, mailbox.item(number)?, shape))
        }
        ItemChange::Read(number) => {
            let item = mailbox.item(number)?;
            Element::types("ReadFlagChange")
                .with_child(render::item_id(mailbox, item))
                .with_child(Element::value("IsRead", item.is_read.to_string()))
        }
        ItemChange::Delete(number) => Element::types("Delete").with_child(
            Element::types("ItemId").with_attribute("Id", EntryId::item(mailbox.guid, number).encode()),
        ),
    })
}

fn folder_page(context: &Context<'_>, request: &Element) -> Outcome {
    let shape = Shape::read(request.child("FolderShape"))?;
    let top = Element::types("DistinguishedFolderId").with_attribute("Id", "msgfolderroot");
    let id = request.child("SyncFolderId").and_then(|id| id.children.first()).unwrap_or(&top);
    let place = context.caller.folder(context.world, context.shared, id)?;
    let (mailbox, root) = find_folder(context, place)?;
    if mailbox.is_public() {
        return Err(not_for_public());
    }
    let from = reached(context, request, mailbox, place, Scope::Hierarchy)?;
    let page = mailbox.folder_changes(root.number, from, FOLDERS_MAX);
    let changes = page.changes.iter().filter_map(|change| {
        let shown = |name: &str, number| {
            Some(Element::types(name).with_child(render::folder(mailbox, mailbox.folder(number)?, &shape)))
        };
        match *change {
            FolderChange::Create(number) => shown("Create", number),
            FolderChange::Update(number) => shown("Update", number),
            FolderChange::Delete(number) => {
                let id = EntryId::folder(mailbox.guid, number).encode();
                Some(Element::types("Delete").with_child(Element::types("FolderId").with_attribute("Id", id)))
            }
        }
    });
    let state = SyncState {
        mailbox: mailbox.guid,
        scope: Scope::Hierarchy,
        folder: root.number,
        epoch: context.world.epoch(),
        known: page.reached.known,
        below: page.reached.below,
    };
    Ok(vec![
        Element::messages("SyncState").with_text(state.encode(mailbox.folders().count())),
        Element::messages("IncludesLastFolderInRange").with_text(page.complete.to_string()),
        Element::messages("Changes").with_children(changes),
    ])
}

/// How far the request's state has read; a state that is not of this folder, scope and epoch is refused.
fn reached(
    context: &Context<'_>,
    request: &Element,
    mailbox: &Mailbox,
    place: FolderPlace,
    scope: Scope,
) -> Result<Reached, Failure> {
    let Some(text) = request.child_text("SyncState").filter(|text| !text.is_empty()) else {
        return Ok(mailbox.history_start());
    };
    let invalid = || {
        Failure::new(
            "ErrorInvalidSyncStateData",
            "Synchronization state data is corrupt or otherwise invalid.",
        )
    };
    let refused = matches!(context.fault, Some(FaultKind::SyncStateRefused));
    let state = SyncState::decode(text).map_err(|_| invalid())?;
    let ours = state.mailbox == mailbox.guid && state.folder == place.folder && state.scope == scope;
    if refused || !ours || state.epoch != context.world.epoch() || state.known > mailbox.sequence() {
        return Err(invalid());
    }
    Ok(Reached { known: state.known, below: state.below })
}
