//! Failures in words: which class, what failed on what and why, and what to do about it.

use larder_sdk::{Error, ErrorKind};

use crate::{
    failure::{Answer, Failure, Stage},
    options::Mask,
};

/// What was being done when something failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// `writing`, `reading` …
    pub(crate) doing: &'static str,
    /// The object or folder.
    pub(crate) name: &'a str,
    /// The store, for people.
    pub(crate) place: &'a str,
    /// True if the object had to be absent.
    pub(crate) create: bool,
}

/// A class with its stable code and hint.
type Class = (ErrorKind, &'static str, &'static str);

const CREDENTIALS: Class = (
    ErrorKind::Authentication,
    "store-credentials",
    "check user, key and password in the repository's options",
);
const EXPIRED: Class =
    (ErrorKind::Authentication, "store-credentials", "the token has expired: get a new one");
const CLOCK: Class = (ErrorKind::Authentication, "store-clock", "this machine's clock is wrong: set it");
const NO_CREDENTIALS: Class = (
    ErrorKind::Authentication,
    "store-credentials",
    "no credentials were given and this machine has none of its own: add them to the repository's options",
);
const DENIED: Class = (
    ErrorKind::Denied,
    "store-denied",
    "allow this account to list, read, write and delete here; a wrong key can look the same",
);
const BUCKET: Class =
    (ErrorKind::NotFound, "store-bucket", "create it first, or correct its name in the repository's URL");
const MISSING: Class = (ErrorKind::NotFound, "store-missing", "");
const EXISTS: Class = (ErrorKind::AlreadyExists, "store-exists", "");
const REGION: Class = (
    ErrorKind::Configuration,
    "store-region",
    "set the bucket's own region, or the server's address, in the options",
);
const FULL: Class = (ErrorKind::Full, "store-full", "free room in the store, or raise its quota");
const LIMIT: Class =
    (ErrorKind::Unsupported, "store-limit", "raise the server's limit for uploads to 128 MiB or more");
const ARCHIVED: Class =
    (ErrorKind::Unavailable, "store-archived", "the object is in an archive tier: recall it first");
const RANGE: Class = (ErrorKind::CorruptItem, "store-range", "");
const BUSY: Class =
    (ErrorKind::Unavailable, "store-busy", "the store has trouble of its own: try again later");
const SLOW_DOWN: Class = (ErrorKind::RetryAfter, "store-busy", "");
const METHOD: Class =
    (ErrorKind::Unsupported, "store-method", "is WebDAV switched on for this address, with writing allowed?");
const REFUSED: Class = (ErrorKind::Unsupported, "store-refused", "");

/// The words that stores use where the status alone does not tell.
const BY_CODE: &[(&[&str], Class)] = &[
    (&["NoSuchBucket", "ContainerNotFound"], BUCKET),
    (
        &[
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AuthenticationFailed",
            "InvalidAuthenticationInfo",
            "InvalidToken",
            "InvalidSecurity",
            "NoAuthenticationInformation",
            "AuthorizationQueryParametersError",
        ],
        CREDENTIALS,
    ),
    (&["ExpiredToken", "TokenRefreshRequired"], EXPIRED),
    (&["RequestTimeTooSkewed"], CLOCK),
    (&["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"], REGION),
    (&["QuotaExceeded", "QuotaExceededException", "XMinioStorageFull", "InsufficientStorage"], FULL),
    (&["EntityTooLarge", "RequestBodyTooLarge"], LIMIT),
    (&["InvalidObjectState", "BlobArchived"], ARCHIVED),
    (&["BlobAlreadyExists"], EXISTS),
];

impl Failure {
    /// Puts it into words. Everything that others wrote is masked.
    pub(crate) fn explain(&self, call: Call<'_>, mask: &Mask) -> Error {
        let Call { doing, name, place, .. } = call;
        let subject = if name.is_empty() { place.to_owned() } else { format!("`{name}` in {place}") };
        let (class, why) = match self {
            Self::Answered(answer) => (answer.class(call), answer.words()),
            Self::Unanswered { host, .. } if is_metadata_service(host) => {
                (NO_CREDENTIALS, "there are no credentials".to_owned())
            }
            Self::Unanswered { host, stage, cause } => (stage.class(cause), stage.words(host, cause)),
            Self::WrongLength { expected, found } => {
                (RANGE, format!("{found} bytes are there where {expected} were expected"))
            }
            Self::PastEnd { size } => (RANGE, format!("it has only {size} bytes")),
            Self::TooLarge { size } => (RANGE, format!("it has {size} bytes, more than an object may have")),
            Self::Other(text) => (REFUSED, text.clone()),
        };
        let (kind, code, hint) = class;
        let error = Error::new(kind, mask.apply(&format!("{doing} {subject}: {why}"))).with_code(code);
        let error = if hint.is_empty() { error } else { error.with_hint(hint) };
        match self {
            Self::Answered(Answer { retry_after: Some(wait), .. }) => error.with_retry_after(*wait),
            _ => error,
        }
    }
}

