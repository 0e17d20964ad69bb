//! What an answer's head says about the account and the request, before anyone looks into the body.

use std::time::{Duration, SystemTime};

use crate::{
    auth,
    http::{Request, Response},
    options::Service,
};

/// How long to stay away after a 429 that does not say.
const BACK_OFF_UNSAID: Duration = Duration::from_secs(10);

/// What to do with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Hand it to the caller, who knows what its status means.
    Pass,
    /// The account was too fast: it stays away for this long.
    Throttled(Duration),
    /// The session is gone.
    SessionDead,
    /// The credential was not taken.
    Unauthorized,
    /// A passing fault between us and the service.
    Transient,
}

/// Judges an answer.
pub(super) fn judge(service: Service, request: &Request, response: &Response) -> Verdict {
    match response.status() {
        429 => Verdict::Throttled(stay_away(response, SystemTime::now()).unwrap_or(BACK_OFF_UNSAID)),
        503 => stay_away(response, SystemTime::now()).map_or(Verdict::Transient, Verdict::Throttled),
        502 | 504 => Verdict::Transient,
        // The page that says so is no sign that the session is gone.
        _ if response.is_infected() => Verdict::Pass,
        401 if service == Service::Exchange => Verdict::Unauthorized,
        _ if service == Service::SharePoint && auth::session_is_dead(request, response) => {
            Verdict::SessionDead
        }
        _ => Verdict::Pass,
    }
}

/// The longest of what the headers ask for.
fn stay_away(response: &Response, now: SystemTime) -> Option<Duration> {
    let said = response.header("retry-after").and_then(|text| retry_after(text, now));
    let reset = response.header("ratelimit-reset").and_then(|text| retry_after(text, now));
    said.max(reset)
}

/// `Retry-After` as seconds or as a date.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    // Dates have whole seconds: one more makes sure that the moment has passed.
    let until = SystemTime::from(at) + Duration::from_secs(1);
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        assert_eq!(retry_after(" 17 ", now), Some(Duration::from_secs(17)));
        assert_eq!(retry_after("Thu, 01 Jan 2026 00:00:20 GMT", now), Some(Duration::from_secs(21)));
        assert_eq!(retry_after("Wed, 31 Dec 2025 23:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-4", now), None);
    }
}
