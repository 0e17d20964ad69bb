//! What a server says may break the model's rules: a name with a slash, a tag of a megabyte. The host would refuse the batch that it is in,
//! and the container with it; so an item that breaks them is owed, by itself, and everything else goes on.

use larder_sdk::{
    Error, ErrorKind, Event, Item, ItemId, Name, Offer, Result, Unread, abi::check, limits::ITEM_BYTES_MAX,
};

use crate::feed::item_bytes;

/// The code of an item that breaks the rules.
const CODE: &str = "item-breaks-rules";
/// Bytes that an encoded item takes beside its texts and streams, at most.
const OVERHEAD_BYTES: usize = 4 << 10;

/// An event as the host takes it. Its item's id must be one that the host takes: what has none cannot be told of.
pub(crate) fn kept(event: Event) -> Event {
    match event {
        Event::Offer(Offer { scope, item, carry }) => match refusal(&item) {
            None => Event::Offer(Offer { scope, item, carry }),
            Some(error) => {
                let parent = if item.parent == item.id || !item.parent.fits() {
                    ItemId::default()
                } else {
                    item.parent
                };
                Event::Unread(Unread { scope, id: item.id, parent, name: known(item.name), error })
            }
        },
        Event::Unread(unread) => Event::Unread(Unread { name: known(unread.name), ..unread }),
        other => other,
    }
}

/// Why the host would refuse an item.
fn refusal(item: &Item) -> Option<Error> {
    let fits =
        |what: &str, fits: bool| if fits { Ok(()) } else { Err(broken(format!("its {what} is too long"))) };
    let rules = || -> Result<()> {
        check::item(item)?;
        fits("name", item.name.fits())?;
        fits("tag", item.tag.fits())?;
        fits("parent's id", item.parent.fits())?;
        fits("metadata", item_bytes(item) + OVERHEAD_BYTES <= ITEM_BYTES_MAX)
    };
    rules()
        .err()
        .map(|error| error.context("the server tells of it what no snapshot can hold").with_code(CODE))
}

/// A name, or none if it cannot be one.
fn known(name: Name) -> Name {
    let plain = name.fits() && !matches!(name.as_bytes(), b"." | b"..") && !name.as_bytes().contains(&b'/');
    if plain && !name.as_bytes().contains(&0) { name } else { Name::default() }
}

fn broken(why: String) -> Error {
    Error::new(ErrorKind::CorruptItem, why)
}

#[cfg(test)]
mod tests {
    use larder_sdk::{Kind, StreamInfo, Tag, Value};

    use super::*;

    fn offer(change: impl FnOnce(&mut Item)) -> Event {
        let mut item = Item {
            id: "id".into(),
            parent: "parent".into(),
            name: "name".into(),
            kind: Kind::FILE,
            folder: false,
            tag: "tag".into(),
            modified: None,
            posix: None,
            meta: Vec::new(),
            streams: vec![StreamInfo::content("", None)],
        };
        change(&mut item);
        Event::Offer(Offer { scope: "scope".into(), item, carry: None })
    }

    #[test]
    fn an_item_that_breaks_the_rules_is_owed_by_itself() {
        assert!(matches!(kept(offer(|_| {})), Event::Offer(_)));
        let breaks: [fn(&mut Item); 6] = [
            |item| item.name = "../x".into(),
            |item| item.name = "..".into(),
            |item| item.tag = Tag::from("x".repeat(5000)),
            |item| item.parent = item.id.clone(),
            |item| item.streams[0].name = "attachment/\0".into(),
            |item| item.meta.push(("large".into(), Value::List(vec![Value::Text("x".repeat(2 << 20))]))),
        ];
        for change in breaks {
            let Event::Unread(unread) = kept(offer(change)) else { panic!("offered") };
            assert_eq!((unread.id.display().as_ref(), unread.error.code()), ("id", Some(CODE)));
            assert!(check::event(&Event::Unread(unread)).is_ok());
        }
    }
}
