//! Knows moved items again. A server numbers an item anew when it is moved to another folder, and tells of it as one gone and one new. So before the
//! changes of a mailbox are told, its folders are asked what has left them; what then arrives elsewhere with the same search key,
//! and with nothing about it that says otherwise, is the same item, whose content needs no reading.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

use larder_sdk::{Event, Item, ItemId, Kind, Value};

/// Most items remembered that left; what is more is read again where it arrives. About 250 bytes each.
const DEPARTED_MAX: usize = 50_000;
/// The bit of `PR_MESSAGE_FLAGS` of a message that has not been sent: its author may still write on it.
const UNSENT: i64 = 8;

/// What an item and its moved self have in common.
const ALIKE: [&str; 9] = [
    "item_class",
    "search_key",
    "internet_message_id",
    "size",
    "subject",
    "submit_time",
    "delivery_time",
    "has_attachments",
    "global_object_id",
];

/// The items that left folders of a mailbox.
#[derive(Default)]
pub(super) struct Departed {
    ids: Mutex<HashMap<u128, ItemId>>,
    state: [RandomState; 2],
}

impl Departed {
    /// Notes an item, as last known, that is no longer in its folder.
    pub(super) fn note(&self, item: &Item) {
        let Some(mark) = self.mark(item) else { return };
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < DEPARTED_MAX {
            ids.insert(mark, item.id.clone());
        }
    }

    /// What is to be said before an item is offered, if it is one that left elsewhere.
    pub(super) fn moved(&self, item: &Item) -> Option<Event> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.is_empty() {
            return None;
        }
        let was = ids.get(&self.mark(item)?).filter(|was| **was != item.id)?.clone();
        Some(Event::Moved { was, id: item.id.clone(), tag: item.tag.clone() })
    }

    /// Equal for an item and its moved self, and for nothing else; none for an item that cannot be known again.
    fn mark(&self, item: &Item) -> Option<u128> {
        if item.tag.is_empty() {
            return None;
        }
        let value = |name: &str| item.meta.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        value("search_key")?;
        let mut text = String::new();
        for part in ALIKE
            .iter()
            .map(|name| value(name))
            .chain([is_edited(item).then_some(value("modified")).flatten()])
        {
            text.push_str(&part.map(|value| format!("{value:?}")).unwrap_or_default());
            text.push('\0');
        }
        // The form of the content, which stands before the version.
        text.push_str(item.tag.display().split(' ').next().unwrap_or_default());
        for stream in &item.streams {
            text.push('\0');
            text.push_str(&stream.name);
        }
        let [high, low] = self.state.each_ref().map(|state| u128::from(state.hash_one(&text)));
        Some(high << 64 | low)
    }
}

/// True for items that people go on editing: for them the time of the last change must be the same, too. Of mail that was sent or received that time
/// says little, since a move may set it; what it is made of does not change unless its size does.
fn is_edited(item: &Item) -> bool {
    let flags = item.meta.iter().find(|(key, _)| key == "message_flags");
    item.kind != Kind::MESSAGE || !matches!(flags, Some((_, Value::Int(flags))) if flags & UNSENT == 0)
}

#[cfg(test)]
mod tests {
    use larder_sdk::{StreamInfo, Tag, Time};

    use super::*;

    fn item(id: &str, kind: Kind, size: i64, flags: i64, modified: i64) -> Item {
        Item {
            id: id.into(),
            parent: "f".into(),
            name: "a.eml".into(),
            kind,
            folder: false,
            tag: Tag::from(format!("mime {id}")),
            modified: None,
            posix: None,
            meta: vec![
                ("size".into(), Value::Int(size)),
                ("search_key".into(), Value::Text("00ff".into())),
                ("message_flags".into(), Value::Int(flags)),
                ("modified".into(), Value::Time(Time::from_seconds(modified))),
            ],
            streams: vec![StreamInfo::content("message/rfc822", None)],
        }
    }

    fn moved(before: &Item, after: &Item) -> bool {
        let departed = Departed::default();
        departed.note(before);
        departed.moved(after).is_some_and(|event| {
            matches!(event, Event::Moved { was, id, tag } if was == before.id && id == after.id && tag == after.tag)
        })
    }

    #[test]
    fn mail_is_known_again_by_what_a_move_leaves_as_it_is() {
        let before = item("a", Kind::MESSAGE, 10, 1, 5);
        assert!(moved(&before, &item("b", Kind::MESSAGE, 10, 0, 6)), "read and the last change may differ");
        assert!(!moved(&before, &item("b", Kind::MESSAGE, 11, 1, 5)), "the size may not");
        assert!(!moved(&before, &item("a", Kind::MESSAGE, 10, 1, 5)), "it is where it was");
        let mut copy = item("b", Kind::MESSAGE, 10, 1, 5);
        copy.meta.retain(|(name, _)| name != "search_key");
        assert!(!moved(&before, &copy));
        let mut exported = item("b", Kind::MESSAGE, 10, 1, 5);
        exported.tag = Tag::from("both b");
        assert!(!moved(&before, &exported), "its content was kept in another form");
    }

    #[test]
    fn what_people_go_on_editing_is_read_again_unless_it_was_not_touched() {
        for (kind, flags) in [(Kind::MESSAGE, 8), (Kind::EVENT, 1), (Kind::CONTACT, 1)] {
            let before = item("a", kind.clone(), 10, flags, 5);
            assert!(moved(&before, &item("b", kind.clone(), 10, flags, 5)));
            assert!(!moved(&before, &item("b", kind, 10, flags, 6)));
        }
    }
}
