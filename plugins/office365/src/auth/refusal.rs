//! The login host's refusals, told apart and explained.

use std::time::Duration;

use larder_sdk::ErrorKind;

use super::wstrust::Fault;
use crate::{codes, error::Explanation, http::HttpError};

/// How soon a passing fault is worth another try.
pub(super) const AGAIN: Duration = Duration::from_secs(30);
/// First length of a lockout.
const LOCKED: Duration = Duration::from_secs(60);
/// How long to leave sign-in alone after "too many sign-ins".
const SIGN_INS_THROTTLED: Duration = Duration::from_secs(300);
/// Longest part of the service's words that is repeated.
const SAID_CHARS_MAX: usize = 300;

/// Explains a fault: by its AADSTS number, else by its value, else in the service's own words.
pub(super) fn explain(fault: &Fault) -> Explanation {
    let known = fault.aadsts.and_then(by_number).or_else(|| by_value(&fault.value));
    known.unwrap_or_else(|| {
        let said = [&fault.text, &fault.subcode, &fault.value].into_iter().find(|said| !said.is_empty());
        Explanation::of(codes::REFUSED).saying(said.map_or("no reason given", |said| first_sentence(said)))
    })
}

/// What the numbers mean that users and applications have in common.
pub(super) fn by_number(number: u32) -> Option<Explanation> {
    Some(match number {
        50_126 | 50_056 | 70_002 => Explanation::of(codes::WRONG_PASSWORD),
        50_076 | 50_074 | 50_078 => Explanation::of(codes::MFA_NOT_APP_PASSWORD),
        50_079 | 50_072 => Explanation::of(codes::MFA_ENROL),
        50_158 => Explanation::of(codes::THIRD_PARTY_MFA),
        53_000..=53_004 | 50_131 | 50_105 => Explanation::of(codes::POLICY_BLOCK),
        50_053 => locked(),
        50_055 | 50_144 | 50_135 | 50_142 => Explanation::of(codes::EXPIRED),
        50_057 => Explanation::of(codes::DISABLED),
        50_034 | 50_020 => Explanation::of(codes::NO_USER),
        50_128 | 50_059 | 90_002 => Explanation::of(codes::NO_TENANT),
        50_196 => Explanation::of_passing(codes::LOGIN_THROTTLED, SIGN_INS_THROTTLED),
        50_033 | 90_033 | 90_023 => unavailable("it reports a passing fault"),
        500_069 => Explanation::of(codes::ASSERTION_ALTERED),
        _ => return None,
    })
}

/// By the older codes, each of which stands for several causes.
fn by_value(value: &str) -> Option<Explanation> {
    Some(match value {
        "0x80048821" => Explanation::of(codes::WRONG_PASSWORD),
        "0x80048823" => Explanation::of(codes::POLICY_BLOCK),
        "0x800434d4" => Explanation::of(codes::MFA_NOT_APP_PASSWORD),
        "0x80048801" | "0x80048827" => Explanation::of(codes::EXPIRED),
        "0x80048814" | "0x80041034" => Explanation::of(codes::NO_USER),
        "0x80048820" => unavailable("it reports a fault of its own"),
        "0x80048824" => locked(),
        _ => return None,
    })
}

fn locked() -> Explanation {
    // Waiting helps; but each try that is made counts, so nothing waits for it within one request.
    Explanation::of_passing(codes::LOCKED, LOCKED).of_kind(ErrorKind::Authentication)
}

/// Too many requests for now.
pub(super) fn throttled(wait: Duration) -> Explanation {
    Explanation::of_passing(codes::THROTTLED, wait)
        .saying(&format!("{} s", wait.as_secs()))
        .of_kind(ErrorKind::RetryAfter)
}

/// An account whose domain has an identity provider of its own.
pub(crate) fn federated(provider: Option<&str>) -> Explanation {
    Explanation::of(codes::FEDERATED).saying(provider.unwrap_or_default())
}

/// Signed in, but the host gave no cookies. `retired`: it is one where Microsoft switched them off for good.
pub(super) fn no_cookies(retired: bool) -> Explanation {
    Explanation::of(if retired { codes::LEGACY_AUTH_RETIRED } else { codes::LEGACY_AUTH_OFF })
}

/// The login host cannot be used now.
pub(super) fn unavailable(why: &str) -> Explanation {
    Explanation::of_passing(codes::TRANSIENT, AGAIN).saying(why)
}

/// There is no answer: the network's matter, as far as that can be told.
pub(crate) fn unreachable(error: &HttpError) -> Explanation {
    match error.code() {
        Some(code) => Explanation::of_passing(code, AGAIN).saying(&error.to_string()),
        None => unavailable(&error.to_string()),
    }
}

/// True if another try a moment later may fare better. Wrong passwords are none of these: they count towards a lockout.
pub(super) fn passes_at_once(why: &Explanation) -> bool {
    [codes::TRANSIENT, codes::NO_ANSWER, codes::UNREACHABLE].iter().any(|code| code.code == why.code)
}

/// The numbers that `AADSTS` begins in a text, in order.
pub(super) fn aadsts(text: &str) -> Vec<u32> {
    let numbers = text.match_indices("AADSTS").filter_map(|(at, word)| {
        let digits: String = text[at + word.len()..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    numbers.collect()
}

/// The service's words without the trace ids that follow them.
pub(super) fn first_sentence(text: &str) -> &str {
    let line = text.lines().next().unwrap_or(text);
    let first = line.split_once(". ").map_or(line, |(first, _)| first).trim();
    first.char_indices().nth(SAID_CHARS_MAX).map_or(first, |(end, _)| &first[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(aadsts: u32) -> &'static str {
        explain(&Fault { aadsts: Some(aadsts), value: "0x80048823".to_owned(), ..Fault::default() }).code
    }

    #[test]
    fn numbers_decide_before_values() {
        let expected = [
            (50_126, "wrong-password"),
            (50_076, "mfa-not-app-password"),
            (50_079, "mfa-enrol"),
            (50_158, "third-party-mfa"),
            (53_003, "policy-block"),
            (50_053, "locked"),
            (50_055, "expired"),
            (50_057, "disabled"),
            (50_034, "no-user"),
            (90_002, "no-tenant"),
            (50_196, "login-throttled"),
            (90_033, "transient"),
            (500_069, "assertion-altered"),
            (999, "policy-block"),
        ];
        for (number, word) in expected {
            assert_eq!(code(number), word, "{number}");
        }
        let value = Fault { value: "0x80048821".to_owned(), ..Fault::default() };
        assert_eq!(explain(&value).code, "wrong-password");
    }

    #[test]
    fn the_unknown_is_told_in_the_services_words() {
        let fault = Fault { text: "AADSTS1: Something new. Trace ID: 1".to_owned(), ..Fault::default() };
        let explanation = explain(&fault);
        assert_eq!((explanation.code, explanation.passes()), ("refused", false));
        assert!(explanation.message.ends_with("AADSTS1: Something new"));
    }
}
