//! An item of a mailbox as the engine sees it.
//!
//! Its id is the EWS `ItemId`. That id changes when the item is moved to another folder, so a move reads as a deletion and a
//! new item. Keys that stay (`PR_SEARCH_KEY`, the MAPI entry id where the server tells it) cannot stand in for it: copies
//! share the search key, and deletions are reported by `ItemId` alone. Both are kept in the metadata, for another wire.
//!
//! Its tag is the change key, which a change of the read flag alone leaves as it is.

use larder_sdk::{Item, ItemId, Kind, StreamInfo, Tag, Value, Word};

use super::{formats::Format, names, properties, xml::Element};

/// The tag of content as MIME begins with this, that of rebuilt content with [`REBUILT`].
const MIME: &str = "mime ";
/// See [`MIME`].
const REBUILT: &str = "rebuilt ";

/// In which form an item's content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The MIME the server makes.
    Mime,
    /// Built here from properties, body and attachments, because the server cannot make MIME of it.
    Rebuilt,
}

/// An item's id as the wire has it.
pub(super) fn id_text(id: &ItemId) -> String {
    id.display().into_owned()
}

/// The id that an `ItemId` or `FolderId` holds, if the host can take it.
pub(super) fn id_of(element: &Element) -> Option<&str> {
    element.attribute("Id").filter(|id| !id.is_empty() && id.len() <= ItemId::BYTES_MAX)
}

/// The kind of an item by its class.
pub(super) fn kind_of(class: &str) -> Kind {
    let is = |family: &str| {
        class.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
            && matches!(class.as_bytes().get(family.len()), None | Some(b'.'))
    };
    if is("IPM.Appointment") || is("IPM.OLE.CLASS") {
        Kind::EVENT
    } else if is("IPM.Contact") || is("IPM.DistList") {
        Kind::CONTACT
    } else if is("IPM.Task") {
        Kind::TASK
    } else if is("IPM.StickyNote") {
        Kind::NOTE
    } else if is("IPM.Activity") {
        Kind::new("journal")
    } else {
        Kind::MESSAGE
    }
}

/// The text of one of an item's properties.
pub(super) fn text_of<'meta>(meta: &'meta [(Word, Value)], name: &str) -> &'meta str {
    match meta.iter().find(|(key, _)| key == name) {
        Some((_, Value::Text(text))) => text,
        _ => "",
    }
}

/// The item that `element`, a row of `GetItem`, tells of.
pub(super) fn item(element: &Element, parent: &str, format: Format, form: Form) -> Option<Item> {
    let id = element.child("ItemId")?;
    let own_id = id_of(id)?;
    let change_key = id.attribute("ChangeKey").unwrap_or_default();
    let mut meta = properties::read(element);
    let kind = kind_of(text_of(&meta, "item_class"));
    let time = |name: &str| match meta.iter().find(|(key, _)| key == name) {
        Some((_, Value::Time(time))) => Some(*time),
        _ => None,
    };
    let modified = time("modified").or_else(|| time("received"));
    let prefix = match form {
        Form::Mime => MIME,
        Form::Rebuilt => REBUILT,
    };
    let tag = if change_key.is_empty() { Tag::default() } else { Tag::from(format!("{prefix}{change_key}")) };
    let name = names::item_name(text_of(&meta, "subject"), format.extension());
    if form == Form::Rebuilt {
        meta.push(("rebuilt".into(), Value::Bool(true)));
    }
    Some(Item {
        id: ItemId::from(own_id),
        parent: ItemId::from(parent),
        name,
        kind,
        folder: false,
        tag,
        modified,
        posix: None,
        meta,
        streams: vec![StreamInfo::content(format.media(), None)],
    })
}

/// The same item with another read flag: same tag, same streams. The flag stands twice, as a property and as a bit.
pub(super) fn with_read_flag(mut item: Item, is_read: bool) -> Item {
    const READ: i64 = 1;
    for (name, value) in &mut item.meta {
        match (name.as_str(), value) {
            ("is_read", Value::Bool(flag)) => *flag = is_read,
            ("message_flags", Value::Int(flags)) => {
                *flags = if is_read { *flags | READ } else { *flags & !READ }
            }
            _ => {}
        }
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    fn row(change_key: &str) -> Element {
        tree_of(&format!(
            "<Message><ItemId Id=\"AAA=\" ChangeKey=\"{change_key}\"/><ItemClass>IPM.Note</ItemClass><Subject>a/b</Subject>\
             <LastModifiedTime>2024-05-01T08:00:00Z</LastModifiedTime>\
             <ExtendedProperty><ExtendedFieldURI PropertyTag=\"0xe69\"/><Value>false</Value></ExtendedProperty>\
             <ExtendedProperty><ExtendedFieldURI PropertyTag=\"0xe07\"/><Value>16</Value></ExtendedProperty></Message>"
        ))
    }

    #[test]
    fn classes_tell_the_kind() {
        for (class, kind) in [
            ("IPM.Note", Kind::MESSAGE),
            ("IPM.Note.SMIME", Kind::MESSAGE),
            ("IPM.Schedule.Meeting.Request", Kind::MESSAGE),
            ("IPM.TaskRequest", Kind::MESSAGE),
            ("IPM.Task", Kind::TASK),
            ("ipm.appointment", Kind::EVENT),
            ("IPM.Contact.Custom", Kind::CONTACT),
            ("IPM.DistList", Kind::CONTACT),
            ("IPM.StickyNote", Kind::NOTE),
            ("", Kind::MESSAGE),
        ] {
            assert_eq!(kind_of(class), kind, "{class}");
        }
    }

    #[test]
    fn a_row_becomes_an_item() {
        let item = item(&row("CK"), "F", Format::Eml, Form::Mime).unwrap();
        assert_eq!((item.id, item.parent), (ItemId::from("AAA="), ItemId::from("F")));
        assert_eq!(item.name.display(), "a_b.eml");
        assert_eq!(item.tag, Tag::from("mime CK"));
        assert_eq!(item.modified.unwrap().seconds, 1_714_550_400);
        assert_eq!(item.streams, [StreamInfo::content("message/rfc822", None)]);
    }

    #[test]
    fn the_read_flag_changes_nothing_else() {
        let before = item(&row("CK"), "F", Format::Eml, Form::Mime).unwrap();
        let after = with_read_flag(before.clone(), true);
        assert_eq!(after.tag, before.tag);
        assert!(after.meta.contains(&("is_read".into(), Value::Bool(true))));
        assert!(after.meta.contains(&("message_flags".into(), Value::Int(17))));
        assert_eq!(with_read_flag(after, false), before);
    }

    #[test]
    fn forms_never_share_a_tag_and_no_version_is_never_equal() {
        let mime = item(&row("CK"), "F", Format::Eml, Form::Mime).unwrap();
        let rebuilt = item(&row("CK"), "F", Format::Eml, Form::Rebuilt).unwrap();
        assert_ne!(mime.tag, rebuilt.tag);
        assert!(item(&row(""), "F", Format::Eml, Form::Mime).unwrap().tag.is_empty());
        assert!(item(&tree_of("<Message/>"), "F", Format::Eml, Form::Mime).is_none());
    }
}
