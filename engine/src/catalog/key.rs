//! The families of keys in a container's tree.

use larder_sdk::{ItemId, ScopeId};

/// Items by parent.
pub const CHILD: u8 = b'c';
const WHERE: u8 = b'w';
/// Cursors by scope.
pub const SCOPE: u8 = b's';
/// Debts by item.
pub const OWED: u8 = b'o';
/// Listings under way by scope.
pub const LISTING: u8 = b'l';

/// Appends a part so that whole keys sort as tuples of parts do: 00 becomes 00 FF, and 00 00 ends it.
fn push_part(key: &mut Vec<u8>, part: &[u8]) {
    for &byte in part {
        key.push(byte);
        if byte == 0 {
            key.push(0xff);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

/// Takes a part off the front.
fn take_part(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut part = Vec::new();
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        if byte != 0 {
            part.push(byte);
            continue;
        }
        let (&mark, after) = rest.split_first()?;
        *rest = after;
        match mark {
            0 => return Some(part),
            0xff => part.push(0),
            _ => return None,
        }
    }
}

/// What all children of a folder begin with.
pub fn child_prefix(parent: &ItemId) -> Vec<u8> {
    let mut key = vec![CHILD];
    push_part(&mut key, parent.as_bytes());
    key
}

/// An item's record.
pub fn child_key(parent: &ItemId, id: &ItemId) -> Vec<u8> {
    let mut key = child_prefix(parent);
    push_part(&mut key, id.as_bytes());
    key
}

/// Parent and id of an item's key.
pub fn parse_child(key: &[u8]) -> Option<(ItemId, ItemId)> {
    let mut rest = key.strip_prefix(&[CHILD])?;
    let parent = take_part(&mut rest)?;
    let id = take_part(&mut rest)?;
    rest.is_empty().then(|| (ItemId::new(parent), ItemId::new(id)))
}

/// Where an item is.
pub fn where_key(id: &ItemId) -> Vec<u8> {
    plain(WHERE, id.as_bytes())
}

/// The item of a [`where_key`].
pub fn parse_where(key: &[u8]) -> Option<ItemId> {
    key.strip_prefix(&[WHERE]).map(ItemId::new)
}

/// A scope's cursor.
pub fn cursor_key(scope: &ScopeId) -> Vec<u8> {
    plain(SCOPE, scope.as_bytes())
}

/// A debt.
pub fn owed_key(id: &ItemId) -> Vec<u8> {
    plain(OWED, id.as_bytes())
}

/// A listing under way.
pub fn listing_key(scope: &ScopeId) -> Vec<u8> {
    plain(LISTING, scope.as_bytes())
}

/// The item of a debt's key.
pub fn parse_owed(key: &[u8]) -> Option<ItemId> {
    key.strip_prefix(&[OWED]).map(ItemId::new)
}

/// The scope of a cursor's key.
pub fn parse_scope(key: &[u8]) -> Option<ScopeId> {
    key.strip_prefix(&[SCOPE]).map(ScopeId::new)
}

fn plain(family: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len());
    key.push(family);
    key.extend_from_slice(rest);
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_sort_as_pairs_and_read_back(
            a in proptest::collection::vec(0_u8..4, 0..6), b in proptest::collection::vec(0_u8..4, 0..6),
            c in proptest::collection::vec(0_u8..4, 0..6), d in proptest::collection::vec(0_u8..4, 0..6),
        ) {
            let (p, q) = ((ItemId::new(a), ItemId::new(b)), (ItemId::new(c), ItemId::new(d)));
            let (k, l) = (child_key(&p.0, &p.1), child_key(&q.0, &q.1));
            prop_assert_eq!(p.cmp(&q), k.cmp(&l));
            prop_assert_eq!(parse_child(&k), Some(p.clone()));
            prop_assert_eq!(k.starts_with(&child_prefix(&q.0)), p.0 == q.0);
        }
    }
}
