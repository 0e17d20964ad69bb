//! What a source implements.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Container, Event, Offer, ReaderHost, Result};

/// Where items come from. One instance serves one backup set; its methods may be called at the same time.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Checks, without reading data, that the source can be read: reachable, signed in, allowed. Quick: seconds.
    ///
    /// Problems are findings, not errors; an error means that nothing could be checked at all.
    async fn validate(&self) -> Result<Vec<Finding>>;

    /// Lists what can be backed up under the set's options.
    async fn discover(&self) -> Result<Discovery>;

    /// Opens a container for reading from its cursors, which `host` tells. Several containers may be read at once.
    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>>;
}

/// What [`Source::discover`] found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Discovery {
    /// The containers, each id once.
    pub containers: Vec<Container>,
    /// What people should know: parts that could not be listed, and why.
    pub findings: Vec<Finding>,
}

/// One result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub level: FindingLevel,
    /// What was checked: an account, a site, a folder.
    pub subject: String,
    /// A stable code: lower case, words joined by `-`.
    pub code: String,
    /// One plain sentence: what is so.
    pub message: String,
    /// What to do about it, if anything.
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Worth knowing; a backup works.
    Warning,
    /// A backup of this subject will not work.
    Error,
}

/// Reads one container: first what is owed, then what changed, or everything.
///
/// The host calls [`Reader::next`] until a batch comes back empty. After each batch it says which offers it wants, and
/// has their streams opened; up to [`crate::limits::OPEN_BODIES_MAX`] bodies are open at once, in any order, while `next` goes on. One
/// batch is prepared ahead: `next` may be called before the host is done with what the call before it returned.
///
/// Rules a reader keeps:
/// - what [`ReaderHost::owed`] lists is offered, deleted or unread again, before changes are asked for;
/// - a listing from nothing lies between `Begin` and `End`, which are left out when only changes are told;
/// - `Settled` comes only when everything the cursor covers has been said.
#[async_trait]
pub trait Reader: Send + Sync + 'static {
    /// The next batch: about [`crate::limits::BATCH_BYTES`] or [`crate::limits::BATCH_EVENTS_MAX`] events at most. Empty at the end.
    async fn next(&self) -> Result<Vec<Event>>;

    /// Opens stream number `stream` of an offered item. May be called again after an error.
    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>>;

    /// Opens several small streams at once, each the stream of this number of an offered item: one result for each, in order. Their
    /// known sizes are together at most a few MiB. May be called again after an error, for some of them or all.
    ///
    /// Only for readers to which opening streams together comes cheaper than [`Reader::open`] for each of them: without it, or where it
    /// gives `None`, that is called for several at a time.
    async fn open_together(&self, _wants: &[(Arc<Offer>, usize)]) -> Option<Vec<Result<Box<dyn Body>>>> {
        None
    }
}

/// A stream's bytes, from the beginning.
#[async_trait]
pub trait Body: Send + 'static {
    /// The next piece: 1 to [`crate::limits::PIECE_BYTES_MAX`] bytes; `None` at the end. An error ends the body.
    async fn read(&mut self) -> Result<Option<Bytes>>;

    /// All that is left, if it is in memory and no more than [`crate::limits::PIECE_BYTES_MAX`] bytes; the body is then over. A short
    /// way for small contents: a body without one is read piece by piece.
    fn take_ready(&mut self) -> Option<Bytes> {
        None
    }
}

/// A body that is in memory already.
pub struct ReadyBody(Bytes);

impl ReadyBody {
    /// Wraps the bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

#[async_trait]
impl Body for ReadyBody {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        let piece = self.0.split_to(self.0.len().min(crate::limits::PIECE_BYTES_MAX));
        Ok((!piece.is_empty()).then_some(piece))
    }

    fn take_ready(&mut self) -> Option<Bytes> {
        (self.0.len() <= crate::limits::PIECE_BYTES_MAX).then(|| std::mem::take(&mut self.0))
    }
}
