//! Which properties a request asks for: item and folder shapes, field paths, extended property names.

use super::answer::Failure;
use super::fields::{self, Field, Level};
use super::world::PropertyKey;
use super::xml::Element;

/// The GUIDs of the distinguished property sets.
const SETS: [(&str, &str); 10] = [
    ("Address", "00062004-0000-0000-c000-000000000046"),
    ("Appointment", "00062002-0000-0000-c000-000000000046"),
    ("CalendarAssistant", "11000e07-b51b-40d6-af21-caa85edab1d0"),
    ("Common", "00062008-0000-0000-c000-000000000046"),
    ("InternetHeaders", "00020386-0000-0000-c000-000000000046"),
    ("Meeting", "6ed8da90-450b-101b-98da-00aa003f1305"),
    ("PublicStrings", "00020329-0000-0000-c000-000000000046"),
    ("Sharing", "00062040-0000-0000-c000-000000000046"),
    ("Task", "00062003-0000-0000-c000-000000000046"),
    ("UnifiedMessaging", "4442858e-a9e3-4e80-b900-317a210cc15b"),
];

/// An extended property a request names.
#[derive(Clone, Debug)]
pub(crate) struct ExtendedField {
    pub(crate) key: PropertyKey,
    /// The type's name, such as `Integer` or `StringArray`.
    pub(crate) kind: String,
    /// The naming element, given back with the value.
    pub(crate) uri: Element,
}

impl ExtendedField {
    /// Reads an `ExtendedFieldURI`.
    pub(crate) fn read(uri: &Element) -> Result<Self, Failure> {
        let invalid = || {
            Failure::new(
                "ErrorInvalidExtendedProperty",
                "The extended property attribute combination is invalid.",
            )
        };
        let kind = uri.attribute("PropertyType").ok_or_else(invalid)?.to_owned();
        if matches!(kind.trim_end_matches("Array"), "Object" | "Null" | "Error") {
            return Err(Failure::new(
                "ErrorUnsupportedPropertyDefinition",
                "The property cannot be used with this type of request.",
            ));
        }
        let set = match (uri.attribute("DistinguishedPropertySetId"), uri.attribute("PropertySetId")) {
            (Some(name), None) => {
                Some(SETS.iter().find(|(known, _)| *known == name).ok_or_else(invalid)?.1.to_owned())
            }
            (None, Some(guid)) => Some(guid.to_ascii_lowercase()),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(invalid()),
        };
        let named = (uri.attribute("PropertyName"), uri.attribute("PropertyId"));
        let key = match (uri.attribute("PropertyTag"), set, named) {
            (Some(tag), None, (None, None)) => PropertyKey::Tag(read_tag(tag).ok_or_else(invalid)?),
            (None, Some(set), (Some(name), None)) => PropertyKey::Name { set, name: name.to_owned() },
            (None, Some(set), (None, Some(number))) => {
                PropertyKey::Number { set, number: number.parse().map_err(|_| invalid())? }
            }
            _ => return Err(invalid()),
        };
        let mut uri = uri.clone();
        uri.children.clear();
        uri.text.clear();
        Ok(Self { key, kind, uri })
    }
}

/// A tag in hexadecimal with `0x`, or in decimal; tags of the named range are refused.
fn read_tag(text: &str) -> Option<u16> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let tag = hex.map_or_else(|| text.parse().ok(), |digits| u16::from_str_radix(digits, 16).ok())?;
    (!(0x8000..=0xfffe).contains(&tag)).then_some(tag)
}

