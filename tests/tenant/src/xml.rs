//! Small XML documents from clients, as a tree: token requests, views.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

/// Largest document read, in bytes.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting.
const DEPTH_MAX: usize = 32;
/// Most elements.
const ELEMENTS_MAX: usize = 2000;

/// An element with its namespace resolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Element {
    pub(crate) space: String,
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The first element of this local name below, at any depth.
    pub(crate) fn find(&self, name: &str) -> Option<&Element> {
        self.children.iter().find_map(|child| if child.name == name { Some(child) } else { child.find(name) })
    }

    /// The first child of this namespace and name.
    pub(crate) fn child(&self, space: &str, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name && child.space == space)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(mine, _)| mine == name).map(|(_, value)| value.as_str())
    }
}

/// Reads the one element `body` holds; none if it is no well-formed XML within the bounds.
pub(crate) fn read(body: &str) -> Option<Element> {
    if body.len() > DOCUMENT_BYTES_MAX {
        return None;
    }
    let mut reader = NsReader::from_str(body);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut count = 0;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                count += 1;
                if open.len() == DEPTH_MAX || count > ELEMENTS_MAX || root.is_some() {
                    return None;
                }
                open.push(element(&reader, &start)?);
            }
            Event::Empty(start) => close(element(&reader, &start)?, &mut open, &mut root)?,
            Event::End(_) => {
                let done = open.pop()?;
                close(done, &mut open, &mut root)?;
            }
            Event::Text(text) => push_text(&mut open, &text.xml10_content())?,
            Event::CData(text) => push_text(&mut open, &text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let text = match reference.resolve_char_ref().ok()? {
                    Some(letter) => letter.to_string(),
                    None => {
                        quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())?.to_string()
                    }
                };
                push_text(&mut open, &text)?;
            }
            Event::DocType(_) => return None,
            Event::Eof => return if open.is_empty() { root } else { None },
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

fn close(done: Element, open: &mut [Element], root: &mut Option<Element>) -> Option<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(done),
        None if root.is_none() => *root = Some(done),
        None => return None,
    }
    Some(())
}

fn push_text(open: &mut [Element], text: &str) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_matches('\u{feff}').trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

fn element(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Option<Element> {
    let (resolved, local) = reader.resolver().resolve_element(start.name());
    let space = match resolved {
        ResolveResult::Bound(space) => space.into_inner().to_string(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(_) => return None,
    };
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        if attribute.key.as_namespace_binding().is_none() {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?;
            attributes.push((attribute.key.local_name().into_inner().to_string(), value.into_owned()));
        }
    }
    let name = local.into_inner().to_string();
    Some(Element { space, name, attributes, text: String::new(), children: Vec::new() })
}

/// Text as it stands inside an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_unescaped_and_namespaces_resolved() {
        let root =
            read("<a:x xmlns:a=\"urn:a\" k=\"1 &amp; 2\"><a:y>P@ss&lt;1&gt;&amp;&quot;</a:y></a:x>").unwrap();
        assert_eq!((root.space.as_str(), root.attribute("k")), ("urn:a", Some("1 & 2")));
        assert_eq!(root.child("urn:a", "y").unwrap().text, "P@ss<1>&\"");
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for body in ["<a>", "<a>&</a>", "<a>&nope;</a>", "<a/><b/>", "x", "<p:a/>", "<!DOCTYPE a []><a/>"] {
            assert!(read(body).is_none(), "{body}");
        }
        assert!(read(&"<a>".repeat(100_000)).is_none());
    }
}
