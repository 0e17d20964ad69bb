//! What earlier runs could not read comes first: each owed item is offered again, found gone, or owed on.

use std::collections::{HashMap, VecDeque};

use larder_sdk::{Event, ItemId, Offer, Owed, Result, ScopeId};

use super::{
    context::Context,
    export::Fidelity,
    faults::Advice,
    folders::{Trees, is_hierarchy},
    ids::Ids,
    item::id_text,
    items::{self, Fetched, Wanted},
    offer::{self, At},
    outbox::Outbox,
    requests::{self, FolderRef},
    settings,
    xml::Element,
};

/// Owed items asked of the host at a time.
const PAGE: usize = 200;
/// Runs in which making an item's MIME failed before its content is built here instead.
const FAILED_RUNS: u32 = 2;

/// Tells of everything owed.
pub(super) async fn tell(context: &Context, trees: &Trees, outbox: &mut Outbox) -> Result<()> {
    let mut after: Option<ItemId> = None;
    loop {
        let page = context.host.owed(after.clone(), PAGE).await?;
        let last = page.len() < PAGE;
        after = page.last().map(|owed| owed.id.clone());
        // Settings are asked for in each run anyway.
        let page = page.into_iter().filter(|owed| owed.scope.as_bytes() != settings::SCOPE.as_bytes());
        let (folders, items): (Vec<Owed>, Vec<Owed>) = page.partition(|owed| is_hierarchy(&owed.scope));
        for folder in folders {
            tell_folder(context, trees, &folder, outbox).await?;
        }
        tell_items(context, items, outbox).await?;
        if last {
            return outbox.flush().await;
        }
    }
}

async fn tell_items(context: &Context, items: Vec<Owed>, outbox: &mut Outbox) -> Result<()> {
    let kept = items.iter().map(|owed| owed.id.clone()).collect();
    let ids = context.ids.of_kept(&context.client, &context.address, kept).await;
    let ids = ids.map_err(|failure| failure.error(&context.address))?;
    let mut queue: VecDeque<Wanted> = ids.into_iter().map(|ids| Wanted::new(ids, false)).collect();
    let owed: HashMap<ItemId, Owed> = items.into_iter().map(|owed| (owed.id.clone(), owed)).collect();
    while !queue.is_empty() {
        let fetched = items::fetch(&context.client, &context.batch, &mut queue).await;
        for (ids, fetched) in fetched.map_err(|failure| failure.error(&context.address))? {
            let Some(owed) = owed.get(&ids.kept) else { continue };
            let parent = owed.parent.display();
            let at = At { context, client: &context.client, scope: &owed.scope, folder: &parent };
            let event = match fetched {
                Fetched::Row(row) => {
                    tell_row(at, owed, (ids, &row), outbox).await?;
                    continue;
                }
                Fetched::Gone => Event::Deleted(owed.id.clone()),
                Fetched::Unreadable(error) => offer::unread(at, ids.kept, error).await,
            };
            outbox.push(event).await?;
        }
    }
    Ok(())
}

/// An item that can be asked for again. If its MIME keeps failing, its content is built here.
async fn tell_row(at: At<'_>, owed: &Owed, (ids, row): (Ids, &Element), outbox: &mut Outbox) -> Result<()> {
    let refused = match at.context.fidelity() {
        // Its content is no MIME.
        Fidelity::Export => None,
        Fidelity::Mime | Fidelity::Both => offer::probe(at.client, &ids.wire).await.err(),
    };
    let build = match refused.and_then(|failure| failure.advice()) {
        Some(Advice::NoMime) => true,
        Some(Advice::ItemDamaged | Advice::TryAgain) => owed.tries >= FAILED_RUNS,
        _ => false,
    };
    if build {
        return offer::offer_rebuilt(at, (ids, row), outbox).await;
    }
    offer::offer(at, (ids, row), outbox).await
}

async fn tell_folder(context: &Context, trees: &Trees, owed: &Owed, outbox: &mut Outbox) -> Result<()> {
    let id = id_text(&owed.id);
    let event = match context.client.call_one(&requests::get_folder(&[FolderRef::Id(&id)])).await {
        Ok(message) => {
            let element = message.element.child("Folders").and_then(|folders| folders.children.first());
            match element.and_then(|element| trees.item(element)) {
                Some(item) => Event::Offer(Offer { scope: owed.scope.clone(), item, carry: None }),
                None => Event::Deleted(owed.id.clone()),
            }
        }
        Err(failure) if matches!(failure.advice(), Some(Advice::FolderGone | Advice::ItemGone)) => {
            outbox.push(Event::ScopeGone(ScopeId::from(id.as_str()))).await?;
            Event::Deleted(owed.id.clone())
        }
        Err(failure) => {
            let error = failure.error(&format!("folder {} of {}", owed.name.display(), context.address));
            offer::unread_folder(context, owed.scope.clone(), &id, error).await
        }
    };
    outbox.push(event).await
}
