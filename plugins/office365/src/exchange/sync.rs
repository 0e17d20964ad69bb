//! A folder's items: listed from nothing once, from then on by their changes. Each page's sync state is settled when
//! everything on the page has been told.

use std::collections::{HashMap, VecDeque};

use larder_sdk::{Error, ErrorKind, Event, ItemId, LogLevel, Result, ScopeId};
use tokio::sync::mpsc;

use super::{
    client::{Asked, Failure},
    context::Context,
    cursor::Place,
    faults::Advice,
    item::{id_of, with_read_flag},
    items::{self, Fetched, Wanted},
    offer,
    outbox::{Outbox, Said},
    properties::boolean,
    requests::{self, PAGE_CHANGES_MAX},
    xml::Element,
};

/// Pages without a change, one after another, that are taken for a server that will never come to an end.
const EMPTY_PAGES_MAX: u32 = 64;
/// Smallest page asked for when larger ones take the server too long.
const PAGE_CHANGES_MIN: usize = 16;

/// What a page says of one item; the last word counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// New or changed; true if it is mail.
    There(bool),
    Gone,
    ReadFlag(bool),
}

/// A page of a folder's changes.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) state: Option<String>,
    pub(super) last: bool,
    /// Changes in the order told, each item once.
    pub(super) changes: Vec<(String, Change)>,
    /// Rows, duplicates included.
    pub(super) rows: usize,
}

/// One folder being read.
struct Folder<'run> {
    context: &'run Context,
    id: &'run str,
    scope: ScopeId,
    outbox: Outbox,
}

/// Tells the changes of a folder. `hierarchy` is the scope the folder itself is in. A folder that cannot be listed is told
/// as unread; an error concerns the whole mailbox.
pub(super) async fn tell(
    context: &Context,
    id: &str,
    hierarchy: &ScopeId,
    way: &mpsc::Sender<Said>,
) -> Result<()> {
    let mut folder = Folder { context, id, scope: ScopeId::from(id), outbox: Outbox::new(way) };
    let event = match folder.tell().await {
        Ok(()) => return folder.outbox.flush().await,
        Err(Failure::Refused(problem))
            if matches!(problem.advice(), Advice::FolderGone | Advice::ItemGone) =>
        {
            folder.outbox.push(Event::ScopeGone(folder.scope.clone())).await?;
            Event::Deleted(ItemId::from(id))
        }
        Err(failure) if is_folders_own(&failure) => {
            let error = failure.error(&format!("a folder of {}", context.address));
            offer::unread_folder(context, hierarchy.clone(), id, error).await
        }
        Err(failure) => return Err(failure.error(&context.address)),
    };
    folder.outbox.push(event).await?;
    folder.outbox.flush().await
}

/// True if other folders may fare better.
fn is_folders_own(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(problem) => {
            !matches!(problem.advice(), Advice::NoMailbox | Advice::OtherAccount | Advice::RestAccount)
        }
        Failure::Lost(error) => {
            error.code().is_some_and(|code| code.starts_with("ews-answer-") || code == FOLDER_STUCK)
        }
    }
}

/// The code of a folder whose listing comes to no end.
const FOLDER_STUCK: &str = "ews-folder-stuck";

