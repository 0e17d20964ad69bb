//! A list's change log: which items were touched since a token, each once.

use std::collections::BTreeMap;

use larder_sdk::{Cursor, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::{
    json,
    lists::List,
    paths,
    web::{Form, Web},
};

/// Entries per answer; the service's own limit.
const PAGE_ENTRIES: usize = 1000;
/// More changed items than this in one list, and listing it anew is cheaper and holds less in memory.
const TOUCHED_MAX: usize = 200_000;
/// Most pages of one list's log: a log that goes round in circles would be read for ever.
const PAGES_MAX: usize = 5000;
/// Oldest token that is trusted, in seconds. The log is kept 60 days, and an older token is answered with silence.
const TOKEN_AGE_MAX_SECONDS: i64 = 55 * 24 * 3600;
/// 100-nanosecond ticks in a second.
const TICKS_PER_SECOND: i64 = 10_000_000;

/// What a list's cursor holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// The change token.
    pub(super) token: String,
    /// When it was taken, in seconds since 1970.
    pub(super) at: i64,
}

/// What the log says of one item in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    /// Its GUID, if told.
    pub(super) unique_id: Option<String>,
    /// False if its last entry says that it was deleted.
    pub(super) there: bool,
}

/// What happened in a list since a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// These items were touched, by number; the log now stands at `token`.
    Changes { touched: BTreeMap<i64, Touched>, token: String },
    /// The log cannot tell: the list must be listed anew.
    Unknown,
}

impl Position {
    /// A position as a cursor.
    pub(super) fn cursor(&self) -> Cursor {
        // Two plain fields always serialise.
        Cursor::from(serde_json::to_vec(self).unwrap_or_default())
    }

    /// A cursor's position; `None` if another program wrote it.
    pub(super) fn read(cursor: &Cursor) -> Option<Self> {
        serde_json::from_slice(cursor.as_bytes()).ok()
    }

    /// True if the log can still tell what happened since, given where it stands now and what time it is.
    pub(super) fn is_fresh(&self, current: &str, now: i64) -> bool {
        let (Some(mine), Some(theirs)) = (Token::parse(&self.token), Token::parse(current)) else {
            return false;
        };
        let seconds = theirs.ticks.saturating_sub(mine.ticks) / TICKS_PER_SECOND;
        mine.list == theirs.list
            && seconds < TOKEN_AGE_MAX_SECONDS
            && now.saturating_sub(self.at) < TOKEN_AGE_MAX_SECONDS
    }

    /// True if nothing has happened since.
    pub(super) fn is_current(&self, current: &str) -> bool {
        match (Token::parse(&self.token), Token::parse(current)) {
            (Some(mine), Some(theirs)) => {
                mine.number == theirs.number && mine.number >= 0 && mine.list == theirs.list
            }
            _ => false,
        }
    }
}

/// A change token: `version;scope;GUID;ticks;number`.
struct Token<'a> {
    list: &'a str,
    ticks: i64,
    number: i64,
}

impl<'a> Token<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').skip(2);
        let token = Self {
            list: parts.next()?,
            ticks: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(token)
    }
}

/// Reads the log from a token to its end.
pub(super) async fn since(web: &Web, list: &List, token: &str) -> Result<Since> {
    let mut items = BTreeMap::new();
    let mut token = token.to_owned();
    for _ in 0..PAGES_MAX {
        let tail = format!("web/lists(guid'{}')/getchanges", list.id);
        let answer = match web.ask(&tail, &query(&token), Form::Verbose).await {
            Ok(answer) => answer,
            // Tokens are refused in more than one way; a list that cannot be read at all fails again when it is listed.
            Err(error) if matches!(error.kind(), ErrorKind::CorruptItem | ErrorKind::Unavailable) => {
                return Ok(Since::Unknown);
            }
            Err(error) => return Err(error),
        };
        let (entries, _) = json::rows(answer)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "a change log is no list"))?;
        let Some(newest) = entries.last() else { return Ok(Since::Changes { touched: items, token }) };
        let next =
            newest.get("ChangeToken").map(|token| json::text(token, "StringValue")).unwrap_or_default();
        // A log that does not move on would be read for ever.
        if next.is_empty() || next == token {
            return Ok(Since::Unknown);
        }
        next.clone_into(&mut token);
        for entry in &entries {
            if !note(&mut items, entry) {
                return Ok(Since::Unknown);
            }
        }
        if items.len() > TOUCHED_MAX {
            return Ok(Since::Unknown);
        }
    }
    Ok(Since::Unknown)
}

