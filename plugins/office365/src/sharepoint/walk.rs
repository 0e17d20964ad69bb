//! Reading one web: first what is owed, then, list by list, what changed or everything.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::pin,
    time::{SystemTime, UNIX_EPOCH},
};

use futures::{Stream, StreamExt as _, stream};
use larder_sdk::{Error, ErrorKind, Event, ItemId, Name, Owed, ReaderHost, Result, Unread};
use serde_json::Value as Json;

use super::{
    changes::{self, Position, Since, Touched},
    items::{self, PAGE_ROWS, Row},
    json,
    lists::{self, List},
    paths,
    web::{Form, Pages, Web},
};
use crate::feed::Sink;

/// Items asked for at the same time when each is asked for by itself.
const TOGETHER: usize = 4;
/// Debts asked of the host at once.
const OWED_PAGE: usize = 256;
/// Most rows of one list; the service's own limit is 30 million.
const ROWS_MAX: usize = 60_000_000;
/// Folders remembered by path; beyond that all are forgotten, which costs a request each.
const FOLDERS_MAX: usize = 50_000;

/// The walk through one web.
pub(super) struct Walk {
    web: Web,
    host: ReaderHost,
    lists: Vec<List>,
    /// GUIDs of folders by folded path.
    folders: HashMap<String, ItemId>,
    now: i64,
}

/// What the log said of one list, kept until all lists have been looked at.
struct Log<'a> {
    list: &'a List,
    touched: BTreeMap<i64, Touched>,
    position: Position,
}

impl Walk {
    /// A walk that begins.
    pub(super) fn new(web: Web, host: ReaderHost) -> Self {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        Self { web, host, lists: Vec::new(), folders: HashMap::new(), now }
    }

    /// Walks the whole web.
    pub(super) async fn run(mut self, sink: &mut Sink) -> Result<()> {
        self.lists = lists::lists(&self.web).await?;
        self.owed(sink).await?;
        self.gone_lists(sink).await?;
        let lists = std::mem::take(&mut self.lists);
        let mut logs = Vec::new();
        for list in &lists {
            match self.begin(list, sink).await {
                Ok(Some(log)) => logs.push(log),
                Ok(None) => {}
                Err(error) => unread_list(list, error, sink).await?,
            }
            sink.flush().await?;
        }
        self.changed(&logs, sink).await
    }

