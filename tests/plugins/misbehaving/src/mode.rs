//! Which rule is broken.

use larder_sdk::{Error, ErrorKind, Result};
use serde::Deserialize;

/// Which rule is broken. In options, words joined by `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    Good,
    PanicOpen,
    PanicValidate,
    PanicDiscover,
    PanicRead,
    PanicNext,
    PanicFetch,
    PanicBody,
    PanicClose,
    PanicCancel,
    PanicPut,
    PanicCapabilities,
    /// Awaits what never comes: may be cancelled.
    StallNext,
    StallBody,
    /// Holds the thread: can only be given up.
    BlockNext,
    BlockCancel,
    BlockClose,
    OversizeItem,
    LongId,
    EmptyId,
    DotName,
    SlashName,
    ZeroName,
    TwinStreams,
    ManyStreams,
    ManyEvents,
    EndlessListing,
    TwinContainers,
    DeepValue,
    EmptyPiece,
    OversizePiece,
    EndlessBody,
    GarbageAnswer,
    WrongKind,
    CutAnswer,
    HugeCount,
    EmptyAnswer,
    ExtraPayload,
    MissingPayload,
    FalseHandle,
    ShortRange,
    OutsideList,
    EndlessList,
}

impl Mode {
    /// From the options.
    pub(crate) fn parse(options: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Flat {
            mode: Mode,
        }
        #[derive(Deserialize)]
        struct Nested {
            options: Flat,
        }
        // A source's options are the table itself, a destination's stand beside its URL.
        serde_json::from_str::<Flat>(options)
            .or_else(|_| serde_json::from_str::<Nested>(options).map(|nested| nested.options))
            .map(|Flat { mode }| mode)
            .map_err(|error| {
                Error::new(ErrorKind::Configuration, "which rule is to be broken?").with_source(error)
            })
    }
}
