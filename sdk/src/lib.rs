//! What a Larder plugin is written against.
//!
//! A *source* yields items, a *destination* holds objects; both are traits with async methods, and [`export_plugin!`] turns an
//! implementation into a library that the engine loads. `docs/plugin-guide.md` walks through a whole plugin.

pub mod abi;
mod bytestring;
pub mod codec;
mod destination;
mod error;
mod host;
mod item;
pub mod limits;
mod plugin;
mod runtime;
mod schema;
mod secret;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod value;
mod word;

pub use async_trait::async_trait;
pub use bytes::Bytes;

pub use destination::{Capabilities, Destination, ListPage, ObjectInfo, ObjectKey};
pub use error::{Error, ErrorKind, Result};
pub use host::{Host, HostServices, LogLevel, Owed, ReaderHost, ReaderServices};
pub use item::{
    Container, ContainerId, Cursor, Event, Item, ItemId, Kind, Name, Offer, Posix, ScopeId, StreamInfo, Tag,
    Unread,
};
pub use plugin::{Explained, Plugin, PluginInfo};
pub use schema::{Key, Schema, Takes};
pub use secret::{Secret, SecretRef};
pub use source::{Body, Discovery, Finding, FindingLevel, Reader, ReadyBody, Source};
pub use time::Time;
pub use value::Value;
pub use word::Word;
