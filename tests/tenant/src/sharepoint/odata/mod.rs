//! The OData dialect of SharePoint's REST: addresses, query options, entities and their three JSON forms.

mod entity;
mod filter;
mod format;
mod options;
mod path;
mod render;

pub(crate) use entity::{Entity, Prop};
pub(crate) use filter::{Filter, compare};
pub(crate) use format::Format;
pub(crate) use options::QueryOptions;
pub(crate) use path::{Literal, ResourcePath, Segment, decode};
pub(crate) use render::Renderer;
