//! An item of a mailbox as the engine sees it.
//!
//! Its id is the MAPI entry id (see `ids`). That id changes when the item is moved to another folder, so a move reads as one item gone and
//! one new; `moves` knows the two for the same. Keys that stay cannot stand in for it: copies share `PR_SEARCH_KEY`, and deletions are
//! reported by id alone. The search key is kept in the metadata.
//!
//! Its tag says in which form its content was read, and the change key, which a change of the read flag alone leaves as it is and which other ways
//! to the mailbox give as well.

use larder_sdk::{Item, ItemId, Kind, StreamInfo, Tag, Value, Word};

use super::{formats::Format, names, properties, xml::Element};
use crate::options::Fidelity;

/// The stream of an item as the server exports it.
pub(super) const EXPORT: &str = "fts";
/// The stream of all that the server tells of an item, beside its content.
pub(super) const DETAILS: &str = "json";
/// What the export's bytes are.
const EXPORT_MEDIA: &str = "application/octet-stream";

/// In which form an item's content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The MIME the server makes.
    Mime,
    /// Built here from properties, body and attachments, because the server cannot make MIME of it.
    Rebuilt,
    /// The server's own stream, that only it can take in again.
    Export,
}

/// What is read of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) form: Form,
    pub(super) format: Format,
    /// The server's own stream beside the content.
    pub(super) export: bool,
    /// Its properties as the server tells them beside the content, which does not hold all of them.
    pub(super) details: bool,
}

impl Reading {
    /// The content alone.
    pub(super) const fn plain(form: Form, format: Format) -> Self {
        Self { form, format, export: false, details: false }
    }

    /// Stands before the version in tags: content in another form is other content.
    fn word(self) -> String {
        let form = match self.form {
            Form::Mime => "mime",
            Form::Rebuilt => "rebuilt",
            Form::Export => "export",
        };
        let export = if self.export { "+export" } else { "" };
        let details = if self.details { "+details" } else { "" };
        format!("{form}{export}{details}")
    }

    fn streams(self) -> Vec<StreamInfo> {
        let beside = |name: &'static str, media: &'static str| StreamInfo {
            name: Word::from(name),
            media: media.into(),
            size: None,
        };
        let mut streams = vec![StreamInfo::content(self.format.media(), None)];
        streams.extend(self.export.then(|| beside(EXPORT, EXPORT_MEDIA)));
        streams.extend(self.details.then(|| beside(DETAILS, "application/json")));
        streams
    }
}

/// True if a tag is that of content in version `version`, in the form that is wanted now.
pub(super) fn is_version(tag: &Tag, version: &str, fidelity: Fidelity) -> bool {
    let tag = tag.display();
    let Some((word, known)) = tag.split_once(' ') else { return false };
    let form = match fidelity {
        Fidelity::Export => word == "export",
        Fidelity::Both => word.contains("+export"),
        Fidelity::Mime => !word.contains("export"),
    };
    form && !version.is_empty() && known == version
}

/// True for items of which MIME is not nearly all: everything but plain mail.
pub(super) fn needs_details(class: &str) -> bool {
    !is_class(class, "IPM.Note") && !class.is_empty()
}

/// An item's id as the wire has it.
pub(super) fn id_text(id: &ItemId) -> String {
    id.display().into_owned()
}

/// The id that an `ItemId` or `FolderId` holds, if the host can take it.
pub(super) fn id_of(element: &Element) -> Option<&str> {
    element.attribute("Id").filter(|id| !id.is_empty() && id.len() <= ItemId::BYTES_MAX)
}

/// True for a class and those below it.
fn is_class(class: &str, family: &str) -> bool {
    class.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family))
        && matches!(class.as_bytes().get(family.len()), None | Some(b'.'))
}

