//! Which properties of an item are kept beside its content, how they are asked for, and how they read back.
//!
//! Most are asked for by their MAPI names, which work for every kind of item; a field of messages asked of a contact
//! would fail the request. The order of [`PROPERTIES`] is the order of an item's metadata.

use larder_sdk::{Value, Word};

use super::{base64, times, xml::Element};
use crate::feed::value_bytes;

/// Longest value kept, in bytes: so that an item's metadata stays far below what the boundary carries.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Most bytes of all values of an item.
const META_BYTES_MAX: usize = 256 << 10;

/// One property.
pub(super) struct Property {
    /// Its name in metadata.
    pub(super) name: &'static str,
    path: Path,
    kind: Type,
}

/// How a property is named on the wire.
enum Path {
    /// A field that every kind of item has: its URI and its element.
    Field(&'static str, &'static str),
    /// A field of mail only.
    MailField(&'static str, &'static str),
    /// A MAPI tag.
    Tag(u16),
    /// A number in a distinguished set, which answers may name by its GUID.
    Numbered(&'static Set, u32),
}

struct Set {
    name: &'static str,
    guid: &'static str,
}

const COMMON: Set = Set { name: "Common", guid: "00062008-0000-0000-c000-000000000046" };
const APPOINTMENT: Set = Set { name: "Appointment", guid: "00062002-0000-0000-c000-000000000046" };
const MEETING: Set = Set { name: "Meeting", guid: "6ed8da90-450b-101b-98da-00aa003f1305" };

/// A property's type.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Integer,
    Boolean,
    Time,
    /// Base64 on the wire, hexadecimal in metadata.
    Binary,
    /// Several texts.
    Texts,
    /// `Mailbox/EmailAddress`.
    Address,
}

const fn property(name: &'static str, path: Path, kind: Type) -> Property {
    Property { name, path, kind }
}

/// Everything kept. New ones go to the end.
pub(super) const PROPERTIES: &[Property] = &[
    property("item_class", Path::Field("item:ItemClass", "ItemClass"), Type::Text),
    property("subject", Path::Field("item:Subject", "Subject"), Type::Text),
    property("from", Path::MailField("message:From", "From"), Type::Address),
    property("internet_message_id", Path::Tag(0x1035), Type::Text),
    property("received", Path::Field("item:DateTimeReceived", "DateTimeReceived"), Type::Time),
    property("sent", Path::Field("item:DateTimeSent", "DateTimeSent"), Type::Time),
    property("created", Path::Field("item:DateTimeCreated", "DateTimeCreated"), Type::Time),
    property("modified", Path::Field("item:LastModifiedTime", "LastModifiedTime"), Type::Time),
    property("is_read", Path::Tag(0x0E69), Type::Boolean),
    property("categories", Path::Field("item:Categories", "Categories"), Type::Texts),
    property("importance", Path::Field("item:Importance", "Importance"), Type::Text),
    property("sensitivity", Path::Field("item:Sensitivity", "Sensitivity"), Type::Text),
    property("size", Path::Field("item:Size", "Size"), Type::Integer),
    property("has_attachments", Path::Field("item:HasAttachments", "HasAttachments"), Type::Boolean),
    property("message_flags", Path::Tag(0x0E07), Type::Integer),
    property("delivery_time", Path::Tag(0x0E06), Type::Time),
    property("submit_time", Path::Tag(0x0039), Type::Time),
    property("search_key", Path::Tag(0x300B), Type::Binary),
    property("entry_id", Path::Tag(0x0FFF), Type::Binary),
    property("conversation_index", Path::Tag(0x0071), Type::Binary),
    property("icon", Path::Tag(0x1080), Type::Integer),
    property("last_verb", Path::Tag(0x1081), Type::Integer),
    property("last_verb_time", Path::Tag(0x1082), Type::Time),
    property("flag_status", Path::Tag(0x1090), Type::Integer),
    property("code_page", Path::Tag(0x3FDE), Type::Integer),
    property("deleted_on", Path::Tag(0x668F), Type::Time),
    property("archive_tag", Path::Tag(0x3018), Type::Binary),
    property("policy_tag", Path::Tag(0x3019), Type::Binary),
    property("retention_period", Path::Tag(0x301A), Type::Integer),
    property("retention_date", Path::Tag(0x301C), Type::Time),
    property("retention_flags", Path::Tag(0x301D), Type::Integer),
    property("flag_request", Path::Numbered(&COMMON, 0x8530), Type::Text),
    property("reminder_set", Path::Numbered(&COMMON, 0x8503), Type::Boolean),
    property("reminder_time", Path::Numbered(&COMMON, 0x8560), Type::Time),
    property("private", Path::Numbered(&COMMON, 0x8506), Type::Boolean),
    property("todo_title", Path::Numbered(&COMMON, 0x85A4), Type::Text),
    property("global_object_id", Path::Numbered(&MEETING, 0x0003), Type::Binary),
    property("clean_global_object_id", Path::Numbered(&MEETING, 0x0023), Type::Binary),
    property("recurrence", Path::Numbered(&APPOINTMENT, 0x8216), Type::Binary),
    property("state_flags", Path::Numbered(&APPOINTMENT, 0x8217), Type::Integer),
    property("time_zone", Path::Numbered(&APPOINTMENT, 0x8233), Type::Binary),
    property("time_zone_definition", Path::Numbered(&APPOINTMENT, 0x8260), Type::Binary),
];