fn query(token: &str) -> Json {
    json!({"query": {
        "__metadata": {"type": "SP.ChangeQuery"},
        "Add": true, "Update": true, "SystemUpdate": true, "DeleteObject": true, "Rename": true, "Move": true, "Restore": true,
        "Item": true, "File": true, "Folder": true, "List": true,
        "FetchLimit": PAGE_ENTRIES.to_string(),
        "ChangeTokenStart": {"__metadata": {"type": "SP.ChangeToken"}, "StringValue": token},
    }})
}

/// Takes in one entry: the last one of an item counts. False if the log alone cannot tell what it stands for.
pub(super) fn note(touched: &mut BTreeMap<i64, Touched>, entry: &Json) -> bool {
    const DELETED: i64 = 3;
    const RESTORED: i64 = 7;
    let kind = json::number(entry, "ChangeType").unwrap_or_default();
    let class = entry.get("__metadata").map(|metadata| json::text(metadata, "type")).unwrap_or_default();
    match json::number(entry, "ItemId") {
        Some(number) => {
            let unique_id = paths::guid(json::text(entry, "UniqueId"));
            let before = touched.insert(number, Touched { unique_id: None, there: kind != DELETED });
            if let Some(now) = touched.get_mut(&number) {
                now.unique_id = unique_id.or_else(|| before.and_then(|before| before.unique_id));
            }
            // A restored folder brings back what was in it, without an entry for each.
            kind != RESTORED
        }
        // The list's own entries are answered by offering it; it being restored brings back everything in it.
        None if class.ends_with("ChangeList") => kind != RESTORED,
        // Every file and folder of a list is an item as well, and has that entry too.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "1;3;0a7a1f00-0000-4000-8000-000000000001;639036288000000000;4711";

    #[test]
    fn positions_read_back_and_grow_old() {
        let position = Position { token: TOKEN.to_owned(), at: 1000 };
        assert_eq!(Position::read(&position.cursor()), Some(position.clone()));
        assert_eq!(Position::read(&Cursor::from("x")), None);
        assert!(position.is_fresh(TOKEN, 1000) && position.is_current(TOKEN));
        assert!(!position.is_fresh(TOKEN, 1000 + TOKEN_AGE_MAX_SECONDS), "by our clock");
        let later = TOKEN.replace("639036288", "639085000");
        assert!(!position.is_fresh(&later, 1000), "by the server's clock");
        assert!(!position.is_fresh(&TOKEN.replace("0001;", "0002;"), 1000), "another list");
        assert!(!position.is_current(&TOKEN.replace("4711", "4712")));
        assert!(!position.is_fresh("", 1000));
    }

    #[test]
    fn the_last_entry_counts() {
        let mut touched = BTreeMap::new();
        let entry = |number: i64, kind: i64| json!({"ItemId": number, "ChangeType": kind, "UniqueId": "0A7A1F00-0000-4000-8000-00000000000B"});
        assert!(note(&mut touched, &entry(5, 1)) && note(&mut touched, &entry(5, 2)));
        assert!(
            note(&mut touched, &entry(6, 2)) && note(&mut touched, &json!({"ItemId": 6, "ChangeType": 3}))
        );
        assert!(touched[&5].there && !touched[&6].there);
        assert!(touched[&6].unique_id.is_some(), "known from the entry before");
        assert!(!note(&mut touched, &entry(7, 7)), "a restored folder needs a listing");
        assert!(note(&mut touched, &json!({"__metadata": {"type": "SP.ChangeList"}, "ChangeType": 2})));
    }
}
