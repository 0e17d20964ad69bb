//! Reading one web: first what is owed, then, list by list, what changed or everything.

use std::{
    collections::BTreeSet,
    pin::pin,
    time::{SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use larder_sdk::{Error, ErrorKind, Event, ItemId, Name, Result, Unread};

use super::{
    changes::{self, Position, Since, Touched},
    items::{self, Extras, Row},
    lists::{self, List},
    parents::Parents,
    paths,
    reading::{Reading, unread_list},
    rows::{self, Texts},
    site,
    web::{Form, Pages},
};
use crate::feed::Sink;

/// Most rows of one list; the service's own limit is 30 million.
const ROWS_MAX: usize = 60_000_000;
/// How long a list or site goes by its log alone: then everything is listed once more, of which no unchanged content is read.
pub(super) const LISTED_AGE_MAX_SECONDS: i64 = 30 * 24 * 3600;

/// The walk through one web.
pub(super) struct Walk {
    pub(super) reading: Reading,
    pub(super) lists: Vec<List>,
    pub(super) parents: Parents,
    pub(super) texts: Texts,
    /// True if something of the site itself is owed.
    pub(super) site_owed: bool,
    /// Lists of which something is owed.
    pub(super) lists_owed: BTreeSet<ItemId>,
    /// True if a list was listed as a whole.
    listed: bool,
    now: i64,
}

/// What the log said of one list, kept until all lists have been looked at.
struct Log<'a> {
    list: &'a List,
    since: Since,
    position: Position,
}

impl Walk {
    /// A walk that begins.
    pub(super) fn new(reading: Reading) -> Self {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        Self {
            reading,
            lists: Vec::new(),
            parents: Parents::default(),
            texts: Texts::default(),
            site_owed: false,
            lists_owed: BTreeSet::new(),
            listed: false,
            now,
        }
    }

    /// Walks the whole web.
    pub(super) async fn run(mut self, sink: &mut Sink) -> Result<()> {
        self.lists = lists::lists(&self.reading.web).await?;
        self.owed(sink).await?;
        self.gone_lists(sink).await?;
        site::walk(&self.reading, self.site_owed, self.now, sink).await?;
        let lists = std::mem::take(&mut self.lists);
        let mut logs = Vec::new();
        for list in &lists {
            match self.begin(list, sink).await {
                Ok(Some(log)) => logs.push(log),
                Ok(None) => {}
                Err(error) if ends_all(&error) => return Err(error),
                // The others go on.
                Err(error) => sink.push(unread_list(list, error)).await?,
            }
            sink.flush().await?;
        }
        self.changed(&logs, sink).await
    }

    /// Says which lists are gone for good: no longer listed, and not found when asked for by themselves.
    async fn gone_lists(&mut self, sink: &mut Sink) -> Result<()> {
        for scope in self.reading.host.scopes().await? {
            if self.lists.iter().any(|list| list.scope() == scope) {
                continue;
            }
            let Some(id) = paths::guid(&scope.display()) else { continue };
            match self.reading.web.get(&format!("web/lists(guid'{id}')?$select=Id"), Form::Bare).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    sink.push(Event::ScopeGone(scope)).await?;
                }
                Err(error) if ends_all(&error) => return Err(error),
                // Still there, but no longer shown or selected: its last state is kept.
                _ => {}
            }
        }
        Ok(())
    }

    /// Begins with a list: its log if that tells enough, else everything in it at once.
    async fn begin<'a>(&mut self, list: &'a List, sink: &mut Sink) -> Result<Option<Log<'a>>> {
        let cursor = self.reading.host.cursor(&list.scope()).await?;
        let before = cursor.and_then(|cursor| Position::read(&cursor));
        let profile = self.reading.profile();
        let here = Position { profile, count: list.count, ..Position::new(&list.token, self.now) };
        let anew = before.as_ref().is_some_and(|before| before.profile != here.profile);
        if let Some(before) = before.filter(|before| !anew && self.is_fresh(list, before))
            && let Some(log) = self.log(list, &before, &here).await?
        {
            return Ok(Some(log));
        }
        self.whole(list, here, anew, sink).await?;
        Ok(None)
    }

    /// True if a list's log can tell what happened since a position, and has not been gone by for too long.
    fn is_fresh(&self, list: &List, before: &Position) -> bool {
        // Not all lists on the same day.
        let early = list.id.bytes().map(i64::from).sum::<i64>() % 7 * 24 * 3600;
        before.is_fresh(&list.token, self.now)
            && self.now.saturating_sub(before.listed_at) < LISTED_AGE_MAX_SECONDS - early
    }

    /// What the log tells since a position; `None` if it cannot tell, or if the list has not as many items as it would have then.
    async fn log<'a>(&self, list: &'a List, before: &Position, here: &Position) -> Result<Option<Log<'a>>> {
        let since = if before.is_current(&list.token) {
            Some(Since { token: list.token.clone(), ..Since::default() })
        } else {
            changes::since(&self.reading.web, list, &before.token).await?
        };
        let Some(since) = since else { return Ok(None) };
        let counted = before.count.zip(list.count);
        if let Some((before, now)) = counted
            && before + since.grown() != now
            && !self.lost_folder(&since).await?
        {
            return Ok(None);
        }
        // Without entries the token from before the question is the newest that is known to be covered.
        let nothing = since.touched.is_empty() && !since.list;
        let position = Position {
            token: if nothing { list.token.clone() } else { since.token.clone() },
            listed_at: before.listed_at,
            count: list.count.map(|count| count + since.grown_late()),
            ..here.clone()
        };
        Ok(Some(Log { list, since, position }))
    }

    /// True if a folder may be among what is gone: the log names it alone, and the count falls by all that was in it.
    async fn lost_folder(&self, since: &Since) -> Result<bool> {
        for gone in since.touched.values().filter(|touched| !touched.there) {
            let Some(id) = gone.unique_id.clone().map(ItemId::from) else { return Ok(true) };
            if self.reading.host.item(&id).await?.is_some_and(|item| item.folder) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lists everything in a list; if `anew`, with all that belongs to its items.
    async fn whole(&mut self, list: &List, here: Position, anew: bool, sink: &mut Sink) -> Result<()> {
        self.listed = true;
        sink.push(Event::Begin(list.scope())).await?;
        for event in self.reading.list_events(list, true).await? {
            sink.push(event).await?;
        }
        let mut pages = Pages::at_most(ROWS_MAX);
        let mut page = rows::first_page(&self.reading.web, list, &self.texts).await?;
        loop {
            let (found, following) = page;
            let listed = pages.add(found.len(), &list.title)?;
            self.reading.host.progress(&format!("{}: {listed} items listed", list.title));
            self.parents.learn(&found);
            let found = found.into_iter().map(Row::new).collect::<Result<Vec<_>>>()?;
            let mut found = pin!(rows::with_extras(self.reading.clone(), list.clone(), found, anew));
            while let Some(row) = found.next().await {
                let (row, extras) = row?;
                for event in self.listed_events(list, row, extras).await? {
                    sink.push(event).await?;
                }
            }
            sink.flush().await?;
            let Some(url) = following else { break };
            page = self.reading.web.page(url, Form::Minimal).await?;
        }
        sink.push(Event::End(list.scope())).await?;
        sink.push(Event::Settled(list.scope(), here.cursor())).await
    }

    async fn listed_events(&mut self, list: &List, row: Row, extras: Extras) -> Result<Vec<Event>> {
        match self.parents.of(&self.reading.web, list, &row).await {
            Ok(parent) => Ok(row.events(list, parent, extras)),
            // The folder went while the list was read, and this with it: the next run's log tells where to.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Reads what changed in all lists, then says what is gone. In this order, so that what only moved, from list to list or out of a
    /// folder that was deleted, is known as the same item before its old place goes.
    async fn changed(&mut self, logs: &[Log<'_>], sink: &mut Sink) -> Result<()> {
        let mut offered = BTreeSet::new();
        let mut gone = Vec::new();
        for log in logs {
            let list = log.list;
            let touched = log.since.list || self.lists_owed.contains(&list.item_id());
            for event in self.reading.list_events(list, touched).await? {
                sink.push(event).await?;
            }
            let all = &log.since.touched;
            let there = all.iter().filter(|(_, touched)| touched.there).map(|(number, _)| *number).collect();
            let asked = rows::rows_of(self.reading.clone(), list.clone(), self.texts.clone(), there);
            let mut asked = pin!(asked);
            while let Some((number, row)) = asked.next().await {
                let Some(touched) = all.get(&number) else { continue };
                match self.changed_events(list, number, touched, row).await? {
                    Some(events) => {
                        for event in events {
                            if let Event::Offer(offer) = &event {
                                offered.insert(offer.item.id.clone());
                            }
                            sink.push(event).await?;
                        }
                    }
                    None => gone.extend(ids(list, number, touched)),
                }
            }
            for (number, touched) in all.iter().filter(|(_, touched)| !touched.there) {
                gone.extend(ids(list, *number, touched));
            }
            sink.flush().await?;
        }
        for id in gone.into_iter().filter(|id| !offered.contains(id)) {
            // It may have moved into a list that was listed as a whole.
            if !self.listed || self.row_by_id(&id).await?.is_none() {
                sink.push(Event::Deleted(id)).await?;
            }
        }
        for log in logs {
            sink.push(Event::Settled(log.list.scope(), log.position.cursor())).await?;
        }
        Ok(())
    }

    /// What is said of an item that the log names; `None` if it is gone.
    async fn changed_events(
        &mut self,
        list: &List,
        number: i64,
        touched: &Touched,
        row: Result<Option<(Row, Extras)>>,
    ) -> Result<Option<Vec<Event>>> {
        let made = match row {
            Ok(Some((row, extras))) => match self.parents.of(&self.reading.web, list, &row).await {
                Ok(parent) => Ok(row.events(list, parent, extras)),
                Err(error) => Err(error),
            },
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        match made {
            Ok(events) => Ok(Some(events)),
            Err(error) if ends_all(&error) => Err(error),
            Err(error) => Ok(ids(list, number, touched).into_iter().next().map(|id| {
                let name = Name::from(number.to_string());
                vec![Event::Unread(Unread { scope: list.scope(), id, parent: list.item_id(), name, error })]
            })),
        }
    }
}

/// The ids an item of the log may have: which of them it is cannot be told once it is gone, and unknown ids do no harm.
fn ids(list: &List, number: i64, touched: &Touched) -> Vec<ItemId> {
    let unique_id = touched.unique_id.clone().map(ItemId::from);
    let own = (!list.library).then(|| items::list_item_id(&list.id, number));
    own.into_iter().chain(unique_id).collect()
}

/// True if an error concerns more than the thing that was asked for.
pub(super) fn ends_all(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Authentication | ErrorKind::Cancelled | ErrorKind::Bug | ErrorKind::RetryAfter
    )
}
