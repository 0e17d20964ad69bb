//! What is said across the boundary: the operations, and one struct per operation and version.
//!
//! Every message is a record of [`crate::codec`]. A request's kind is its operation's number, an answer's the same with
//! [`ANSWER`] set. A released struct never changes: a new field is a new version, and a new operation a new number. The
//! structs of the model that stand in here (items, containers, findings …) are bound by the same rule; golden bytes hold them.

mod batch;
mod failure;

use serde::{Deserialize, Serialize};

pub use batch::{Batch, Incoming, encode_batch};
pub use failure::Failure;

use crate::{
    Capabilities, Container, Cursor, Error, ErrorKind, Finding, Item, ItemId, ListPage, LogLevel, ObjectInfo,
    ObjectKey, Owed, PluginInfo, Result, ScopeId, SecretRef, codec::Record,
};

/// Set in the kind of an answer.
pub const ANSWER: u16 = 0x8000;

/// What an instance is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Role {
    /// A [`crate::Source`].
    Source = 1,
    /// A [`crate::Destination`].
    Destination = 2,
}

impl Role {
    /// The role of a number.
    pub fn from_number(number: u32) -> Result<Self> {
        match number {
            1 => Ok(Self::Source),
            2 => Ok(Self::Destination),
            other => Err(Error::new(ErrorKind::Unsupported, format!("role {other} is unknown"))),
        }
    }
}

/// Defines the operations with their numbers.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)+) => {
        /// The operations by number: 0x10… on an instance of a source, 0x11… on a reader, 0x12… on a body, 0x13… on an instance of a
        /// destination, 0x18… on the host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum Op { $($(#[$doc])* $name = $number,)+ }

        impl Op {
            /// The operation of a number.
            pub fn from_number(number: u32) -> Result<Self> {
                match number {
                    $($number => Ok(Self::$name),)+
                    other => Err(Error::new(ErrorKind::Unsupported, format!("operation {other:#x} is unknown"))),
                }
            }
            /// The number.
            pub const fn number(self) -> u32 {
                self as u32
            }
        }
    };
}

operations! {
    /// [`Validate`] → [`Findings`].
    Validate = 0x1001,
    /// [`Discover`] → [`Discovered`].
    Discover = 0x1002,
    /// [`DiscoverMore`], on the handle that [`Discovered::rest`] names → [`Discovered`].
    DiscoverMore = 0x1003,
    /// [`Read`] → [`Opened`] with a reader's handle.
    Read = 0x1004,
    /// [`Next`] → [`Batch`].
    Next = 0x1101,
    /// [`AnswerOffers`] → [`Done`].
    AnswerOffers = 0x1102,
    /// [`Fetch`] → [`Fetched`], contents as payload.
    Fetch = 0x1103,
    /// [`Finish`] → [`Done`].
    Finish = 0x1104,
    /// [`ReadBody`] → [`Piece`], its bytes as payload.
    ReadBody = 0x1201,
    /// [`AskCapabilities`] → [`TheseCapabilities`].
    Capabilities = 0x1301,
    /// [`Put`] with a payload → [`Done`].
    Put = 0x1302,
    /// [`PutIfAbsent`] with a payload → [`Done`].
    PutIfAbsent = 0x1303,
    /// [`Get`] → [`Done`], the object as payload.
    Get = 0x1304,
    /// [`GetRange`] → [`Done`], the range as payload.
    GetRange = 0x1305,
    /// [`Stat`] → [`ThisObject`].
    Head = 0x1306,
    /// [`List`] → [`ThisPage`].
    List = 0x1307,
    /// [`Delete`] → [`Done`].
    Delete = 0x1308,
    /// Host: [`Log`] → [`Done`].
    Log = 0x1801,
    /// Host: [`AskSecret`] → [`ThisSecret`].
    Secret = 0x1802,
    /// Host: [`AskScopes`] → [`TheseScopes`].
    Scopes = 0x1803,
    /// Host: [`AskCursor`] → [`ThisCursor`].
    Cursor = 0x1804,
    /// Host: [`AskItem`] → [`ThisItem`].
    Item = 0x1805,
    /// Host: [`AskOwed`] → [`TheseOwed`].
    Owed = 0x1806,
    /// Host: [`Progress`] → [`Done`].
    Progress = 0x1807,
    /// Host: [`Waited`] → [`Done`].
    Waited = 0x1808,
}

