//! Walks a document step by step, with bounds on depth and sizes, no document types and no entities of its own.

use larder_sdk::{Error, ErrorKind, Result};
use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesRef, BytesStart, Event},
};
use tokio::io::AsyncBufReadExt;

use super::{ByteStream, DEPTH_MAX, Element, TREE_BYTES_MAX, source::Source};

/// A start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The name without its prefix: servers choose prefixes freely.
    pub(crate) name: String,
    /// Attributes by name without prefix, in order; namespace declarations left out.
    pub(crate) attributes: Vec<(String, String)>,
}

impl Tag {
    /// An attribute's value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// One step through a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An element begins. Its end follows, even if it was written `<a/>`.
    Start(Tag),
    /// Some text, references resolved; text may come in several steps.
    Text(String),
    /// The innermost open element ends.
    End,
    /// The document is complete: its root has ended and nothing but white space followed.
    Done,
}

/// The walk through one answer.
pub(crate) struct Pull {
    reader: Reader<Source>,
    buffer: Vec<u8>,
    depth: usize,
    rooted: bool,
    /// An empty element's end is still to be told.
    closing: bool,
}

impl Pull {
    /// Begins at the first byte of a body.
    pub(crate) fn new(stream: ByteStream) -> Self {
        let mut reader = Reader::from_reader(Source::new(stream));
        reader.config_mut().check_end_names = true;
        Self { reader, buffer: Vec::new(), depth: 0, rooted: false, closing: false }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The next step. An error ends the walk.
    pub(crate) async fn step(&mut self) -> Result<Step> {
        loop {
            if std::mem::take(&mut self.closing) {
                self.depth -= 1;
                return Ok(Step::End);
            }
            self.buffer.clear();
            self.reader.get_mut().allow();
            let event = match self.reader.read_event_into_async(&mut self.buffer).await {
                Ok(event) => event,
                Err(error) => return Err(failure(&mut self.reader, &error)),
            };
            match event {
                Event::Start(start) => {
                    let tag = tag(&start)?;
                    self.open()?;
                    return Ok(Step::Start(tag));
                }
                Event::Empty(start) => {
                    let tag = tag(&start)?;
                    self.open()?;
                    self.closing = true;
                    return Ok(Step::Start(tag));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Step::End);
                }
                Event::Text(text) => {
                    let text = text.xml10_content().into_owned();
                    if self.depth > 0 {
                        return Ok(Step::Text(text));
                    }
                    outside(&text)?;
                }
                Event::CData(text) => {
                    let text = text.xml10_content().into_owned();
                    if self.depth > 0 {
                        return Ok(Step::Text(text));
                    }
                    outside(&text)?;
                }
                Event::GeneralRef(reference) => {
                    let text = resolve(&reference)?;
                    if self.depth > 0 {
                        return Ok(Step::Text(text));
                    }
                    outside(&text)?;
                }
                Event::DocType(_) => return Err(malformed("it declares a document type")),
                Event::Eof => return self.end_of_input(),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    /// The element that `tag` began, with all in it, as a tree of at most [`TREE_BYTES_MAX`].
    pub(crate) async fn tree(&mut self, tag: Tag) -> Result<Element> {
        let mut budget = TREE_BYTES_MAX;
        let mut open = vec![Element::new(tag)];
        loop {
            let step = self.step().await?;
            let cost = match &step {
                Step::Start(tag) => {
                    64 + tag.name.len() + tag.attributes.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>()
                }
                Step::Text(text) => text.len(),
                Step::End | Step::Done => 0,
            };
            budget = budget
                .checked_sub(cost)
                .ok_or_else(|| malformed(&format!("an answer of over {TREE_BYTES_MAX} bytes")))?;
            match step {
                Step::Start(tag) => open.push(Element::new(tag)),
                Step::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                }
                Step::End => {
                    let Some(element) = open.pop() else {
                        return Err(malformed("an end without a start"));
                    };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Step::Done => return Err(malformed("it ends within an element")),
            }
        }
    }

    /// Passes over the element that has just begun.
    pub(crate) async fn skip(&mut self) -> Result<()> {
        let outer = self.depth.saturating_sub(1);
        while self.depth > outer {
            if self.step().await? == Step::Done {
                return Err(malformed("it ends within an element"));
            }
        }
        Ok(())
    }

    /// The next piece of the text of the element that has just begun, as raw bytes, however long the text is. `None`
    /// once its end tag has been read. Other elements in it are an error.
    pub(crate) async fn text_piece(&mut self) -> Result<Option<Vec<u8>>> {
        if !self.closing {
            self.reader.get_mut().allow();
            let mut stream = self.reader.stream();
            let plain = match stream.fill_buf().await {
                Ok(available) => {
                    let end = available
                        .iter()
                        .position(|byte| matches!(byte, b'<' | b'&'))
                        .unwrap_or(available.len());
                    available[..end].to_vec()
                }
                Err(error) => {
                    return Err(failure(&mut self.reader, &quick_xml::Error::from(error)));
                }
            };
            if !plain.is_empty() {
                stream.consume(plain.len());
                return Ok(Some(plain));
            }
        }
        match self.step().await? {
            Step::Text(text) => Ok(Some(text.into_bytes())),
            Step::End => Ok(None),
            Step::Start(tag) => Err(malformed(&format!("<{}> stands where only text may", tag.name))),
            Step::Done => Err(malformed("it ends within an element")),
        }
    }

    fn open(&mut self) -> Result<()> {
        if self.depth == 0 && std::mem::replace(&mut self.rooted, true) {
            return Err(malformed("a second root element"));
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(malformed(&format!("elements nested over {DEPTH_MAX} deep")));
        }
        Ok(())
    }

    fn end_of_input(&self) -> Result<Step> {
        if self.depth == 0 && self.rooted {
            return Ok(Step::Done);
        }
        Err(Error::new(ErrorKind::Unavailable, "the server's answer ended before it was complete")
            .with_code("ews-answer-truncated"))
    }
}

fn tag(start: &BytesStart<'_>) -> Result<Tag> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| malformed(&error.to_string()))?;
        let name = attribute.key.as_ref();
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| malformed(&error.to_string()))?;
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value.into_owned()));
    }
    Ok(Tag { name: start.local_name().as_ref().to_owned(), attributes })
}

/// A character reference, or one of the five entities that XML itself has.
fn resolve(reference: &BytesRef<'_>) -> Result<String> {
    match reference.resolve_char_ref() {
        Ok(Some(char)) => return Ok(char.to_string()),
        Ok(None) => {}
        Err(error) => return Err(malformed(&error.to_string())),
    }
    let name = reference.xml10_content();
    resolve_xml_entity(&name)
        .map(str::to_owned)
        .ok_or_else(|| malformed(&format!("the entity \"{name}\" is not XML's own")))
}

/// Text outside the root: only white space may stand there.
fn outside(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Ok(());
    }
    if text.contains("Truncated Data") {
        return Err(Error::new(ErrorKind::Unavailable, "the server cut its answer short (Truncated Data)")
            .with_code("ews-answer-truncated"));
    }
    Err(malformed("text outside its root element"))
}

fn failure(reader: &mut Reader<Source>, error: &quick_xml::Error) -> Error {
    reader.get_mut().take_failure().unwrap_or_else(|| malformed(&error.to_string()))
}

/// An answer that is no well-formed document within our bounds. Damage on the way is as likely as a fault of the server,
/// so that trying again is worth it.
pub(crate) fn malformed(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the server's answer cannot be read: {why}"))
        .with_code("ews-answer-malformed")
}