/// The `AdditionalProperties` that ask for all of them; `mail` if every item asked for is mail.
pub(super) fn wanted(mail: bool) -> String {
    let mut xml = String::from("<t:AdditionalProperties>");
    for property in PROPERTIES {
        if let Some(path) = property.ask(mail) {
            xml.push_str(&path);
        }
    }
    xml.push_str("</t:AdditionalProperties>");
    xml
}

/// The properties that an item's element holds, in the order of the table. Values over [`TEXT_BYTES_MAX`], and what is more than
/// [`META_BYTES_MAX`] in all, are left out.
pub(super) fn read(item: &Element) -> Vec<(Word, Value)> {
    let mut left = META_BYTES_MAX;
    let mut fits = |value: &Value| {
        let bytes = value_bytes(value);
        let fits = bytes <= TEXT_BYTES_MAX && bytes <= left;
        left -= if fits { bytes } else { 0 };
        fits
    };
    let named = PROPERTIES.iter().filter_map(|property| Some((property.name.into(), property.value(item)?)));
    named.filter(|(_, value)| fits(value)).collect()
}

impl Property {
    fn ask(&self, mail: bool) -> Option<String> {
        let kind = self.kind.wire();
        Some(match &self.path {
            Path::Field(uri, _) => format!(r#"<t:FieldURI FieldURI="{uri}"/>"#),
            Path::MailField(uri, _) if mail => format!(r#"<t:FieldURI FieldURI="{uri}"/>"#),
            Path::MailField(..) => return None,
            Path::Tag(tag) => {
                format!(r#"<t:ExtendedFieldURI PropertyTag="0x{tag:04X}" PropertyType="{kind}"/>"#)
            }
            Path::Numbered(set, number) => format!(
                r#"<t:ExtendedFieldURI DistinguishedPropertySetId="{}" PropertyId="{number}" PropertyType="{kind}"/>"#,
                set.name
            ),
        })
    }

    fn value(&self, item: &Element) -> Option<Value> {
        match &self.path {
            Path::Field(_, element) | Path::MailField(_, element) => self.kind.read(item.child(element)?),
            Path::Tag(tag) => self.kind.read(extended(item, |uri| tag_of(uri) == Some(*tag))?),
            Path::Numbered(set, number) => self.kind.read(extended(item, |uri| {
                let number_of = uri.attribute("PropertyId").and_then(|text| text.trim().parse().ok());
                let of_set = uri.attribute("DistinguishedPropertySetId").is_some_and(|name| name == set.name)
                    || uri.attribute("PropertySetId").is_some_and(|guid| guid.eq_ignore_ascii_case(set.guid));
                of_set && number_of == Some(*number)
            })?),
        }
    }
}

impl Type {
    fn wire(self) -> &'static str {
        match self {
            Self::Text | Self::Address => "String",
            Self::Integer => "Integer",
            Self::Boolean => "Boolean",
            Self::Time => "SystemTime",
            Self::Binary => "Binary",
            Self::Texts => "StringArray",
        }
    }

    /// Reads an element's text; what does not read as the type is left out.
    fn read(self, element: &Element) -> Option<Value> {
        let text = element.text.trim();
        match self {
            Self::Text => (!element.text.is_empty()).then(|| Value::Text(element.text.clone())),
            Self::Integer => text.parse().ok().map(Value::Int),
            Self::Boolean => boolean(text).map(Value::Bool),
            Self::Time => times::parse(text).map(Value::Time),
            Self::Binary => {
                base64::decode(text).filter(|bytes| !bytes.is_empty()).map(|bytes| Value::Text(hex(&bytes)))
            }
            Self::Texts => {
                let texts: Vec<Value> =
                    element.children.iter().map(|child| Value::Text(child.text.clone())).collect();
                (!texts.is_empty()).then_some(Value::List(texts))
            }
            Self::Address => {
                let address = element.path(&["Mailbox", "EmailAddress"])?.text.trim();
                (!address.is_empty()).then(|| Value::Text(address.to_owned()))
            }
        }
    }
}

/// The value of the extended property whose naming element fits.
pub(super) fn extended(item: &Element, fits: impl Fn(&Element) -> bool) -> Option<&Element> {
    item.children_named("ExtendedProperty")
        .find(|property| property.child("ExtendedFieldURI").is_some_and(&fits))
        .and_then(|property| property.child("Value").or_else(|| property.child("Values")))
}

/// A tag: servers write `0x0E07` as `0xe07` too.
pub(super) fn tag_of(uri: &Element) -> Option<u16> {
    let text = uri.attribute("PropertyTag")?.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A boolean of XML Schema.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn names_are_unique_and_mail_fields_only_asked_of_mail() {
        let mut names: Vec<_> = PROPERTIES.iter().map(|property| property.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PROPERTIES.len());
        assert!(wanted(true).contains("message:From") && !wanted(false).contains("message:"));
        assert!(wanted(false).contains(r#"PropertyTag="0x0E07" PropertyType="Integer""#));
    }

    #[test]
    fn values_read_in_the_order_of_the_table() {
        let item = tree_of(
            "<Message><Size>12</Size><Subject> x </Subject><Categories><String>Red</String></Categories><Importance/>\
             <ExtendedProperty><ExtendedFieldURI PropertyTag=\"0xe69\" PropertyType=\"Boolean\"/><Value>true</Value></ExtendedProperty>\
             <ExtendedProperty><ExtendedFieldURI PropertyTag=\"0x300b\" PropertyType=\"Binary\"/><Value>AQL/</Value></ExtendedProperty>\
             <ExtendedProperty><ExtendedFieldURI PropertySetId=\"00062008-0000-0000-C000-000000000046\" PropertyId=\"34096\" PropertyType=\"String\"/><Value>Follow up</Value></ExtendedProperty>\
             <From><Mailbox><Name>A</Name><EmailAddress>a@b.c</EmailAddress></Mailbox></From></Message>",
        );
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            read(&item),
            [
                ("subject".into(), text(" x ")),
                ("from".into(), text("a@b.c")),
                ("is_read".into(), Value::Bool(true)),
                ("categories".into(), Value::List(vec![text("Red")])),
                ("size".into(), Value::Int(12)),
                ("search_key".into(), text("0102ff")),
                ("flag_request".into(), text("Follow up")),
            ]
        );
    }
    #[test]
    fn what_is_kept_is_bounded() {
        let many = "<String>12345678</String>".repeat(10_000);
        let item =
            tree_of(&format!("<Message><Categories>{many}</Categories><Subject>x</Subject></Message>"));
        assert_eq!(read(&item), [("subject".into(), Value::Text("x".to_owned()))]);
    }
}