/// Defines messages: structs with the numbers of their envelopes.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident = $kind:expr, version $version:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl Record for $name {
            const KIND: u16 = $kind;
            const VERSION: u16 = $version;
        }
    )+};
}

messages! {
    /// The answer that says no more than that it worked.
    Done = ANSWER, version 1 {}
    /// Who the plugin is.
    Described = ANSWER | 1, version 1 {
        /// As the plugin says.
        info: PluginInfo,
    }
    /// Something was opened.
    Opened = ANSWER | 2, version 1 {
        /// Its handle.
        handle: u64,
    }

    /// Check the source.
    Validate = Op::Validate as u16, version 1 {}
    /// What a check found.
    Findings = ANSWER | Op::Validate as u16, version 1 {
        /// In the plugin's order.
        findings: Vec<Finding>,
    }
    /// List the containers.
    Discover = Op::Discover as u16, version 1 {}
    /// List further containers.
    DiscoverMore = Op::DiscoverMore as u16, version 1 {}
    /// A page of containers.
    Discovered = ANSWER | Op::Discover as u16, version 1 {
        /// Those of this page.
        containers: Vec<Container>,
        /// On the first page only.
        findings: Vec<Finding>,
        /// A handle for the pages that follow; the host closes it.
        rest: Option<u64>,
    }
    /// Open a container.
    Read = Op::Read as u16, version 1 {
        /// Which.
        container: Container,
        /// The number of the reader's services on the host's side.
        services: u64,
    }

    /// Ask for the next batch.
    Next = Op::Next as u16, version 1 {}
    /// Say which offers of the last batch are wanted, one entry each, in order.
    AnswerOffers = Op::AnswerOffers as u16, version 1 {
        /// True for those to be kept.
        wanted: Vec<bool>,
    }
    /// Ask for streams.
    Fetch = Op::Fetch as u16, version 1 {
        /// Number of the offer, and of the stream within it.
        wants: Vec<(u64, u32)>,
    }
    /// What came of the wants, in their order. The payload holds the bytes of all of them, one after the other.
    Fetched = ANSWER | Op::Fetch as u16, version 1 {
        /// One for each want.
        results: Vec<FetchResult>,
    }
    /// Let go of offers.
    Finish = Op::Finish as u16, version 1 {
        /// Their numbers.
        offers: Vec<u64>,
    }
    /// Ask for a body's next piece.
    ReadBody = Op::ReadBody as u16, version 1 {}
    /// The piece is the payload.
    Piece = ANSWER | Op::ReadBody as u16, version 1 {
        /// True if there is none: the body has ended.
        end: bool,
    }

    /// Ask what the store can do.
    AskCapabilities = Op::Capabilities as u16, version 1 {}
    /// What it can do.
    TheseCapabilities = ANSWER | Op::Capabilities as u16, version 1 {
        /// As the plugin says.
        capabilities: Capabilities,
    }
    /// Write the payload.
    Put = Op::Put as u16, version 1 {
        /// Its name.
        key: ObjectKey,
    }
    /// Write the payload if nothing has that name.
    PutIfAbsent = Op::PutIfAbsent as u16, version 1 {
        /// Its name.
        key: ObjectKey,
    }
    /// Read an object.
    Get = Op::Get as u16, version 1 {
        /// Its name.
        key: ObjectKey,
    }
    /// Read a part of an object.
    GetRange = Op::GetRange as u16, version 1 {
        /// Its name.
        key: ObjectKey,
        /// First byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    }
    /// Ask for size and time.
    Stat = Op::Head as u16, version 1 {
        /// The object's name.
        key: ObjectKey,
    }
    /// Size and time.
    ThisObject = ANSWER | Op::Head as u16, version 1 {
        /// As the store says.
        info: ObjectInfo,
    }
    /// Ask for a page of a folder.
    List = Op::List as u16, version 1 {
        /// Which folder; empty for the top.
        folder: String,
        /// From the page before.
        token: Option<String>,
    }
    /// A page of a folder.
    ThisPage = ANSWER | Op::List as u16, version 1 {
        /// As the store says.
        page: ListPage,
    }
    /// Remove an object.
    Delete = Op::Delete as u16, version 1 {
        /// Its name.
        key: ObjectKey,
    }

    /// Write a log line.
    Log = Op::Log as u16, version 1 {
        /// How important.
        level: LogLevel,
        /// The line.
        text: String,
    }
    /// Find a secret.
    AskSecret = Op::Secret as u16, version 1 {
        /// Where.
        reference: SecretRef,
    }
    /// Ask for the scopes that have a cursor.
    AskScopes = Op::Scopes as u16, version 1 {
        /// From [`Read`].
        services: u64,
    }
    /// The scopes.
    TheseScopes = ANSWER | Op::Scopes as u16, version 1 {
        /// Those with a cursor.
        scopes: Vec<ScopeId>,
    }
    /// Ask for a scope's cursor.
    AskCursor = Op::Cursor as u16, version 1 {
        /// From [`Read`].
        services: u64,
        /// Which scope.
        scope: ScopeId,
    }
    /// A cursor.
    ThisCursor = ANSWER | Op::Cursor as u16, version 1 {
        /// As last settled.
        cursor: Option<Cursor>,
    }
    /// Ask for an item's last state.
    AskItem = Op::Item as u16, version 1 {
        /// From [`Read`].
        services: u64,
        /// Which item.
        id: ItemId,
    }
    /// An item's last state.
    ThisItem = ANSWER | Op::Item as u16, version 1 {
        /// `None` if it is not known.
        item: Option<Item>,
    }
    /// Ask for items owed.
    AskOwed = Op::Owed as u16, version 1 {
        /// From [`Read`].
        services: u64,
        /// With ids after this one.
        after: Option<ItemId>,
        /// How many at most.
        most: u64,
    }
    /// Items owed.
    TheseOwed = ANSWER | Op::Owed as u16, version 1 {
        /// In order of id.
        owed: Vec<Owed>,
    }
    /// Note that a reader has waited.
    Waited = Op::Waited as u16, version 1 {
        /// The reader's services.
        services: u64,
        /// For whose leave: for people.
        on: String,
        /// For how long, in milliseconds.
        millis: u64,
    }
    /// Show what a reader is doing.
    Progress = Op::Progress as u16, version 1 {
        /// From [`Read`].
        services: u64,
        /// In a few words.
        text: String,
    }
}

/// What came of one want. Lengths say how many bytes of the payload belong to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FetchResult {
    /// The whole content.
    Whole {
        /// Its length in bytes.
        length: u64,
    },
    /// The content's beginning, perhaps none of it yet, and a handle to read on with; the host closes it.
    Open {
        /// Length of the beginning in bytes.
        length: u64,
        /// The body's handle.
        body: u64,
    },
    /// An error of this stream alone.
    Failed(Failure),
}

/// A secret's value. Apart from the others because it must not be printed.
#[derive(Serialize, Deserialize)]
pub struct ThisSecret {
    /// The value.
    pub value: String,
}

impl Record for ThisSecret {
    const KIND: u16 = ANSWER | Op::Secret as u16;
    const VERSION: u16 = 1;
}

#[cfg(test)]
mod tests;
