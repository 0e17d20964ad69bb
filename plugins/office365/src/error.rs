//! What a refusal means, in words an operator can act on.

use std::time::Duration;

use larder_sdk::{Error, ErrorKind, Finding, FindingLevel};

use crate::codes::{self, Code};

/// Why an account or a part of the tenant cannot be used, said once and shown wherever it matters. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// Stable: lower case, words joined by `-`.
    pub(crate) code: &'static str,
    pub(crate) kind: ErrorKind,
    /// One plain sentence.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: &'static str,
    /// How soon another try may help; none: not before somebody acts, which may be noticed much later.
    pub(crate) again_after: Option<Duration>,
}

impl Explanation {
    /// An explanation of a refusal that lasts until somebody acts.
    pub(crate) fn lasting(code: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self { code, kind: ErrorKind::Authentication, message: message.into(), hint, again_after: None }
    }
    /// What the table says of a refusal that lasts until somebody acts.
    pub(crate) fn of(code: &'static Code) -> Self {
        Self::lasting(code.code, code.sentence, code.remedy)
    }
    /// What the table says of something that passes.
    pub(crate) fn of_passing(code: &'static Code, again: Duration) -> Self {
        Self::passing(code.code, code.sentence, code.remedy, again)
    }
    /// The same, with what is known of this case after the table's sentence.
    #[must_use]
    pub(crate) fn saying(mut self, detail: &str) -> Self {
        if !detail.is_empty() {
            self.message.push_str(": ");
            self.message.push_str(detail);
        }
        self
    }
    /// An explanation of something that passes.
    pub(crate) fn passing(
        code: &'static str,
        message: impl Into<String>,
        hint: &'static str,
        again: Duration,
    ) -> Self {
        Self { code, kind: ErrorKind::Unavailable, message: message.into(), hint, again_after: Some(again) }
    }
    /// The same, of another kind.
    #[must_use]
    pub(crate) fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }
    /// True if waiting alone may help.
    pub(crate) fn passes(&self) -> bool {
        self.again_after.is_some()
    }
    /// As an error about `subject`.
    pub(crate) fn error(&self, subject: &str) -> Error {
        let error = Error::new(self.kind, format!("{subject}: {}", self.message)).with_code(self.code);
        let error = if self.hint.is_empty() { error } else { error.with_hint(self.hint) };
        match self.again_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
    /// As a finding about `subject`.
    pub(crate) fn finding(&self, level: FindingLevel, subject: &str) -> Finding {
        Finding {
            level,
            subject: subject.to_owned(),
            code: self.code.to_owned(),
            message: self.message.clone(),
            hint: hint(level, self.code, (!self.hint.is_empty()).then_some(self.hint)),
        }
    }
}

/// A finding's hint: what to do, and where the page says more.
fn hint(level: FindingLevel, code: &str, remedy: Option<&str>) -> Option<String> {
    let known = codes::of(code);
    let remedy = remedy.or(known.map(|known| known.remedy)).filter(|remedy| !remedy.is_empty());
    // What is well needs no page.
    let page = known.filter(|_| level != FindingLevel::Good).map(Code::page);
    match (remedy, page) {
        (Some(remedy), Some(page)) => Some(format!("{remedy} ({page})")),
        (None, Some(page)) => Some(page),
        (remedy, None) => remedy.map(str::to_owned),
    }
}

/// An error as a finding about `subject`; `code` stands in for errors that bring none.
pub(crate) fn finding_of(error: &Error, level: FindingLevel, subject: &str, code: &str) -> Finding {
    let code = error.code().unwrap_or(code);
    Finding {
        level,
        subject: subject.to_owned(),
        code: code.to_owned(),
        message: error.message().to_owned(),
        hint: hint(level, code, error.hint()),
    }
}

/// A finding that something is as it should be.
pub(crate) fn good(subject: &str, code: &str, message: impl Into<String>) -> Finding {
    Finding {
        level: FindingLevel::Good,
        subject: subject.to_owned(),
        code: code.to_owned(),
        message: message.into(),
        hint: None,
    }
}
