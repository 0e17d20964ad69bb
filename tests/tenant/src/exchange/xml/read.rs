//! Reads a request body into an [`Element`]: strict (no DTD, no illegal characters) and bounded in depth and count.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::{Element, Space};

/// Nesting no EWS request comes near.
const DEPTH_MAX: usize = 64;
/// Elements in one request: thousands of ids are usual, millions are an attack.
const ELEMENTS_MAX: usize = 500_000;

/// A place in a request, counted from 1 as .NET does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// Line and column of byte `offset` in `body`.
    pub(crate) fn of(body: &str, offset: usize) -> Self {
        let before = &body.as_bytes()[..offset.min(body.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Self { line, column }
    }
}

/// Why a body is not a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Not XML at all.
    #[error("the request is not well-formed XML near byte {offset}: {reason}")]
    Malformed { offset: usize, reason: String },
    /// A character XML 1.0 forbids, raw or as a reference.
    #[error("'{character}', hexadecimal value 0x{value:02X}, is an invalid character.")]
    IllegalCharacter { offset: usize, character: String, value: u32 },
    /// Deeper or longer than any real request.
    #[error("the request is too deep or has too many elements")]
    TooLarge { offset: usize },
}

impl ReadError {
    /// Where reading stopped, in bytes.
    pub(crate) const fn offset(&self) -> usize {
        match self {
            Self::Malformed { offset, .. }
            | Self::IllegalCharacter { offset, .. }
            | Self::TooLarge { offset } => *offset,
        }
    }
}

/// Reads the one document in `body`.
pub(crate) fn read(body: &str) -> Result<Element, ReadError> {
    if let Some((offset, character)) = body.char_indices().find(|(_, character)| !is_legal(*character)) {
        return Err(illegal(offset, character));
    }
    let mut reader = NsReader::from_str(body);
    let mut builder = Builder { open: Vec::new(), root: None, count: 0 };
    loop {
        let offset = offset_of(&reader);
        let event = reader.read_event().map_err(|error| malformed(offset, &error))?;
        match event {
            Event::Start(start) => {
                let element = open(&reader, &start, offset)?;
                builder.start(element)?;
            }
            Event::Empty(start) => {
                let element = open(&reader, &start, offset)?;
                builder.start(element)?;
                builder.end();
            }
            Event::End(_) => builder.end(),
            Event::Text(text) => builder.text(&text.xml10_content(), offset)?,
            Event::CData(text) => builder.text(&text.xml10_content(), offset)?,
            Event::GeneralRef(reference) => {
                let text = resolve(&reference, offset)?;
                builder.text(&text, offset)?;
            }
            Event::DocType(_) => return Err(malformed(offset, &"DTD is prohibited in this XML document")),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    if !builder.open.is_empty() {
        return Err(malformed(body.len(), &"unexpected end of file"));
    }
    builder.root.ok_or_else(|| malformed(body.len(), &"root element is missing"))
}

/// The stack of open elements.
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    count: usize,
}

impl Builder {
    fn start(&mut self, element: Element) -> Result<(), ReadError> {
        self.count += 1;
        if self.open.len() >= DEPTH_MAX || self.count > ELEMENTS_MAX {
            return Err(ReadError::TooLarge { offset: element.offset });
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(malformed(element.offset, &"there are multiple root elements"));
        }
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) {
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str, offset: usize) -> Result<(), ReadError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_matches(['\u{feff}', ' ', '\r', '\n', '\t']).is_empty() => {}
            None => return Err(malformed(offset, &"data at the root level is invalid")),
        }
        Ok(())
    }
}

fn open(reader: &NsReader<&[u8]>, start: &BytesStart<'_>, offset: usize) -> Result<Element, ReadError> {
    let (resolved, local) = reader.resolver().resolve_element(start.name());
    let space = match resolved {
        ResolveResult::Bound(namespace) => Space::of(namespace.into_inner()),
        ResolveResult::Unbound => Space::Foreign,
        ResolveResult::Unknown(prefix) => {
            return Err(malformed(offset, &format!("'{prefix:?}' is an undeclared prefix")));
        }
    };
    let mut element = Element::new(space, local.into_inner());
    element.offset = offset;
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed(offset, &error))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|error| malformed(offset, &error))?;
        if let Some(character) = value.chars().find(|character| !is_legal(*character)) {
            return Err(illegal(offset, character));
        }
        element.attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
    }
    Ok(element)
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>, offset: usize) -> Result<String, ReadError> {
    if reference.is_char_ref() {
        let character = reference.resolve_char_ref().map_err(|error| malformed(offset, &error))?;
        return match character {
            Some(character) if is_legal(character) => Ok(character.to_string()),
            Some(character) => Err(illegal(offset, character)),
            None => Err(malformed(offset, &"bad character reference")),
        };
    }
    let name = reference.xml10_content();
    quick_xml::escape::resolve_predefined_entity(&name)
        .map(str::to_owned)
        .ok_or_else(|| malformed(offset, &format!("reference to undeclared entity '{name}'")))
}

fn offset_of(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// Whether XML 1.0 allows the character.
pub(super) const fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn illegal(offset: usize, character: char) -> ReadError {
    ReadError::IllegalCharacter {
        offset,
        character: character.escape_default().to_string(),
        value: u32::from(character),
    }
}

fn malformed(offset: usize, reason: &dyn std::fmt::Display) -> ReadError {
    ReadError::Malformed { offset, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

    #[test]
    fn names_text_and_attributes_are_resolved() {
        let body = format!(
            "<?xml version=\"1.0\"?>\n<x:A xmlns:x=\"{TYPES}\" K=\"a&amp;b\"><B>1 &lt; <![CDATA[2 & 3]]>&#x41;</B></x:A>"
        );
        let root = read(&body).expect("well-formed");
        assert_eq!((root.space, root.name.as_str()), (Space::Types, "A"));
        assert_eq!(root.attribute("K"), Some("a&b"));
        let child = &root.children[0];
        assert_eq!((child.space, child.text.as_str()), (Space::Foreign, "1 < 2 & 3A"));
        assert_eq!(Position::of(&body, root.offset), Position { line: 2, column: 1 });
    }

    #[test]
    fn the_documentations_https_namespaces_are_foreign() {
        let root =
            read(&format!("<A xmlns=\"{}\"/>", TYPES.replace("http:", "https:"))).expect("well-formed");
        assert_eq!(root.space, Space::Foreign);
    }

    #[test]
    fn illegal_characters_are_refused_raw_and_as_references() {
        for body in ["<A>\u{1}</A>", "<A>&#x1;</A>", "<A b=\"&#11;\"/>", "<A>\u{fffe}</A>"] {
            assert!(matches!(read(body), Err(ReadError::IllegalCharacter { .. })), "{body:?}");
        }
    }

    #[test]
    fn broken_documents_are_refused() {
        for body in [
            "",
            "text",
            "<A>",
            "<A></B>",
            "<A/><B/>",
            "<A/>text",
            "<!DOCTYPE a><A/>",
            "<A>&nbsp;</A>",
            "<p:A/>",
            "<A b=1/>",
        ] {
            assert!(matches!(read(body), Err(ReadError::Malformed { .. })), "{body:?} was accepted");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "<A>".repeat(DEPTH_MAX + 1) + &"</A>".repeat(DEPTH_MAX + 1);
        assert!(matches!(read(&deep), Err(ReadError::TooLarge { .. })));
    }
}