/// A property a request sets, deletes, sorts by or asks for.
#[derive(Clone, Debug)]
pub(crate) enum Path {
    /// A whole property.
    Field(&'static Field),
    /// One entry of a property, by its full URI and index.
    Indexed { field: &'static Field, uri: String, index: String },
    /// An extended property.
    Extended(ExtendedField),
}

impl Path {
    /// Reads the path among the children of `parent`; other children are values.
    pub(crate) fn read_in(parent: &Element) -> Result<Self, Failure> {
        let uris = ["FieldURI", "IndexedFieldURI", "ExtendedFieldURI"];
        let uri = parent.children.iter().find(|child| uris.contains(&child.name.as_str()));
        uri.map_or_else(|| Err(invalid_property()), Self::read)
    }

    /// Reads one path element.
    pub(crate) fn read(uri: &Element) -> Result<Self, Failure> {
        let name = uri.attribute("FieldURI").unwrap_or_default();
        match uri.name.as_str() {
            "FieldURI" => fields::find(name).map(Self::Field).ok_or_else(invalid_property),
            "IndexedFieldURI" => {
                let field = fields::find_indexed(name).ok_or_else(invalid_property)?;
                let index = uri.attribute("FieldIndex").unwrap_or_default().to_owned();
                Ok(Self::Indexed { field, uri: name.to_owned(), index })
            }
            "ExtendedFieldURI" => ExtendedField::read(uri).map(Self::Extended),
            _ => Err(invalid_property()),
        }
    }
}

fn invalid_property() -> Failure {
    Failure::new("ErrorInvalidPropertyRequest", "Property is not valid for this object type.")
}

/// What an `ItemShape`, `FolderShape` or `AttachmentShape` asks for.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Fields up to this level come unasked.
    pub(crate) level: Level,
    pub(crate) mime: bool,
    pub(crate) named: Vec<&'static Field>,
    pub(crate) extended: Vec<ExtendedField>,
}

impl Shape {
    /// Reads a shape element; a missing one asks for ids only.
    pub(crate) fn read(shape: Option<&Element>) -> Result<Self, Failure> {
        let mut wanted = Self { level: Level::Id, mime: false, named: Vec::new(), extended: Vec::new() };
        let Some(shape) = shape else { return Ok(wanted) };
        wanted.level = match shape.child_text("BaseShape") {
            Some("AllProperties") => Level::All,
            Some("Default") => Level::Default,
            _ => Level::Id,
        };
        wanted.mime = matches!(shape.child_text("IncludeMimeContent"), Some("true" | "1"));
        for uri in shape.child("AdditionalProperties").map_or(&[][..], |list| list.children.as_slice()) {
            match Path::read(uri)? {
                Path::Field(field) if field.element == "MimeContent" => wanted.mime = true,
                Path::Field(field) | Path::Indexed { field, .. } => wanted.named.push(field),
                Path::Extended(field) => wanted.extended.push(field),
            }
        }
        Ok(wanted)
    }

    /// Whether a field is to be in the answer.
    pub(crate) fn wants(&self, field: &Field) -> bool {
        field.level <= self.level || self.named.contains(&field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(attributes: &[(&str, &str)]) -> Element {
        attributes
            .iter()
            .fold(Element::types("ExtendedFieldURI"), |uri, (name, value)| uri.with_attribute(name, *value))
    }

    #[test]
    fn extended_names_have_one_canonical_form() {
        let key =
            |attributes: &[(&str, &str)]| ExtendedField::read(&uri(attributes)).map(|field| field.key).ok();
        let tag = key(&[("PropertyTag", "0x0E07"), ("PropertyType", "Integer")]);
        assert_eq!(tag, Some(PropertyKey::Tag(0x0e07)));
        assert_eq!(tag, key(&[("PropertyTag", "3591"), ("PropertyType", "Integer")]));
        let by_name = key(&[
            ("DistinguishedPropertySetId", "PublicStrings"),
            ("PropertyName", "Keywords"),
            ("PropertyType", "StringArray"),
        ]);
        let by_guid = key(&[
            ("PropertySetId", "00020329-0000-0000-C000-000000000046"),
            ("PropertyName", "Keywords"),
            ("PropertyType", "StringArray"),
        ]);
        assert!(by_name.is_some());
        assert_eq!(by_name, by_guid);
    }

    #[test]
    fn contradictory_extended_names_are_refused() {
        for attributes in [
            &[("PropertyTag", "0x0E07")][..],
            &[("PropertyTag", "0x8001"), ("PropertyType", "Integer")],
            &[("PropertyTag", "0x0E07"), ("PropertyName", "x"), ("PropertyType", "Integer")],
            &[("PropertyName", "x"), ("PropertyType", "String")],
            &[("DistinguishedPropertySetId", "Nonsense"), ("PropertyName", "x"), ("PropertyType", "String")],
            &[("DistinguishedPropertySetId", "Common"), ("PropertyType", "String")],
            &[("PropertyTag", "0x1000"), ("PropertyType", "Object")],
        ] {
            assert!(ExtendedField::read(&uri(attributes)).is_err(), "{attributes:?}");
        }
    }
}
