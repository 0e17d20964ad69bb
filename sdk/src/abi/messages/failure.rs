//! An error as it crosses.

use std::{fmt, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Error, ErrorKind,
    codec::{self, Record},
    limits::ERROR_TEXT_BYTES_MAX,
};

/// Most causes that cross; the innermost are left out.
const CAUSES_MAX: usize = 16;

/// An error in numbers and texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// [`ErrorKind`] as a number.
    pub kind: u16,
    /// What failed, on what, why.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The stable code.
    pub code: Option<String>,
    /// How long to wait, in milliseconds.
    pub retry_ms: Option<u64>,
    /// The texts of what caused it, outermost first.
    pub causes: Vec<String>,
}

impl Record for Failure {
    const KIND: u16 = super::ANSWER | 3;
    const VERSION: u16 = 1;
}

impl Failure {
    /// An error as a message. Cannot fail: an error that does not encode is replaced by one that does.
    pub(crate) fn encode(error: &Error) -> Bytes {
        codec::encode(&Self::from(error)).unwrap_or_default().into()
    }

    /// A message as an error; what does not decode is an error of its own.
    pub(crate) fn decode(message: &[u8]) -> Error {
        codec::decode::<Self>(message).map_or_else(
            |error| Error::bug("failed with an error that does not decode").with_source(error),
            Error::from,
        )
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let first = std::error::Error::source(error);
        let causes = std::iter::successors(first, |cause| cause.source());
        Self {
            kind: error.kind() as u16,
            message: cut(error.message()),
            hint: error.hint().map(cut),
            code: error.code().map(cut),
            retry_ms: error.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            causes: causes.take(CAUSES_MAX).map(|cause| cut(&cause.to_string())).collect(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error = Error::new(ErrorKind::from_number(failure.kind), failure.message);
        if let Some(hint) = &failure.hint {
            error = error.with_hint(cut(hint));
        }
        if let Some(code) = &failure.code {
            error = error.with_code(cut(code));
        }
        if let Some(retry_ms) = failure.retry_ms {
            error = error.with_retry_after(Duration::from_millis(retry_ms));
        }
        let chain = failure.causes.iter().take(CAUSES_MAX).rev();
        match chain.fold(None, |inner, text| Some(Box::new(Cause { text: cut(text), inner }))) {
            Some(cause) => error.with_source(cause as Box<dyn std::error::Error + Send + Sync>),
            None => error,
        }
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(ERROR_TEXT_BYTES_MAX)].to_owned()
}

/// What remains of a cause on the far side: its text.
#[derive(Debug)]
struct Cause {
    text: String,
    inner: Option<Box<Cause>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.as_deref().map(|inner| inner as _)
    }
}
