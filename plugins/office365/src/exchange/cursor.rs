//! Cursors: a sync state, and how far the listing it belongs to has come.

use larder_sdk::Cursor;
use serde::{Deserialize, Serialize};

/// The layout of stored cursors. A cursor of another layout counts as none: the scope is listed again.
const LAYOUT: u32 = 1;

/// Where a scope stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    layout: u32,
    /// The server's sync state; none: nothing has been listed yet.
    pub(crate) state: Option<String>,
    /// True once the first listing has come to its end: from then on changes are told.
    pub(crate) complete: bool,
    /// When the listing began, in seconds since 1970.
    pub(crate) begun: i64,
}

impl Place {
    /// Nothing listed yet.
    pub(crate) fn nowhere() -> Self {
        Self { layout: LAYOUT, state: None, complete: false, begun: 0 }
    }

    /// Nothing listed yet, in a listing that begins now.
    pub(crate) fn beginning(now: i64) -> Self {
        Self { begun: now, ..Self::nowhere() }
    }

    /// After a page.
    pub(crate) fn at(state: String, complete: bool, begun: i64) -> Self {
        Self { layout: LAYOUT, state: Some(state), complete, begun }
    }

    /// Reads a stored cursor; what cannot be read is nowhere.
    pub(crate) fn read(cursor: Option<&Cursor>) -> Self {
        cursor
            .and_then(|cursor| serde_json::from_slice::<Self>(cursor.as_bytes()).ok())
            .filter(|place| place.layout == LAYOUT)
            .unwrap_or_else(Self::nowhere)
    }

    /// The cursor to store.
    pub(crate) fn cursor(&self) -> Cursor {
        // A struct of texts and numbers always serialises.
        Cursor::new(serde_json::to_vec(self).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_foreign_ones_are_nowhere() {
        let place = Place::at("AAAA==".into(), true, 1_700_000_000);
        assert_eq!(Place::read(Some(&place.cursor())), place);
        assert_eq!(Place::read(None), Place::nowhere());
        for foreign in ["", "garbage", "{}", r#"{"layout":2,"state":"x","complete":true,"begun":0}"#] {
            assert_eq!(Place::read(Some(&Cursor::from(foreign))), Place::nowhere());
        }
    }
}
