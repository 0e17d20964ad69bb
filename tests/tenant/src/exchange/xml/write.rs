//! Writes elements as text segments, with streamed base64 content between them.

use std::fmt::Write as _;

use super::Element;
use super::read::is_legal;
use crate::exchange::content::Content;

/// A piece of an answer's body.
#[derive(Debug)]
pub(crate) enum Segment {
    /// Finished XML text.
    Text(String),
    /// Bytes still to be made and encoded while the answer is sent.
    Base64(Content),
}

/// What to do with characters XML 1.0 forbids but mailboxes hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IllegalCharacters {
    /// As Exchange does: `&#x1;`, which strict parsers refuse.
    Reference,
    /// Leave them out.
    Drop,
}

/// An answer under construction.
#[derive(Debug)]
pub(crate) struct Output {
    done: Vec<Segment>,
    text: String,
    illegal: IllegalCharacters,
}

impl Output {
    /// An empty answer; `references` says whether illegal characters are written as numeric references.
    pub(crate) const fn new(references: bool) -> Self {
        let illegal = if references { IllegalCharacters::Reference } else { IllegalCharacters::Drop };
        Self { done: Vec::new(), text: String::new(), illegal }
    }

    /// Appends markup as it is.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    /// Appends an element and all below it.
    pub(crate) fn element(&mut self, element: &Element) {
        let prefix = element.space.prefix();
        self.text.push('<');
        self.text.push_str(prefix);
        self.text.push_str(&element.name);
        for (name, value) in &element.attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
        }
        if element.children.is_empty() && element.text.is_empty() && element.payload.is_none() {
            self.text.push_str("/>");
            return;
        }
        self.text.push('>');
        if element.children.is_empty() {
            self.escaped(&element.text);
        }
        if let Some(content) = &element.payload {
            self.done.push(Segment::Text(std::mem::take(&mut self.text)));
            self.done.push(Segment::Base64(content.clone()));
        }
        for child in &element.children {
            self.element(child);
        }
        self.text.push_str("</");
        self.text.push_str(prefix);
        self.text.push_str(&element.name);
        self.text.push('>');
    }

    /// The finished segments, in order.
    pub(crate) fn finish(mut self) -> Vec<Segment> {
        self.done.push(Segment::Text(self.text));
        self.done
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\r' => self.text.push_str("&#xD;"),
                character if is_legal(character) => self.text.push(character),
                character => {
                    if self.illegal == IllegalCharacters::Reference {
                        let _ = write!(self.text, "&#x{:X};", u32::from(character));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::read;

    fn text(element: &Element, references: bool) -> String {
        let mut output = Output::new(references);
        output.element(element);
        output
            .finish()
            .into_iter()
            .map(|segment| match segment {
                Segment::Text(text) => text,
                Segment::Base64(_) => "[]".to_owned(),
            })
            .collect()
    }

    #[test]
    fn written_elements_read_back() {
        let element = Element::value("Subject", "a & b < c\r\n\u{1f600}").with_attribute("K", "\"x\"");
        let written = text(&element, true);
        let body = written.replacen(
            "<t:Subject",
            "<t:Subject xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\"",
            1,
        );
        let back = read(&body).expect("what is written can be read");
        assert_eq!(back.text, element.text);
        assert_eq!(back.attribute("K"), Some("\"x\""));
    }

    #[test]
    fn illegal_characters_follow_the_switch() {
        let element = Element::value("Subject", "a\u{1}b");
        assert_eq!(text(&element, true), "<t:Subject>a&#x1;b</t:Subject>");
        assert_eq!(text(&element, false), "<t:Subject>ab</t:Subject>");
    }

    #[test]
    fn content_is_a_segment_of_its_own() {
        let element = Element::types("MimeContent").with_payload(Content::from_bytes(b"x".to_vec()));
        assert_eq!(text(&element, true), "<t:MimeContent>[]</t:MimeContent>");
    }
}
