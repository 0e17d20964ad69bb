//! Streaming XML: what EWS servers really send, read within fixed bounds.
//!
//! The layers, from the wire up: [`sanitise`] drops what XML forbids but Exchange sends, [`source`] feeds the parser and
//! bounds each event, [`pull`] walks the document, [`element`] holds small answers as a tree. Large base64 elements never
//! become a tree: [`pull::Pull::text_piece`] hands them on piece by piece.

pub(crate) mod element;
pub(crate) mod pull;
mod sanitise;
mod source;

#[cfg(test)]
mod tests;

pub(crate) use element::Element;
pub(crate) use pull::{Pull, Step, Tag};
pub(crate) use sanitise::is_xml_char;
pub(crate) use source::ByteStream;

/// Longest markup (a tag with its attributes, a comment) and longest text between two tags, in bytes. A sync state, the
/// largest text that is not streamed, has its own bound at the boundary: 4 MiB.
pub(crate) const EVENT_BYTES_MAX: usize = 8 << 20;
/// Deepest nesting of elements.
pub(crate) const DEPTH_MAX: usize = 64;
/// Most bytes of an answer that is held as a tree: names, attributes and text together.
pub(crate) const TREE_BYTES_MAX: usize = 16 << 20;

/// A document as a tree, for tests.
#[cfg(test)]
pub(crate) fn tree_of(text: &str) -> Element {
    use futures::{FutureExt, StreamExt, stream};
    let bytes = bytes::Bytes::copy_from_slice(text.as_bytes());
    let walk = async {
        let mut pull = Pull::new(stream::iter([Ok(bytes)]).boxed());
        let Ok(Step::Start(tag)) = pull.step().await else { panic!("no element in {text}") };
        pull.tree(tag).await.unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    walk.now_or_never().expect("a body in memory never waits")
}
