//! A page of a folder's changes, as the server gives it.

use std::collections::HashMap;

use super::{item::id_of, properties::boolean, xml::Element};

/// What a page says of one item; the last word counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// New or changed; true if it is mail.
    There(bool),
    Gone,
    ReadFlag(bool),
}

/// A page of a folder's changes; `Id` is what it names items by.
#[derive(Debug)]
pub(super) struct Page<Id> {
    pub(super) state: Option<String>,
    pub(super) last: bool,
    /// Changes in the order told, each item once.
    pub(super) changes: Vec<(Id, Change)>,
    /// Rows, duplicates included.
    pub(super) rows: usize,
}

/// Reads a page.
pub(super) fn page(message: &Element) -> Page<String> {
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
pub(super) fn is_mail(element: &str) -> bool {
    matches!(
        element,
        "Message" | "MeetingMessage" | "MeetingRequest" | "MeetingResponse" | "MeetingCancellation"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    fn read(changes: &str) -> Page<String> {
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