/// The kind of an item by its class.
pub(super) fn kind_of(class: &str) -> Kind {
    let is = |family: &str| is_class(class, family);
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
pub(super) fn item(element: &Element, id: &ItemId, parent: &str, reading: Reading) -> Option<Item> {
    let change_key = element.child("ItemId")?.attribute("ChangeKey").unwrap_or_default();
    let mut meta = properties::read(element);
    let kind = kind_of(text_of(&meta, "item_class"));
    let time = |name: &str| match meta.iter().find(|(key, _)| key == name) {
        Some((_, Value::Time(time))) => Some(*time),
        _ => None,
    };
    let modified = time("modified").or_else(|| time("received"));
    let word = reading.word();
    let tag = if change_key.is_empty() { Tag::default() } else { Tag::from(format!("{word} {change_key}")) };
    let name = names::item_name(text_of(&meta, "subject"), reading.format.extension());
    if reading.form == Form::Rebuilt {
        meta.push(("rebuilt".into(), Value::Bool(true)));
    }
    Some(Item {
        id: id.clone(),
        parent: ItemId::from(parent),
        name,
        kind,
        folder: false,
        tag,
        modified,
        posix: None,
        meta,
        streams: reading.streams(),
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

    const MIME: Reading = Reading::plain(Form::Mime, Format::Eml);

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
        let item = item(&row("CK"), &"E".into(), "F", MIME).unwrap();
        assert_eq!((item.id, item.parent), (ItemId::from("E"), ItemId::from("F")));
        assert_eq!(item.name.display(), "a_b.eml");
        assert_eq!(item.tag, Tag::from("mime CK"));
        assert_eq!(item.modified.unwrap().seconds, 1_714_550_400);
        assert_eq!(item.streams, [StreamInfo::content("message/rfc822", None)]);
    }

    #[test]
    fn the_read_flag_changes_nothing_else() {
        let before = item(&row("CK"), &"E".into(), "F", MIME).unwrap();
        let after = with_read_flag(before.clone(), true);
        assert_eq!(after.tag, before.tag);
        assert!(after.meta.contains(&("is_read".into(), Value::Bool(true))));
        assert!(after.meta.contains(&("message_flags".into(), Value::Int(17))));
        assert_eq!(with_read_flag(after, false), before);
    }

    #[test]
    fn forms_never_share_a_tag_and_no_version_is_never_equal() {
        let of = |reading, change_key| item(&row(change_key), &"E".into(), "F", reading).unwrap();
        let forms = [
            MIME,
            Reading::plain(Form::Rebuilt, Format::Eml),
            Reading::plain(Form::Export, Format::Fts),
            Reading { export: true, ..MIME },
            Reading { details: true, ..MIME },
            Reading { export: true, details: true, ..MIME },
        ];
        let mut tags: Vec<_> = forms.iter().map(|form| of(*form, "CK").tag).collect();
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), forms.len());
        assert!(of(MIME, "").tag.is_empty());
        assert!(item(&tree_of("<Message/>"), &"E".into(), "F", MIME).is_none());
    }

    #[test]
    fn a_version_is_known_in_the_form_wanted_alone() {
        let tag = |reading| item(&row("CK"), &"E".into(), "F", reading).unwrap().tag;
        let both = tag(Reading { export: true, ..MIME });
        assert!(
            is_version(&tag(MIME), "CK", Fidelity::Mime) && !is_version(&tag(MIME), "CL", Fidelity::Mime)
        );
        assert!(!is_version(&tag(MIME), "CK", Fidelity::Both) && !is_version(&both, "CK", Fidelity::Mime));
        assert!(is_version(&both, "CK", Fidelity::Both) && !is_version(&both, "CK", Fidelity::Export));
        assert!(!is_version(&Tag::default(), "", Fidelity::Mime));
    }

    #[test]
    fn what_mime_does_not_hold_stands_beside_it() {
        let reading = Reading { export: true, details: true, ..MIME };
        let streams = item(&row("CK"), &"E".into(), "F", reading).unwrap().streams;
        let names: Vec<_> = streams.iter().map(|stream| stream.name.as_str()).collect();
        assert_eq!(names, ["content", "fts", "json"]);
        for (class, needs) in [
            ("IPM.Note", false),
            ("IPM.Note.SMIME", false),
            ("", false),
            ("IPM.Schedule.Meeting.Request", true),
            ("REPORT.IPM.Note.NDR", true),
            ("IPM.DistList", true),
            ("IPM.Appointment", true),
        ] {
            assert_eq!(needs_details(class), needs, "{class}");
        }
    }
}
