//! A folder's items: listed from nothing once, from then on by their changes. Each page's sync state is settled when
//! everything on the page has been told.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use larder_sdk::{Error, ErrorKind, Event, ItemId, LogLevel, Result, ScopeId};
use tokio::sync::mpsc;

use super::{
    client::{Asked, Failure},
    context::Context,
    cursor::Place,
    faults::Advice,
    ids::Ids,
    item::with_read_flag,
    items::{self, Fetched, Wanted},
    offer::{self, At},
    outbox::{Outbox, Said},
    page::{Change, Page, page},
    requests::{self, PAGE_CHANGES_MAX},
};

/// Pages without a change, one after another, that are taken for a server that will never come to an end.
const EMPTY_PAGES_MAX: u32 = 64;
/// Smallest page asked for when larger ones take the server too long.
const PAGE_CHANGES_MIN: usize = 16;
/// Rows of a mailbox's changes that are held while all folders are asked what has left them. About 400 bytes each.
const ROWS_AHEAD_MAX: usize = 20_000;

/// One folder being read.
struct Folder<'run> {
    context: &'run Context,
    id: &'run str,
    scope: ScopeId,
    ahead: Ahead,
    outbox: Outbox,
}

/// Tells the changes of a folder. `hierarchy` is the scope the folder itself is in. A folder that cannot be listed is told
/// as unread; an error concerns the whole mailbox.
pub(super) async fn tell(
    context: &Context,
    id: &str,
    ahead: Ahead,
    hierarchy: &ScopeId,
    way: &mpsc::Sender<Said>,
) -> Result<()> {
    let mut folder = Folder { context, id, scope: ScopeId::from(id), ahead, outbox: Outbox::new(way) };
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
pub(super) fn is_folders_own(failure: &Failure) -> bool {
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
            self.ahead.clear();
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

    /// The next page: the one that was asked for ahead, or a fresh one.
    async fn ask(&mut self, state: Option<&str>, most: usize) -> Asked<Page<Ids>> {
        match self.ahead.pop_front() {
            Some(page) => page,
            None => ask(self.context, self.id, state, most).await,
        }
    }

    async fn tell_changes(&mut self, changes: Vec<(Ids, Change)>, listing: bool) -> Asked<()> {
        let mut queue = VecDeque::new();
        for (ids, change) in changes {
            match change {
                Change::There(mail) => queue.push_back(Wanted::new(ids, mail)),
                Change::Gone => self.outbox.push(Event::Deleted(ids.kept)).await?,
                Change::ReadFlag(is_read) => match self.known(&ids.kept, listing).await? {
                    Some(item) => {
                        let item = with_read_flag(item, is_read);
                        let event = offer::offer_known(self.at(), ids.wire, item);
                        self.outbox.push(event).await?;
                    }
                    None => queue.push_back(Wanted::new(ids, true)),
                },
            }
        }
        let at =
            At { context: self.context, client: &self.context.client, scope: &self.scope, folder: self.id };
        tell_items(at, queue, &mut self.outbox).await
    }

    fn at(&self) -> At<'_> {
        At { context: self.context, client: &self.context.client, scope: &self.scope, folder: self.id }
    }

    /// The host's state of an item, if it is the latest there is.
    async fn known(&self, id: &ItemId, listing: bool) -> Result<Option<larder_sdk::Item>> {
        if listing || self.context.offered.has(id) {
            return Ok(None);
        }
        let item = self.context.host.item(id).await?;
        // An item without a tag would have its content fetched again all the same.
        Ok(item.filter(|item| !item.tag.is_empty() && item.parent.as_bytes() == self.id.as_bytes()))
    }
}

/// Asks for items of a folder and offers them, or tells what else became of them.
pub(super) async fn tell_items(at: At<'_>, mut queue: VecDeque<Wanted>, outbox: &mut Outbox) -> Asked<()> {
    while !queue.is_empty() {
        for (ids, fetched) in items::fetch(at.client, &at.context.batch, &mut queue).await? {
            let event = match fetched {
                Fetched::Row(row) => {
                    offer::offer(at, (ids, &row), outbox).await?;
                    continue;
                }
                Fetched::Gone => Event::Deleted(ids.kept),
                Fetched::Unreadable(error) => offer::unread(at, ids.kept, error).await,
            };
            outbox.push(event).await?;
        }
    }
    Ok(())
}

/// A page of a folder's changes, with both ids of each item.
async fn ask(context: &Context, folder: &str, state: Option<&str>, most: usize) -> Asked<Page<Ids>> {
    let message = context.client.call_one(&requests::sync_folder_items(folder, state, most)).await?;
    let Page { state, last, changes, rows } = page(&message.element);
    let (wire, changes): (Vec<String>, Vec<Change>) = changes.into_iter().unzip();
    let ids = context.ids.of_wire(&context.client, &context.address, wire).await?;
    Ok(Page { state, last, changes: ids.into_iter().zip(changes).collect(), rows })
}

/// A folder's pages that were asked for ahead, in order; the last may be what came instead of one.
pub(super) type Ahead = VecDeque<Asked<Page<Ids>>>;

/// Asks for a folder's changes before any folder's are told, and notes which items have left it. Nothing is asked of a folder that
/// has not been listed to its end, nor once [`ROWS_AHEAD_MAX`] rows are held.
pub(super) async fn look_ahead(context: &Context, id: &str, held: &AtomicUsize) -> Result<Ahead> {
    let mut ahead = Ahead::new();
    let place = context.place(&ScopeId::from(id)).await?;
    let mut state = place.state.filter(|_| place.complete);
    while let Some(at) = state {
        if held.load(Ordering::Relaxed) >= ROWS_AHEAD_MAX {
            break;
        }
        let page = match ask(context, id, Some(&at), PAGE_CHANGES_MAX).await {
            Ok(page) => page,
            Err(failure) => {
                ahead.push_back(Err(failure));
                break;
            }
        };
        held.fetch_add(page.rows, Ordering::Relaxed);
        for (ids, _) in page.changes.iter().filter(|(_, change)| *change == Change::Gone) {
            let item = context.host.item(&ids.kept).await?;
            if let Some(item) = item.filter(|item| item.parent.as_bytes() == id.as_bytes()) {
                context.departed.note(&item);
            }
        }
        let more = page.rows > 0 && (!page.last || page.rows >= PAGE_CHANGES_MAX);
        state = page.state.clone().filter(|state| more && *state != at);
        ahead.push_back(Ok(page));
    }
    Ok(ahead)
}
