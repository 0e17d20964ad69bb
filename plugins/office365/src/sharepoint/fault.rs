//! SharePoint's error answers, told apart by number, never by their localised text.

use larder_sdk::{Error, ErrorKind};
use serde_json::Value as Json;

use crate::{error::Explanation, http::Response};

/// Longest part of an answer that is looked at for an error, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;

/// The code of [`Fault::Threshold`].
pub(super) const THRESHOLD: &str = "list-threshold";
/// The code of [`Fault::PastEnd`].
pub(super) const PAST_END: &str = "range-past-end";

/// What an answer without success means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The account lacks permission.
    Denied,
    /// It is not there, or no longer.
    NotFound,
    /// Someone or something holds it.
    Locked,
    /// Malware was found in it.
    Infected,
    /// The list view threshold was met.
    Threshold,
    /// The range asked for begins at or after the end.
    PastEnd,
    /// A fault of the service, which may pass.
    Passing,
    /// Anything else.
    Other,
}

/// A fault with what the service said about it.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) fault: Fault,
    status: u16,
    said: String,
}

impl Told {
    /// Reads an answer without success.
    pub(super) async fn read(response: Response) -> Self {
        let status = response.status();
        let infected = response.is_infected();
        let body = response.bytes(BODY_BYTES_MAX).await.unwrap_or_default();
        let (number, said) = parse(&body);
        let fault = if infected { Fault::Infected } else { classify(status, number) };
        Self { fault, status, said }
    }

    /// As an error about `what`.
    pub(super) fn error(&self, what: &str) -> Error {
        let (kind, code, why) = match self.fault {
            Fault::Denied => (ErrorKind::Denied, "denied", "no account of the pool may read it"),
            Fault::NotFound => (ErrorKind::NotFound, "not-found", "it is not there"),
            Fault::Locked => (ErrorKind::Unavailable, "locked", "it is locked"),
            Fault::Infected => (
                ErrorKind::CorruptItem,
                "infected",
                "the service found malware in it and does not give it out",
            ),
            Fault::PastEnd => (ErrorKind::CorruptItem, PAST_END, "there is nothing after its end"),
            Fault::Threshold => (ErrorKind::Unavailable, THRESHOLD, "the list is too large for this request"),
            Fault::Passing => (ErrorKind::Unavailable, "service-fault", "the service has a fault"),
            Fault::Other => (ErrorKind::CorruptItem, "refused", "the service refuses the request"),
        };
        let said = if self.said.is_empty() { String::new() } else { format!(": {}", self.said) };
        Error::new(kind, format!("{what}: {why} ({}{said})", self.status)).with_code(code)
    }

    /// As the reason why one account is refused.
    pub(super) fn explanation(&self) -> Explanation {
        Explanation::lasting(
            "denied",
            format!("no permission ({})", self.status),
            "give the account read permission there",
        )
        .of_kind(ErrorKind::Denied)
    }
}

pub(super) fn classify(status: u16, number: Option<i64>) -> Fault {
    match (status, number) {
        (_, Some(-2_147_024_860)) => Fault::Threshold,
        (_, Some(-2_130_575_338 | -2_147_024_894)) | (404 | 410, _) => Fault::NotFound,
        (401 | 403, _) => Fault::Denied,
        (416, _) => Fault::PastEnd,
        (423, _) => Fault::Locked,
        (409 | 412 | 429 | 500..=599, _) => Fault::Passing,
        _ => Fault::Other,
    }
}

/// The number and the text of an error body in either JSON shape.
pub(super) fn parse(body: &[u8]) -> (Option<i64>, String) {
    let Ok(json) = serde_json::from_slice::<Json>(body) else { return (None, String::new()) };
    let error = json.get("odata.error").or_else(|| json.get("error")).unwrap_or(&json);
    let code = error.get("code").and_then(Json::as_str).unwrap_or_default();
    let number = code.split(',').next().and_then(|number| number.trim().parse().ok());
    let message = error.get("message");
    let said = message
        .and_then(|message| message.get("value").or(Some(message)))
        .or_else(|| error.get("error_description"))
        .and_then(Json::as_str)
        .unwrap_or_default();
    (number, said.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_decide() {
        let body = br#"{"odata.error":{"code":"-2130575338, Microsoft.SharePoint.SPException","message":{"lang":"en","value":"gone"}}}"#;
        assert_eq!(parse(body), (Some(-2_130_575_338), "gone".to_owned()));
        let verbose = br#"{"error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"value":"no"}}}"#;
        assert_eq!(parse(verbose).0, Some(-2_147_024_891));
        assert_eq!(parse(b"<html>"), (None, String::new()));
        assert_eq!(classify(404, None), Fault::NotFound);
        assert_eq!(classify(500, Some(-2_147_024_860)), Fault::Threshold);
        assert_eq!(classify(500, None), Fault::Passing);
        assert_eq!(classify(403, Some(-2_147_024_891)), Fault::Denied);
        assert_eq!(classify(400, Some(-1)), Fault::Other);
    }
}
