//! What an earlier run could not read: looked at again before anything else.

use larder_sdk::{Error, ErrorKind, Event, ItemId, Owed, Result, Unread};

use super::{
    items::{self, Row},
    paths,
    rows::{found, one_row},
    site,
    walk::{Walk, ends_all},
    web::Form,
};
use crate::feed::Sink;

/// Debts asked of the host at once.
const PAGE: usize = 256;

impl Walk {
    /// Offers again what an earlier run could not read.
    pub(super) async fn owed(&mut self, sink: &mut Sink) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.reading.host.owed(after.take(), PAGE).await?;
            for debt in &page {
                for event in self.owed_events(debt).await? {
                    sink.push(event).await?;
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
            after = page.last().map(|debt| debt.id.clone());
        }
    }

    async fn owed_events(&mut self, debt: &Owed) -> Result<Vec<Event>> {
        if debt.scope == site::scope() {
            self.site_owed = true;
            return Ok(Vec::new());
        }
        self.reading.note_owed(&debt.id);
        let listed = self.lists.iter().find(|list| list.scope() == debt.scope).cloned();
        if listed.as_ref().is_some_and(|list| list.item_id() == debt.id) {
            // It is offered anyway, and then with its documents read anew.
            self.lists_owed.insert(debt.id.clone());
            return Ok(Vec::new());
        }
        let row = match (items::list_item_number(&debt.id), &listed) {
            (Some(number), Some(list)) => one_row(&self.reading.web, list, number, &self.texts).await,
            (Some(_), None) => Ok(None),
            (None, _) => self.row_by_id(&debt.id).await,
        };
        let events = match row {
            Ok(Some(row)) => self.row_events(row).await,
            Ok(None) => Ok(vec![Event::Deleted(debt.id.clone())]),
            Err(error) => Err(error),
        };
        match events {
            Ok(events) => Ok(events),
            Err(error) if ends_all(&error) => Err(error),
            Err(error) => Ok(vec![Event::Unread(Unread {
                scope: debt.scope.clone(),
                id: debt.id.clone(),
                parent: debt.parent.clone(),
                name: debt.name.clone(),
                error,
            })]),
        }
    }

    /// The row of a file or folder that is known by its GUID alone, wherever it is now.
    pub(super) async fn row_by_id(&self, id: &ItemId) -> Result<Option<Row>> {
        let Some(guid) = paths::guid(&id.display()) else { return Ok(None) };
        for kind in ["File", "Folder"] {
            let library = self.lists.iter().find(|list| list.library);
            let query = library.filter(|_| kind == "File").map_or_else(
                || {
                    "$select=*,FileRef,FileLeafRef,FileDirRef,FSObjType,UniqueId,HasUniqueRoleAssignments"
                        .to_owned()
                },
                |list| items::query(list, false),
            );
            let tail = format!("web/Get{kind}ById('{guid}')/ListItemAllFields?{query}");
            if let Some(row) = found(self.reading.web.get(&tail, Form::Minimal).await)? {
                return Row::new(row).map(Some);
            }
        }
        Ok(None)
    }

    /// The events of a row whose list is known by its path.
    async fn row_events(&mut self, row: Row) -> Result<Vec<Event>> {
        let list = self
            .lists
            .iter()
            .filter(|list| list.holds(row.path()))
            .max_by_key(|list| list.root.len())
            .cloned()
            .ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("{} is in no list that is read", row.path()))
            })?;
        let extras = self.reading.extras(&list, &row, true).await?;
        let parent = self.parents.of(&self.reading.web, &list, &row).await?;
        Ok(row.events(&list, parent, extras))
    }
}
