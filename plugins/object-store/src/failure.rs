//! What went wrong with one request, as facts: before it is tried again, and before it is put into words.

use std::time::Duration;

/// What one request came to.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// Why one try failed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The server answered, and not with success.
    Answered(Answer),
    /// No answer came.
    Unanswered {
        /// Host and port that were asked.
        host: String,
        /// How far it got.
        stage: Stage,
        /// The deepest cause, in the system's or a library's words.
        cause: String,
    },
    /// The answer holds another number of bytes than it should.
    WrongLength {
        /// Bytes asked for or announced.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// The range goes past the object's end.
    PastEnd {
        /// The object's size in bytes.
        size: u64,
    },
    /// The object is larger than an object may be.
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// Anything else, in a library's words.
    Other(String),
}

/// How far a request without an answer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No connection was made.
    Connecting,
    /// There was a connection, and it broke.
    Broken,
    /// There was a connection, and nothing came in time.
    Silent,
}

/// An answer that is no success.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// The request's method.
    pub(crate) method: String,
    /// Host and port that were asked.
    pub(crate) host: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The store's own word for it, `NoSuchBucket` say.
    pub(crate) code: Option<String>,
    /// The store's own sentence, cut to a line.
    pub(crate) message: Option<String>,
    /// How long the store asks to wait.
    pub(crate) retry_after: Option<Duration>,
}

/// Whether the same request may succeed if it is made again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// No.
    Never,
    /// Yes, after the usual wait or the one the store asks for, whichever is longer.
    After(Option<Duration>),
    /// Perhaps, but each try costs much, or little speaks for it: at most so many more.
    Times(u32),
}

impl Failure {
    /// What a store without puts that fail if the object is there would have answered.
    pub(crate) fn already_there() -> Self {
        Self::Answered(Answer { status: 412, ..Answer::default() })
    }

    /// Whether another try makes sense.
    pub(crate) fn again(&self) -> Again {
        match self {
            Self::Answered(answer) => answer.again(),
            Self::Unanswered { stage: Stage::Silent, .. } => Again::Times(1),
            Self::Unanswered { .. } | Self::WrongLength { .. } => Again::After(None),
            Self::PastEnd { .. } | Self::TooLarge { .. } | Self::Other(_) => Again::Never,
        }
    }

    /// True if the store says that the object is not there.
    pub(crate) fn is_missing_object(&self) -> bool {
        matches!(self, Self::Answered(answer) if answer.status == 404 && !answer.is_missing_bucket())
    }
}

impl Answer {
    /// True if the bucket or container itself is not there.
    pub(crate) fn is_missing_bucket(&self) -> bool {
        self.has_code(&["NoSuchBucket", "ContainerNotFound"])
    }

    /// True if the store uses one of these words.
    pub(crate) fn has_code(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }

    fn again(&self) -> Again {
        match self.status {
            408 | 423 | 425 | 429 | 500 | 502..=504 => Again::After(self.retry_after),
            // A conditional put met another one that is not settled yet.
            409 if self.has_code(&["ConditionalRequestConflict", "OperationAborted"]) => Again::After(None),
            // `WebDAV`: somebody else made, or removed, a folder between two of our requests.
            403 | 405 | 409 if self.method == "MKCOL" => Again::Times(3),
            _ => Again::Never,
        }
    }
}
