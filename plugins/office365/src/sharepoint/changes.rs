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
    /// When everything was listed last, in seconds since 1970.
    #[serde(default)]
    pub(super) listed_at: i64,
    /// What the options asked for then.
    #[serde(default)]
    pub(super) profile: String,
    /// How many items the list said it had there.
    #[serde(default)]
    pub(super) count: Option<i64>,
}

/// What the log says of one item in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    /// Its GUID, if told.
    pub(super) unique_id: Option<String>,
    /// False if its first entry says that it was not there before.
    was_there: bool,
    /// Whether it was there when the list told how many items it has.
    counted: bool,
    /// False if its last entry says that it was deleted or moved away.
    pub(super) there: bool,
}

/// What happened in a list since a token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    /// The items that were touched, by number.
    pub(super) touched: BTreeMap<i64, Touched>,
    /// True if the list itself was: its settings, columns, views or permissions.
    pub(super) list: bool,
    /// Where the log now stands.
    pub(super) token: String,
}

impl Since {
    /// By how many items the list had grown when it told how many it has.
    pub(super) fn grown(&self) -> i64 {
        self.touched.values().map(|item| i64::from(item.counted) - i64::from(item.was_there)).sum()
    }

    /// By how many it has grown since then.
    pub(super) fn grown_late(&self) -> i64 {
        self.touched.values().map(|item| i64::from(item.there) - i64::from(item.counted)).sum()
    }
}

impl Position {
    /// A position at a token.
    pub(super) fn new(token: &str, at: i64) -> Self {
        Self { token: token.to_owned(), at, listed_at: at, profile: String::new(), count: None }
    }

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

/// Reads a list's log from a token to its end. `None` if it cannot tell: the list must be listed anew.
pub(super) async fn since(web: &Web, list: &List, token: &str) -> Result<Option<Since>> {
    let mut since = Since::default();
    let until = Token::parse(&list.token).map_or(i64::MAX, |token| token.number);
    let (address, query) = (list.address(), query());
    let mut take = |entry: &Json| note(&mut since, entry, until) && since.touched.len() <= TOUCHED_MAX;
    let read = read(web, &address, &query, token, &mut take).await?;
    Ok(read.map(|token| Since { token, ..since }))
}

/// Reads the log of the thing at an address, from a token to its end, until `take` wants no more. The token of the end; `None` if the log
/// cannot tell, or was not read to its end.
pub(super) async fn read(
    web: &Web,
    address: &str,
    query: &Json,
    token: &str,
    take: &mut (dyn FnMut(&Json) -> bool + Send),
) -> Result<Option<String>> {
    let mut token = token.to_owned();
    for _ in 0..PAGES_MAX {
        let tail = format!("{address}/getchanges");
        let answer = match web.ask(&tail, &from(query, &token), Form::Verbose).await {
            Ok(answer) => answer,
            // Tokens are refused in more than one way; a list that cannot be read at all fails again when it is listed.
            Err(error) if matches!(error.kind(), ErrorKind::CorruptItem | ErrorKind::Unavailable) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let (entries, _) = json::rows(answer)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "a change log is no list"))?;
        let Some(newest) = entries.last() else { return Ok(Some(token)) };
        let next =
            newest.get("ChangeToken").map(|token| json::text(token, "StringValue")).unwrap_or_default();
        // A log that does not move on would be read for ever.
        if next.is_empty() || next == token {
            return Ok(None);
        }
        next.clone_into(&mut token);
        if !entries.iter().all(&mut *take) {
            return Ok(None);
        }
    }
    Ok(None)
}

/// A query for what follows a token.
fn from(query: &Json, token: &str) -> Json {
    let mut query = query.clone();
    query["__metadata"] = json!({"type": "SP.ChangeQuery"});
    query["FetchLimit"] = json!(PAGE_ENTRIES.to_string());
    query["ChangeTokenStart"] = json!({"__metadata": {"type": "SP.ChangeToken"}, "StringValue": token});
    json!({"query": query})
}

fn query() -> Json {
    json!({
        "Add": true, "Update": true, "SystemUpdate": true, "DeleteObject": true, "Rename": true, "Move": true, "Restore": true,
        "RoleAssignmentAdd": true, "RoleAssignmentDelete": true,
        "Item": true, "File": true, "Folder": true, "List": true, "Field": true, "ContentType": true, "View": true,
    })
}

