//! Debts and listings under way.

use larder_sdk::{Cursor, ItemId, Name, ScopeId, Time, codec::Record};
use serde::{Deserialize, Serialize};

use crate::tree::Root;

/// An item that was reported and could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedRecord {
    /// Its parent as last known.
    pub parent: ItemId,
    /// Its name as last known.
    pub name: Name,
    /// The scope it was listed in.
    pub scope: ScopeId,
    /// Why it could not be read.
    pub reason: String,
    /// Since when it is owed.
    pub since: Time,
    /// How often it was tried.
    pub tries: u32,
}

impl Record for OwedRecord {
    const KIND: u16 = 31;
    const VERSION: u16 = 1;
}

/// A scope's cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRecord(pub Cursor);

impl Record for CursorRecord {
    const KIND: u16 = 34;
    const VERSION: u16 = 1;
}

/// A full listing under way: what was there when it began, and what of that was listed since.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingRecord {
    /// The tree it began with.
    pub base: Option<Root>,
    /// Which of its entries were listed.
    pub seen: Seen,
}

impl Record for ListingRecord {
    const KIND: u16 = 32;
    const VERSION: u16 = 1;
}

/// A set of ranks in a tree: one bit per entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    words: Vec<u64>,
}

impl Seen {
    /// Adds a rank.
    pub fn insert(&mut self, rank: u64) {
        let word = (rank / 64) as usize;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (rank % 64);
    }

    /// True if the rank was added.
    pub fn contains(&self, rank: u64) -> bool {
        self.words.get((rank / 64) as usize).is_some_and(|word| word & (1 << (rank % 64)) != 0)
    }
}
