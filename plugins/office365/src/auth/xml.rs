//! The little XML that sign-in needs: texts by element name, and escaping.

use quick_xml::{Reader, events::Event};

/// Most elements looked at; sign-in answers have a few dozen.
const ELEMENTS_MAX: usize = 10_000;

/// The elements of a document with text of their own: local name and unescaped text, in order of their ends.
///
/// `None` if it is no XML.
pub(super) fn texts(document: &str) -> Option<Vec<(String, String)>> {
    let mut reader = Reader::from_str(document);
    let mut open: Vec<(String, String)> = Vec::new();
    let mut found = Vec::new();
    let mut any = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                any = true;
                if found.len() + open.len() >= ELEMENTS_MAX {
                    return None;
                }
                open.push((String::from(start.local_name().as_ref()), String::new()));
            }
            Event::End(_) => found.push(open.pop()?),
            Event::Text(text) => {
                if let Some((_, own)) = open.last_mut() {
                    own.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some((_, own)) = open.last_mut() {
                    own.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                let (_, own) = open.last_mut()?;
                match reference.resolve_char_ref().ok()? {
                    Some(character) => own.push(character),
                    None => own
                        .push_str(quick_xml::escape::resolve_predefined_entity(&reference.xml10_content())?),
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    (any && open.is_empty()).then_some(found)
}

/// Text as it may stand in an element or attribute.
pub(super) fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_and_unescaped() {
        let found = texts("<a:x xmlns:a='u'><b>t=1&amp;p=&#x41;</b><c/><d><![CDATA[<]]></d></a:x>").unwrap();
        let text = |name: &str| found.iter().find(|(local, _)| local == name).map(|(_, text)| text.as_str());
        assert_eq!(text("b"), Some("t=1&p=A"));
        assert_eq!(text("d"), Some("<"));
        assert!(texts("<a><b></a>").is_none() && texts("no").is_none() && texts("<a>").is_none());
        assert_eq!(escape("<&>\"'"), "&lt;&amp;&gt;&quot;&apos;");
    }
}