impl Folder<'_> {
    async fn tell(&mut self) -> Asked<()> {
        let mut place = self.context.place(&self.scope).await?;
        if place.state.is_none() {
            place = self.context.fresh(Event::Begin(self.scope.clone()), &mut self.outbox).await?;
        }
        let (mut most, mut empty, mut refused) = (PAGE_CHANGES_MAX, 0, false);
        loop {
            let page = match self.ask(place.state.as_deref(), most).await {
                Ok(page) => page,
                Err(failure) if failure.advice() == Some(Advice::ListAgain) && !refused => {
                    refused = true;
                    self.context
                        .log(LogLevel::Info, "the server refused a sync state: the folder is listed again");
                    place = self.context.fresh(Event::Begin(self.scope.clone()), &mut self.outbox).await?;
                    continue;
                }
                Err(failure) if failure.advice() == Some(Advice::AskForLess) && most > PAGE_CHANGES_MIN => {
                    most /= 2;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            // A server that gives the same state back has nothing more to say, whatever it says.
            let stuck = page.state.is_none() || page.state == place.state;
            if stuck && !page.last {
                self.context
                    .log(LogLevel::Warning, "the server repeats a folder's sync state; taken for its end");
            }
            // Deletions have been seen cut off at a full page that called itself the last.
            let full = page.rows >= most;
            let last = stuck || (page.last && !full);
            empty = if page.rows == 0 { empty + 1 } else { 0 };
            if empty > EMPTY_PAGES_MAX {
                let text = "the server goes on listing a folder without an end";
                return Err(Error::new(ErrorKind::CorruptItem, text).with_code(FOLDER_STUCK).into());
            }
            self.tell_changes(page.changes, !place.complete).await?;
            if last && !place.complete {
                self.outbox.push(Event::End(self.scope.clone())).await?;
            }
            if let Some(state) = page.state.or_else(|| place.state.clone()) {
                place = Place::at(state, last || place.complete, place.begun);
                self.outbox.push(Event::Settled(self.scope.clone(), place.cursor())).await?;
            }
            self.outbox.flush().await?;
            if last {
                return Ok(());
            }
        }
    }

    async fn ask(&self, state: Option<&str>, most: usize) -> Asked<Page> {
        let message =
            self.context.client.call_one(&requests::sync_folder_items(self.id, state, most)).await?;
        Ok(page(&message.element))
    }

    async fn tell_changes(&mut self, changes: Vec<(String, Change)>, listing: bool) -> Asked<()> {
        let mut queue = VecDeque::new();
        for (id, change) in changes {
            match change {
                Change::There(mail) => queue.push_back(Wanted::new(&id, mail)),
                Change::Gone => self.outbox.push(Event::Deleted(ItemId::from(id))).await?,
                Change::ReadFlag(is_read) => match self.known(&id, listing).await? {
                    Some(item) => {
                        let item = with_read_flag(item, is_read);
                        self.outbox.push(offer::offer_known(self.context, &self.scope, item)).await?;
                    }
                    None => queue.push_back(Wanted::new(&id, true)),
                },
            }
        }
        while !queue.is_empty() {
            let fetched = items::fetch(&self.context.client, &self.context.batch, &mut queue).await?;
            for (id, fetched) in fetched {
                let event = match fetched {
                    Fetched::Row(row) => offer::offer(self.context, &self.scope, self.id, &row).await,
                    Fetched::Gone => Some(Event::Deleted(ItemId::from(id))),
                    Fetched::Unreadable(error) => {
                        Some(offer::unread(self.context, &self.scope, self.id, &id, error).await)
                    }
                };
                if let Some(event) = event {
                    self.outbox.push(event).await?;
                }
            }
        }
        Ok(())
    }

    /// The host's state of an item, if it is the latest there is.
    async fn known(&self, id: &str, listing: bool) -> Result<Option<larder_sdk::Item>> {
        if listing || self.context.offered.has(id) {
            return Ok(None);
        }
        let item = self.context.host.item(&ItemId::from(id)).await?;
        // An item without a tag would have its content fetched again all the same.
        Ok(item.filter(|item| !item.tag.is_empty() && item.parent.as_bytes() == self.id.as_bytes()))
    }
}

/// Reads a page.
pub(super) fn page(message: &Element) -> Page {
    let rows = message.child("Changes").map(|changes| changes.children.as_slice()).unwrap_or_default();
    let mut order: Vec<String> = Vec::with_capacity(rows.len());
    let mut changes: HashMap<String, Change> = HashMap::with_capacity(rows.len());
    for row in rows {
        let Some((id, change)) = change(row) else { continue };
        // A read flag says nothing new of an item that is told of anyway.
        if matches!((&change, changes.get(&id)), (Change::ReadFlag(_), Some(Change::There(_)))) {
            continue;
        }
        if changes.insert(id.clone(), change).is_none() {
            order.push(id);
        }
    }
    let take = |id: String| changes.remove_entry(&id);
    Page {
        state: message.text_of("SyncState").filter(|state| !state.is_empty()).map(str::to_owned),
        last: message.text_of("IncludesLastItemInRange").and_then(boolean).unwrap_or(true),
        rows: rows.len(),
        changes: order.into_iter().filter_map(take).collect(),
    }
}

fn change(row: &Element) -> Option<(String, Change)> {
    let id_of = |element: &Element| element.child("ItemId").and_then(id_of).map(str::to_owned);
    match row.name.as_str() {
        "Create" | "Update" => {
            let item = row.children.first()?;
            Some((id_of(item)?, Change::There(is_mail(&item.name))))
        }
        "Delete" => Some((id_of(row)?, Change::Gone)),
        "ReadFlagChange" => Some((id_of(row)?, Change::ReadFlag(boolean(row.text_of("IsRead")?)?))),
        _ => None,
    }
}

/// Elements of items that have the properties of messages.
fn is_mail(element: &str) -> bool {
    matches!(
        element,
        "Message" | "MeetingMessage" | "MeetingRequest" | "MeetingResponse" | "MeetingCancellation"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    fn read(changes: &str) -> Page {
        page(&tree_of(&format!(
            "<M><SyncState>S\n</SyncState><IncludesLastItemInRange>false</IncludesLastItemInRange><Changes>{changes}</Changes></M>"
        )))
    }

    #[test]
    fn a_page_tells_each_item_once_and_the_last_word_counts() {
        let page = read(
            "<Create><Message><ItemId Id=\"a\"/></Message></Create><Create><Task><ItemId Id=\"b\"/></Task></Create>\
             <Create><Message><ItemId Id=\"a\"/></Message></Create><ReadFlagChange><ItemId Id=\"a\"/><IsRead>true</IsRead></ReadFlagChange>\
             <ReadFlagChange><ItemId Id=\"c\"/><IsRead>0</IsRead></ReadFlagChange><Delete><ItemId Id=\"b\"/></Delete>\
             <NewWord><ItemId Id=\"d\"/></NewWord><Update><Message/></Update>",
        );
        assert_eq!((page.state.as_deref(), page.last, page.rows), (Some("S"), false, 8));
        let changes: Vec<_> = page.changes.iter().map(|(id, change)| (id.as_str(), change)).collect();
        assert_eq!(
            changes,
            [("a", &Change::There(true)), ("b", &Change::Gone), ("c", &Change::ReadFlag(false))]
        );
    }

    #[test]
    fn an_empty_state_is_none() {
        let page = page(&tree_of("<M><SyncState/></M>"));
        assert!(page.state.is_none() && page.last && page.changes.is_empty());
    }
}
