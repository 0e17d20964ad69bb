//! The error that crosses the boundary: a class that callers branch on, and words for people.

use std::{fmt, time::Duration};

use crate::limits::ERROR_TEXT_BYTES_MAX;

/// A result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, by what a caller can do about it. The numbers are the boundary's and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum ErrorKind {
    /// Asked too fast: wait for [`Error::retry_after`] and try again.
    RetryAfter = 1,
    /// Sign-in failed.
    Authentication = 2,
    /// Signed in, but not allowed.
    Denied = 3,
    /// It is not there.
    NotFound = 4,
    /// It is there already.
    AlreadyExists = 5,
    /// The other side cannot do this at all.
    Unsupported = 6,
    /// No room left.
    Full = 7,
    /// Not to be had now: the network, a server that is down, a lock. Trying later may help.
    Unavailable = 8,
    /// This one item is damaged or refused; the others are not concerned.
    CorruptItem = 9,
    /// The options are wrong.
    Configuration = 10,
    /// The host asked to stop.
    Cancelled = 11,
    /// A mistake in the program.
    Bug = 12,
}

impl ErrorKind {
    /// Every kind, for tests and tables.
    pub const ALL: [ErrorKind; 12] = [
        Self::RetryAfter,
        Self::Authentication,
        Self::Denied,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Unsupported,
        Self::Full,
        Self::Unavailable,
        Self::CorruptItem,
        Self::Configuration,
        Self::Cancelled,
        Self::Bug,
    ];

    /// The kind of a number; unknown numbers, from a newer side, are [`ErrorKind::Bug`].
    pub fn from_number(number: u16) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number).unwrap_or(Self::Bug)
    }

    /// The words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryAfter => "asked to wait",
            Self::Authentication => "sign-in failed",
            Self::Denied => "not allowed",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Unsupported => "not supported",
            Self::Full => "no room left",
            Self::Unavailable => "not available now",
            Self::CorruptItem => "damaged item",
            Self::Configuration => "wrong configuration",
            Self::Cancelled => "cancelled",
            Self::Bug => "internal error",
        }
    }
}

/// What failed, on what, why, and what to do. Holds no secret.
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    code: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind. The message says what failed, on what, and why, in one line.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > ERROR_TEXT_BYTES_MAX {
            message.truncate(message.floor_char_boundary(ERROR_TEXT_BYTES_MAX));
        }
        Self { kind, message, hint: None, code: None, retry_after: None, source: None }
    }
    /// A mistake in the program.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }
    /// The host asked to stop.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }
    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Adds a stable code for the explanation pages: lower case, words joined by `-`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
    /// Adds how long to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
    /// Keeps what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
    /// Puts words before the message: `reading "a.txt": …`.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
    /// The class.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
    /// What failed, on what, and why.
    pub fn message(&self) -> &str {
        &self.message
    }
    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
    /// The stable code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
    /// How long to wait before trying again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
    /// True if the same call may succeed later without anyone's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ErrorKind::RetryAfter | ErrorKind::Unavailable)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
