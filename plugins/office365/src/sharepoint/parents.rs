//! Which folder an item is in: paths tell, ids are kept.

use std::collections::HashMap;

use larder_sdk::{Error, ErrorKind, ItemId, Result};
use serde_json::Value as Json;

use super::{
    items::Row,
    json,
    lists::List,
    paths,
    web::{Form, Web},
};

/// Folders remembered by path; beyond that all are forgotten, which costs a request each.
const FOLDERS_MAX: usize = 50_000;

/// Ids of folders by folded path.
#[derive(Default)]
pub(super) struct Parents(HashMap<String, ItemId>);

impl Parents {
    /// The id of the folder that holds a row: the list's own at its root.
    pub(super) async fn of(&mut self, web: &Web, list: &List, row: &Row) -> Result<ItemId> {
        let path = row.folder_path();
        let folded = paths::folded(path);
        if folded.is_empty() || folded == paths::folded(&list.root) {
            return Ok(list.item_id());
        }
        if let Some(id) = self.0.get(&folded) {
            return Ok(id.clone());
        }
        // Ids do not order folders before what was moved into them; so some are asked for.
        let answer =
            web.get(&format!("{}&$select=UniqueId", paths::folder_by_path(path, "")), Form::Bare).await?;
        let id = paths::guid(json::text(&answer, "UniqueId"))
            .map(ItemId::from)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{path}: the folder has no id")))?;
        self.remember(folded, id.clone());
        Ok(id)
    }

    /// Takes in the folders of a page.
    pub(super) fn learn(&mut self, rows: &[Json]) {
        for row in rows {
            let is_folder = json::number(row, "FSObjType") == Some(1);
            if let Some(id) = is_folder.then(|| paths::guid(json::text(row, "UniqueId"))).flatten() {
                self.remember(paths::folded(json::text(row, "FileRef")), ItemId::from(id));
            }
        }
    }

    fn remember(&mut self, folded: String, id: ItemId) {
        if self.0.len() >= FOLDERS_MAX {
            self.0.clear();
        }
        self.0.insert(folded, id);
    }
}