    /// Offers again what an earlier run could not read.
    async fn owed(&mut self, sink: &mut Sink) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.host.owed(after.take(), OWED_PAGE).await?;
            for debt in &page {
                let event = self.owed_event(debt).await?;
                if let Some(event) = event {
                    sink.push(event).await?;
                }
            }
            if page.len() < OWED_PAGE {
                return Ok(());
            }
            after = page.last().map(|debt| debt.id.clone());
        }
    }

    async fn owed_event(&mut self, debt: &Owed) -> Result<Option<Event>> {
        let listed = self.lists.iter().find(|list| list.scope() == debt.scope).cloned();
        if listed.as_ref().is_some_and(|list| list.item_id() == debt.id) {
            // A list that could not be read is walked again anyway.
            return Ok(None);
        }
        let row = match (items::list_item_number(&debt.id), &listed) {
            (Some(number), Some(list)) => self.row(list, number).await,
            (Some(_), None) => Ok(None),
            (None, _) => self.row_by_id(&debt.id).await,
        };
        let event = match row {
            Ok(Some(row)) => self.row_event(row).await,
            Ok(None) => Ok(Event::Deleted(debt.id.clone())),
            Err(error) => Err(error),
        };
        match event {
            Ok(event) => Ok(Some(event)),
            Err(error) if ends_all(&error) => Err(error),
            Err(error) => Ok(Some(Event::Unread(Unread {
                scope: debt.scope.clone(),
                id: debt.id.clone(),
                parent: debt.parent.clone(),
                name: debt.name.clone(),
                error,
            }))),
        }
    }

    /// Says which lists are gone for good: no longer listed, and not found when asked for by themselves.
    async fn gone_lists(&mut self, sink: &mut Sink) -> Result<()> {
        for scope in self.host.scopes().await? {
            if self.lists.iter().any(|list| list.scope() == scope) {
                continue;
            }
            let Some(id) = paths::guid(&scope.display()) else { continue };
            match self.web.get(&format!("web/lists(guid'{id}')?$select=Id"), Form::Bare).await {
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
        let position = self.host.cursor(&list.scope()).await?.and_then(|cursor| Position::read(&cursor));
        let here = Position { token: list.token.clone(), at: self.now };
        if let Some(position) = position.filter(|position| position.is_fresh(&list.token, self.now)) {
            if position.is_current(&list.token) {
                return Ok(Some(Log { list, touched: BTreeMap::new(), position: here }));
            }
            if let Since::Changes { touched, token } =
                changes::since(&self.web, list, &position.token).await?
            {
                // Without entries the token from before the question is the newest that is known to be covered.
                let token = if touched.is_empty() { list.token.clone() } else { token };
                return Ok(Some(Log { list, touched, position: Position { token, at: self.now } }));
            }
        }
        self.whole(list, here, sink).await?;
        Ok(None)
    }

    /// Lists everything in a list.
    async fn whole(&mut self, list: &List, here: Position, sink: &mut Sink) -> Result<()> {
        sink.push(Event::Begin(list.scope())).await?;
        sink.push(offer_list(list)).await?;
        let tail =
            format!("web/lists(guid'{}')/items?{}&$orderby=ID&$top={PAGE_ROWS}", list.id, items::query(list));
        let mut next = Some(self.web.api(&tail)?);
        let mut pages = Pages::at_most(ROWS_MAX);
        while let Some(url) = next {
            let (rows, following) = self.web.page(url, Form::Minimal).await?;
            let listed = pages.add(rows.len(), &list.title)?;
            self.host.progress(&format!("{}: {listed} items listed", list.title));
            self.remember_folders(&rows);
            for row in rows {
                if let Some(event) = self.listed_event(list, row).await? {
                    sink.push(event).await?;
                }
            }
            sink.flush().await?;
            next = following;
        }
        sink.push(Event::End(list.scope())).await?;
        sink.push(Event::Settled(list.scope(), here.cursor())).await
    }

    async fn listed_event(&mut self, list: &List, row: Json) -> Result<Option<Event>> {
        let row = Row::new(row)?;
        match self.parent(list, &row).await {
            Ok(parent) => Ok(Some(row.event(list, parent))),
            // The folder went while the list was read, and this with it: the next run's log tells where to.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads what changed in all lists, then says what is gone. In this order, so that what only moved, from list to list or out of a
    /// folder that was deleted, is known as the same item before its old place goes.
    async fn changed(&mut self, logs: &[Log<'_>], sink: &mut Sink) -> Result<()> {
        let mut offered = BTreeSet::new();
        let mut gone = Vec::new();
        for log in logs {
            sink.push(offer_list(log.list)).await?;
            let list = log.list;
            let there =
                log.touched.iter().filter(|(_, touched)| touched.there).map(|(number, _)| *number).collect();
            let mut rows = pin!(rows_of(self.web.clone(), list.clone(), there));
            while let Some((number, row)) = rows.next().await {
                let Some(touched) = log.touched.get(&number) else { continue };
                match self.changed_event(list, number, touched, row).await? {
                    Some(event) => {
                        if let Event::Offer(offer) = &event {
                            offered.insert(offer.item.id.clone());
                        }
                        sink.push(event).await?;
                    }
                    None => gone.extend(ids(list, number, touched)),
                }
            }
            for (number, touched) in log.touched.iter().filter(|(_, touched)| !touched.there) {
                gone.extend(ids(list, *number, touched));
            }
            sink.flush().await?;
        }
        for id in gone.into_iter().filter(|id| !offered.contains(id)) {
            sink.push(Event::Deleted(id)).await?;
        }
        for log in logs {
            sink.push(Event::Settled(log.list.scope(), log.position.cursor())).await?;
        }
        Ok(())
    }

    /// What is said of an item that the log names; `None` if it is gone.
    async fn changed_event(
        &mut self,
        list: &List,
        number: i64,
        touched: &Touched,
        row: Result<Option<Row>>,
    ) -> Result<Option<Event>> {
        let made = match row {
            Ok(Some(row)) => match self.parent(list, &row).await {
                Ok(parent) => Ok(row.event(list, parent)),
                Err(error) => Err(error),
            },
            Ok(None) => return Ok(None),
            Err(error) => Err(error),
        };
        match made {
            Ok(event) => Ok(Some(event)),
            Err(error) if ends_all(&error) => Err(error),
            Err(error) => Ok(ids(list, number, touched).into_iter().next().map(|id| {
                let name = Name::from(number.to_string());
                Event::Unread(Unread { scope: list.scope(), id, parent: list.item_id(), name, error })
            })),
        }
    }

    async fn row(&self, list: &List, number: i64) -> Result<Option<Row>> {
        one_row(&self.web, list, number).await
    }

    /// The row of a file or folder that is known by its GUID alone, wherever it is now.
    async fn row_by_id(&self, id: &ItemId) -> Result<Option<Row>> {
        let Some(guid) = paths::guid(&id.display()) else { return Ok(None) };
        for kind in ["File", "Folder"] {
            let library = self.lists.iter().find(|list| list.library);
            let query = library.filter(|_| kind == "File").map_or_else(
                || "$select=*,FileRef,FileLeafRef,FileDirRef,FSObjType,UniqueId".to_owned(),
                items::query,
            );
            let tail = format!("web/Get{kind}ById('{guid}')/ListItemAllFields?{query}");
            if let Some(row) = found(self.web.get(&tail, Form::Minimal).await)? {
                return Row::new(row).map(Some);
            }
        }
        Ok(None)
    }

    /// The event of a row whose list is known by its path.
    async fn row_event(&mut self, row: Row) -> Result<Event> {
        let list = self
            .lists
            .iter()
            .filter(|list| list.holds(row.path()))
            .max_by_key(|list| list.root.len())
            .cloned()
            .ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("{} is in no list that is read", row.path()))
            })?;
        let parent = self.parent(&list, &row).await?;
        Ok(row.event(&list, parent))
    }

    /// The id of the folder that holds a row: the list's own at its root.
    async fn parent(&mut self, list: &List, row: &Row) -> Result<ItemId> {
        let path = row.folder_path();
        let folded = paths::folded(path);
        if folded.is_empty() || folded == paths::folded(&list.root) {
            return Ok(list.item_id());
        }
        if let Some(id) = self.folders.get(&folded) {
            return Ok(id.clone());
        }
        // Ids do not order folders before what was moved into them; so some are asked for.
        let answer = self
            .web
            .get(&format!("{}&$select=UniqueId", paths::folder_by_path(path, "")), Form::Bare)
            .await?;
        let id = paths::guid(json::text(&answer, "UniqueId"))
            .map(ItemId::from)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{path}: the folder has no id")))?;
        self.remember(folded, id.clone());
        Ok(id)
    }

    fn remember_folders(&mut self, rows: &[Json]) {
        for row in rows {
            let is_folder = json::number(row, "FSObjType") == Some(1);
            if let Some(id) = is_folder.then(|| paths::guid(json::text(row, "UniqueId"))).flatten() {
                self.remember(paths::folded(json::text(row, "FileRef")), ItemId::from(id));
            }
        }
    }

    fn remember(&mut self, folded: String, id: ItemId) {
        if self.folders.len() >= FOLDERS_MAX {
            self.folders.clear();
        }
        self.folders.insert(folded, id);
    }
}

/// The items of these numbers, in their order, a few asked for at the same time.
fn rows_of(web: Web, list: List, numbers: Vec<i64>) -> impl Stream<Item = (i64, Result<Option<Row>>)> + Send {
    let asked = stream::iter(numbers).map(move |number| {
        let (web, list) = (web.clone(), list.clone());
        async move { (number, one_row(&web, &list, number).await) }
    });
    asked.buffered(TOGETHER)
}

/// One item of a list; `None` if it is not there.
async fn one_row(web: &Web, list: &List, number: i64) -> Result<Option<Row>> {
    let tail = format!("web/lists(guid'{}')/items({number})?{}", list.id, items::query(list));
    found(web.get(&tail, Form::Minimal).await)?.map(Row::new).transpose()
}

/// Turns "not found" into `None`.
fn found(answer: Result<Json>) -> Result<Option<Json>> {
    match answer {
        Ok(json) if json.get("odata.null").is_some() => Ok(None),
        Ok(json) => Ok(Some(json)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ids an item of the log may have: which of them it is cannot be told once it is gone, and unknown ids do no harm.
fn ids(list: &List, number: i64, touched: &Touched) -> Vec<ItemId> {
    let unique_id = touched.unique_id.clone().map(ItemId::from);
    let own = (!list.library).then(|| items::list_item_id(&list.id, number));
    own.into_iter().chain(unique_id).collect()
}

pub(super) fn offer_list(list: &List) -> Event {
    Event::Offer(larder_sdk::Offer { scope: list.scope(), item: list.item(), carry: None })
}

/// A list that cannot be read is owed; the others go on.
async fn unread_list(list: &List, error: Error, sink: &mut Sink) -> Result<()> {
    if ends_all(&error) {
        return Err(error);
    }
    let name = Name::from(paths::leaf(&list.root));
    let unread = Unread { scope: list.scope(), id: list.item_id(), parent: ItemId::default(), name, error };
    sink.push(Event::Unread(unread)).await
}

/// True if an error concerns more than the thing that was asked for.
fn ends_all(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Authentication | ErrorKind::Cancelled | ErrorKind::Bug | ErrorKind::RetryAfter
    )
}