impl Stage {
    fn class(self, cause: &str) -> Class {
        let hint = match self {
            Self::Connecting if cause.contains("certificate") => {
                "the server's certificate is not trusted: name the one to trust with `ca_certificate`"
            }
            Self::Connecting if cause.contains("dns error") || cause.contains("lookup") => {
                "is the host's name right, and is there a network?"
            }
            Self::Connecting => "is the address right, is the server up, does a firewall stand between?",
            Self::Broken | Self::Silent => "the network or the server has trouble: try again later",
        };
        (ErrorKind::Unavailable, "store-unreachable", hint)
    }

    fn words(self, host: &str, cause: &str) -> String {
        match self {
            Self::Connecting => format!("{host} cannot be reached: {cause}"),
            Self::Broken => format!("the connection to {host} broke: {cause}"),
            Self::Silent => format!("{host} did not answer in time: {cause}"),
        }
    }
}

impl Answer {
    fn class(&self, call: Call<'_>) -> Class {
        if is_metadata_service(&self.host) {
            return NO_CREDENTIALS;
        }
        // Azure's word for this is the one for rights; its sentence tells them apart.
        if self
            .message
            .as_deref()
            .is_some_and(|message| message.contains("failed to authenticate the request"))
        {
            return CREDENTIALS;
        }
        let by_code = BY_CODE.iter().find(|(codes, _)| self.has_code(codes)).map(|(_, class)| *class);
        by_code.unwrap_or_else(|| self.class_by_status(call.create))
    }

    fn class_by_status(&self, create: bool) -> Class {
        match self.status {
            401 | 407 => CREDENTIALS,
            403 => DENIED,
            404 => MISSING,
            304 | 409 | 412 if create => EXISTS,
            405 => METHOD,
            413 => LIMIT,
            416 => RANGE,
            507 => FULL,
            429 | 503 if self.retry_after.is_some() => SLOW_DOWN,
            408 | 409 | 423 | 425 | 429 | 500 | 502..=504 => BUSY,
            300..=399 => REGION,
            _ => REFUSED,
        }
    }

    fn words(&self) -> String {
        let mut words = match (self.status, self.is_missing_bucket()) {
            (404, false) => "it is not there".to_owned(),
            (_, true) => "the bucket does not exist".to_owned(),
            (304 | 412, _) => "it is there already".to_owned(),
            (status, _) => format!("{} answered {status}", self.host),
        };
        if self.status != 404 {
            for part in [&self.code, &self.message].into_iter().flatten() {
                words = format!("{words}: {part}");
            }
        }
        words
    }
}

/// True for the addresses where machines in a cloud ask for their own credentials.
fn is_metadata_service(host: &str) -> bool {
    ["169.254.", "metadata.google.internal"].iter().any(|start| host.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn explained(answer: Answer, create: bool) -> Error {
        let call = Call { doing: "writing", name: "a/b", place: "s3://box", create };
        Failure::Answered(answer).explain(call, &Mask::default())
    }

    fn answer(status: u16, code: &str) -> Answer {
        let code = (!code.is_empty()).then(|| code.to_owned());
        Answer { status, code, host: "host:1".into(), ..Answer::default() }
    }

    #[test]
    fn answers_have_their_class() {
        let cases = [
            (answer(404, "NoSuchBucket"), false, ErrorKind::NotFound),
            (answer(404, "NoSuchKey"), false, ErrorKind::NotFound),
            (answer(403, "SignatureDoesNotMatch"), false, ErrorKind::Authentication),
            (answer(403, "AccessDenied"), false, ErrorKind::Denied),
            (answer(403, ""), false, ErrorKind::Denied),
            (answer(401, ""), false, ErrorKind::Authentication),
            (answer(412, "PreconditionFailed"), true, ErrorKind::AlreadyExists),
            (answer(409, "BlobAlreadyExists"), true, ErrorKind::AlreadyExists),
            (answer(409, ""), false, ErrorKind::Unavailable),
            (answer(301, "PermanentRedirect"), false, ErrorKind::Configuration),
            (answer(507, ""), false, ErrorKind::Full),
            (answer(416, "InvalidRange"), false, ErrorKind::CorruptItem),
            (answer(503, "SlowDown"), false, ErrorKind::Unavailable),
            (answer(405, ""), false, ErrorKind::Unsupported),
            (answer(418, ""), false, ErrorKind::Unsupported),
        ];
        for (answer, create, kind) in cases {
            let error = explained(answer.clone(), create);
            assert_eq!(error.kind(), kind, "{answer:?}");
            assert!(error.message().starts_with("writing `a/b` in s3://box: "), "{error:?}");
        }
    }

    #[test]
    fn a_wait_that_the_store_asks_for_is_handed_on() {
        let wait = Duration::from_secs(90);
        let error = explained(Answer { retry_after: Some(wait), ..answer(429, "") }, false);
        assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RetryAfter, Some(wait)));
    }

    #[test]
    fn missing_credentials_are_told_apart_from_a_dead_network() {
        let failure = |host: &str| Failure::Unanswered {
            host: host.into(),
            stage: Stage::Connecting,
            cause: "Connection refused".into(),
        };
        let call = Call { doing: "reading", name: "", place: "s3://box", create: false };
        let explain = |host| failure(host).explain(call, &Mask::default());
        assert_eq!(explain("169.254.169.254").kind(), ErrorKind::Authentication);
        let error = explain("127.0.0.1:9");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.message(), "reading s3://box: 127.0.0.1:9 cannot be reached: Connection refused");
    }
}