/// Takes in one entry: the last one of an item counts. False if the log alone cannot tell what it stands for. `until` is the number of the last
/// entry that the list's count of items covers.
pub(super) fn note(since: &mut Since, entry: &Json, until: i64) -> bool {
    const ADDED: i64 = 1;
    const DELETED: i64 = 3;
    const MOVED_AWAY: i64 = 5;
    const MOVED_INTO: i64 = 6;
    const RESTORED: i64 = 7;
    let kind = json::number(entry, "ChangeType").unwrap_or_default();
    let class = entry.get("__metadata").map(|metadata| json::text(metadata, "type")).unwrap_or_default();
    let Some(number) = json::number(entry, "ItemId") else {
        // Every file and folder of a list is an item as well, and has that entry too.
        since.list |= !(class.ends_with("ChangeFile") || class.ends_with("ChangeFolder"));
        // A restored list brings back everything in it.
        return !(class.ends_with("ChangeList") && kind == RESTORED);
    };
    let there = kind != DELETED && kind != MOVED_AWAY;
    let was_there = !matches!(kind, ADDED | MOVED_INTO | RESTORED);
    let item = since.touched.entry(number).or_insert(Touched {
        unique_id: None,
        was_there,
        counted: was_there,
        there,
    });
    item.there = there;
    let told = entry.get("ChangeToken").map(|token| json::text(token, "StringValue")).and_then(Token::parse);
    if told.is_none_or(|token| token.number <= until) {
        item.counted = there;
    }
    item.unique_id = paths::guid(json::text(entry, "UniqueId")).or_else(|| item.unique_id.take());
    // A restored folder brings back what was in it, without an entry for each.
    kind != RESTORED
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "1;3;0a7a1f00-0000-4000-8000-000000000001;639036288000000000;4711";

    #[test]
    fn positions_read_back_and_grow_old() {
        let position = Position::new(TOKEN, 1000);
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
        let mut since = Since::default();
        let mut take = |entry: Json| note(&mut since, &entry, 100);
        let entry = |number: i64, kind: i64| json!({"ItemId": number, "ChangeType": kind, "UniqueId": "0A7A1F00-0000-4000-8000-00000000000B"});
        assert!(take(entry(5, 1)) && take(entry(5, 2)));
        assert!(take(entry(6, 2)) && take(json!({"ItemId": 6, "ChangeType": 3})));
        assert!(take(json!({"__metadata": {"type": "SP.ChangeFile"}, "ChangeType": 1})));
        assert!(!take(entry(7, 7)), "a restored folder needs a listing");
        assert!(!since.list && since.touched[&5].there && !since.touched[&6].there);
        assert!(since.touched[&6].unique_id.is_some(), "known from the entry before");
        for (class, kind) in
            [("SP.ChangeList", 17), ("SP.ChangeField", 1), ("SP.ChangeView", 2), ("SP.ChangeContentType", 3)]
        {
            let mut since = Since::default();
            assert!(
                note(&mut since, &json!({"__metadata": {"type": class}, "ChangeType": kind}), 0)
                    && since.list
            );
        }
    }

    #[test]
    fn growth_is_told_apart_by_when_the_list_was_counted() {
        let mut since = Since::default();
        let mut take = |item: i64, kind: i64, number: i64| {
            let token = format!("1;3;0a7a1f00-0000-4000-8000-000000000001;639036288000000000;{number}");
            note(
                &mut since,
                &json!({"ItemId": item, "ChangeType": kind, "ChangeToken": {"StringValue": token}}),
                10,
            )
        };
        // Added, and deleted after the count; deleted; moved in and out again; changed; added after the count.
        assert!(take(1, 1, 3) && take(2, 3, 4) && take(3, 6, 5) && take(3, 5, 6) && take(4, 2, 7));
        assert!(take(1, 3, 11) && take(5, 1, 12) && take(5, 2, 13));
        assert_eq!((since.grown(), since.grown_late()), (0, 0));
        assert!(since.touched[&5].there && !since.touched[&1].there && !since.touched[&3].there);
        let before = since.touched.remove(&1).unwrap();
        assert!(!before.was_there && before.counted);
        assert_eq!((since.grown(), since.grown_late()), (-1, 1));
    }
}
