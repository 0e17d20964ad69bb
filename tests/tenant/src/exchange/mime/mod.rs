//! Mail formats: composing messages, iCalendar and vCard from what an item holds, and reading messages clients bring.

mod calendar;
mod compose;
mod contact;
mod parse;
mod words;

pub(crate) use calendar::{Event, compose_event, read_event};
pub(crate) use compose::{Body, Draft, compose};
pub(crate) use contact::{Card, compose_card};
pub(crate) use parse::parse;
pub(crate) use words::encode_words;

use super::content::{Blob, Content};

/// What an attachment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AttachmentBody {
    /// A file.
    File(Blob),
    /// A message.
    Message(Content),
}

/// An attachment of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) content_type: String,
    /// Without angle brackets.
    pub(crate) content_id: Option<String>,
    /// Shown in the body rather than in the list.
    pub(crate) inline: bool,
    pub(crate) body: AttachmentBody,
}

impl Attachment {
    /// Size of the body in bytes.
    pub(crate) fn size(&self) -> u64 {
        match &self.body {
            AttachmentBody::File(blob) => blob.len(),
            AttachmentBody::Message(content) => content.len(),
        }
    }
}

/// A name and address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contactable {
    pub(crate) name: String,
    pub(crate) address: String,
}
