//! The login host's refusals, told apart and explained.

use std::time::Duration;

use larder_sdk::ErrorKind;

use super::wstrust::Fault;
use crate::error::Explanation;

/// The code of faults that pass by themselves.
pub(super) const TRANSIENT: &str = "transient";
/// How soon a passing fault is worth another try.
const AGAIN: Duration = Duration::from_secs(30);
/// First length of a lockout.
const LOCKED: Duration = Duration::from_secs(60);
/// How long to leave sign-in alone after "too many sign-ins".
const SIGN_INS_THROTTLED: Duration = Duration::from_secs(300);

const APP_PASSWORD: &str = "make an app password for this account (My sign-ins, Security info, Add method) and use it; if it is not \
    offered: must be allowed in the organisation, and MFA per user must be enabled and enforced; changes take up to days";

/// Explains a fault: by its AADSTS number, else by its value, else in the service's own words.
pub(super) fn explain(fault: &Fault) -> Explanation {
    let known = fault.aadsts.and_then(by_number).or_else(|| by_value(&fault.value));
    known.unwrap_or_else(|| {
        let said = [&fault.text, &fault.subcode, &fault.value].into_iter().find(|said| !said.is_empty());
        let said = said.map_or("no reason given", |said| first_sentence(said));
        Explanation::lasting("refused", format!("sign-in was refused: {said}"), "")
    })
}

fn by_number(number: u32) -> Option<Explanation> {
    Some(match number {
        50_126 | 50_056 | 70_002 => wrong_password(),
        50_076 | 50_074 | 50_078 => mfa_not_app_password(),
        50_079 | 50_072 => Explanation::lasting(
            "mfa-enrol",
            "MFA is enabled for the account but not registered yet",
            "sign in once in a browser and register; until MFA is enforced the normal password is expected, then an app password",
        ),
        50_158 => Explanation::lasting(
            "third-party-mfa",
            "a third party's MFA is demanded, which this sign-in cannot pass",
            "grant the account an exception there, or use another account",
        ),
        53_000..=53_004 | 50_131 | 50_105 => policy_block(),
        50_053 => Explanation::passing(
            "locked",
            "the account is locked after too many wrong sign-ins, or the address is judged malicious",
            "wait, and look for other programs that use an old password",
            LOCKED,
        )
        .of_kind(ErrorKind::Authentication),
        50_055 | 50_144 => Explanation::lasting("expired", "the password has expired", "set a new password"),
        50_135 | 50_142 => {
            Explanation::lasting("expired", "a new password is demanded", "change the password in a browser")
        }
        50_057 => Explanation::lasting(
            "disabled",
            "the account is disabled",
            "enable it, or take it out of the pool",
        ),
        50_034 | 50_020 => no_user(),
        50_128 | 50_059 | 90_002 => no_tenant(),
        50_196 => Explanation::passing(
            "login-throttled",
            "too many sign-ins in a short time",
            "let fewer programs sign in with this account",
            SIGN_INS_THROTTLED,
        ),
        50_033 | 90_033 | 90_023 => unavailable("it reports a passing fault"),
        500_069 => Explanation::lasting("bug", "the security token's signature was refused", "report this")
            .of_kind(ErrorKind::Bug),
        _ => return None,
    })
}

/// By the older codes, each of which stands for several causes.
fn by_value(value: &str) -> Option<Explanation> {
    Some(match value {
        "0x80048821" => wrong_password(),
        "0x80048823" => policy_block(),
        "0x800434d4" => mfa_not_app_password(),
        "0x80048801" | "0x80048827" => {
            Explanation::lasting("expired", "the password has expired", "set a new password")
        }
        "0x80048814" | "0x80041034" => no_user(),
        "0x80048820" => unavailable("it reports a fault of its own"),
        "0x80048824" => Explanation::passing(
            "locked",
            "the account is locked or must be verified",
            "sign in in a browser",
            LOCKED,
        )
        .of_kind(ErrorKind::Authentication),
        _ => return None,
    })
}

fn wrong_password() -> Explanation {
    Explanation::lasting(
        "wrong-password",
        "the user or password is wrong",
        "check that the app password was made for this very account, was not deleted, and is not minutes old (it may take time to \
            take effect); app passwords of admin accounts are refused: use a dedicated account without admin role",
    )
}

fn mfa_not_app_password() -> Explanation {
    Explanation::lasting(
        "mfa-not-app-password",
        "the account has MFA, and this is its normal password",
        APP_PASSWORD,
    )
}

fn policy_block() -> Explanation {
    Explanation::lasting(
        "policy-block",
        "the organisation's access policies block this sign-in",
        "exclude the account from the policy that blocks legacy authentication, or use OAuth",
    )
}

fn no_user() -> Explanation {
    Explanation::lasting(
        "no-user",
        "there is no such user in the tenant",
        "check the user name and the cloud",
    )
}

/// Too many requests for now.
pub(super) fn throttled(wait: Duration) -> Explanation {
    Explanation::passing("throttled", format!("it was asked to wait {} s", wait.as_secs()), "", wait)
        .of_kind(ErrorKind::RetryAfter)
}

/// A wrong password of an account whose domain has an identity provider of its own.
pub(crate) fn federated(provider: Option<&str>) -> Explanation {
    let provider = provider.unwrap_or("a provider of its own");
    Explanation::lasting(
        "federated",
        format!(
            "the account's domain signs in at {provider}; app passwords are checked by the cloud all the same"
        ),
        "if the password given is the normal one, use an app password: sign-in at the provider (adfs) is not built yet",
    )
}

/// The user's domain is in no tenant.
pub(crate) fn no_tenant() -> Explanation {
    Explanation::lasting(
        "no-tenant",
        "the user's domain is in no tenant of this cloud",
        "check the domain and the cloud",
    )
}

/// The password was right, and no token came.
pub(super) fn withheld() -> Explanation {
    Explanation::lasting(
        "token-withheld",
        "the password was accepted, but no security token was given",
        "legacy authentication may be restricted for the account: use OAuth",
    )
}

/// Signed in, but the host gave no cookies.
pub(super) fn no_cookies(blocked: bool) -> Explanation {
    let message = if blocked {
        "signed in, but SharePoint refuses legacy authentication in this tenant"
    } else {
        "signed in, but SharePoint gave no session: legacy authentication is probably switched off in this tenant"
    };
    Explanation::lasting(
        "legacy-auth-off",
        message,
        "worldwide tenants have it off for good since 1 May 2026: use OAuth with a certificate",
    )
}

/// The login host cannot be used now.
pub(super) fn unavailable(why: &str) -> Explanation {
    Explanation::passing(TRANSIENT, format!("the sign-in service is not available: {why}"), "", AGAIN)
}

/// The service's words without the trace ids that follow them.
fn first_sentence(text: &str) -> &str {
    let line = text.lines().next().unwrap_or(text);
    line.split_once(". ").map_or(line, |(first, _)| first).trim()
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
            (90_033, TRANSIENT),
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
