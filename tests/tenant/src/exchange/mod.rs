//! Exchange web services over Basic authentication: mailboxes, folders and items behind `/EWS/Exchange.asmx`.
//!
//! [`World`] is what the server holds and how it behaves ([`Switches`]); [`router`] serves it.

mod access;
mod answer;
mod content;
mod convert;
mod fields;
mod ids;
mod mime;
mod ops;
mod render;
mod request;
mod schema;
mod serve;
mod shape;
mod switches;
mod sync_state;
mod world;
mod xml;

pub use serve::router;
pub use switches::Switches;
pub use world::World;
