//! XML as EWS uses it: a small element tree, a strict bounded reader and a writer that can hold streamed content.

mod element;
mod read;
mod write;

pub(crate) use element::{Element, Space};
pub(crate) use read::{Position, ReadError, read};
pub(crate) use write::{Output, Segment};
