//! Client credentials: an application's own token for one host, by a signed assertion or a secret.

use std::time::{Duration, SystemTime};

use larder_sdk::{Error, ErrorKind, Secret};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::{Refusal, certificate::Certificate, refusal};
use crate::{
    codes,
    error::Explanation,
    http::{Expects, Http, Request},
};

/// Most requests for one token.
const TRIES_MAX: u32 = 3;
/// First pause between them; doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// Lifetime assumed of a token that does not tell, and the longest that is believed.
const LIFETIME_UNSAID: Duration = Duration::from_secs(1800);
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// A token is renewed so long before it runs out, or at a fifth of its life if that is less: a request takes a while to arrive.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Largest answer, in bytes. A token is some 2 kB.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long before its end a certificate is warned about.
const ENDS_SOON: Duration = Duration::from_secs(30 * 24 * 3600);
/// What a signed assertion is called in the form.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How an application proves who it is.
pub(crate) enum Proof {
    Certificate(Box<Certificate>),
    Secret(Secret),
}

/// An application registered in a tenant.
pub(crate) struct Application {
    pub(crate) client_id: String,
    pub(crate) proof: Proof,
    /// The token endpoint.
    pub(crate) endpoint: Url,
}

/// A token. Never printed.
pub(super) struct Token {
    pub(super) text: String,
    /// For how long it may be used before another is asked for.
    pub(super) use_for: Duration,
}

/// What the login host says to a refused request.
#[derive(Debug, Default, Deserialize)]
struct Told {
    access_token: Option<String>,
    /// A number; some proxies make a text of it.
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl Proof {
    /// A certificate with its key, as PEM.
    pub(crate) fn certificate(pem: &Secret) -> Result<Self, Error> {
        let read = Certificate::read(pem).map(|certificate| Self::Certificate(Box::new(certificate)));
        read.map_err(|why| why.of_kind(ErrorKind::Configuration).error("certificate"))
    }
}

impl Application {
    /// The token endpoint of a tenant at a login host.
    pub(crate) fn endpoint(login: &Url, tenant: &str) -> Url {
        let mut url = login.clone();
        url.set_path(&format!("/{tenant}/oauth2/v2.0/token"));
        url
    }

    /// True if tokens are made with a secret, which SharePoint does not take.
    pub(super) fn has_secret(&self) -> bool {
        matches!(self.proof, Proof::Secret(_))
    }

    /// That the certificate has run out or is about to.
    pub(crate) fn certificate_ends(&self, now: SystemTime) -> Option<Explanation> {
        let Proof::Certificate(certificate) = &self.proof else { return None };
        let ends = certificate.ends();
        let date =
            jiff::Timestamp::try_from(ends).map(|at| at.strftime("%F").to_string()).unwrap_or_default();
        if ends <= now {
            return Some(Explanation::of(codes::OAUTH_CERTIFICATE_EXPIRED).saying(&date));
        }
        let soon = ends.duration_since(now).is_ok_and(|left| left < ENDS_SOON);
        soon.then(|| Explanation::of(codes::OAUTH_CERTIFICATE_ENDS).saying(&date))
    }

    /// A token for the host at `origin` (`https://contoso.sharepoint.com`), and for no other.
    pub(super) async fn token(&self, http: &Http, origin: &str) -> Result<Token, Refusal> {
        let mut tries = 0;
        loop {
            tries += 1;
            let why = match self.ask(http, origin).await? {
                Ok(token) => return Ok(token),
                Err(why) => why,
            };
            if !refusal::passes_at_once(&why) || tries >= TRIES_MAX {
                return Err(Refusal::Account(why));
            }
            tokio::time::sleep(PAUSE * (1 << (tries - 1))).await;
        }
    }

    async fn ask(&self, http: &Http, origin: &str) -> Result<Result<Token, Explanation>, Refusal> {
        let Some(form) = self.form(origin, SystemTime::now()) else {
            let why = Explanation::of(codes::OAUTH_CERTIFICATE_UNUSABLE).saying("its key does not sign");
            return Err(Refusal::Account(why));
        };
        // Each try has an assertion of its own: one that may have arrived is never sent again.
        let request = Request::post(self.endpoint.clone(), Expects::Json, form)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Accept", "application/json");
        let response = match http.send(request).await {
            Ok(response) => response,
            Err(error) => return Ok(Err(refusal::unreachable(&error))),
        };
        let status = response.status();
        if status == 429 {
            return Err(Refusal::Throttled(super::told_wait(&response)));
        }
        let bytes = match response.bytes(ANSWER_BYTES_MAX).await {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(refusal::unreachable(&error))),
        };
        Ok(read(status, &bytes))
    }

    /// The form that asks for a token. `None` if the key cannot sign.
    fn form(&self, origin: &str, now: SystemTime) -> Option<String> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", &self.client_id)
            .append_pair("scope", &format!("{origin}/.default"))
            .append_pair("grant_type", "client_credentials");
        match &self.proof {
            Proof::Secret(secret) => form.append_pair("client_secret", secret.expose()),
            Proof::Certificate(certificate) => {
                let assertion = certificate.assertion(self.endpoint.as_str(), &self.client_id, now)?;
                form.append_pair("client_assertion_type", ASSERTION_TYPE)
                    .append_pair("client_assertion", &assertion)
            }
        };
        Some(form.finish())
    }
}

/// Reads an answer, whatever its status says: a token counts only with success.
pub(super) fn read(status: u16, body: &[u8]) -> Result<Token, Explanation> {
    let Ok(told) = serde_json::from_slice::<Told>(body) else {
        return Err(refusal::unavailable(&format!("it answered {status} and neither a token nor a reason")));
    };
    if let (200..=299, Some(text)) = (status, told.access_token) {
        // It becomes a header: nothing in it may end one.
        if text.is_empty() || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(refusal::unavailable("it answered something that is no token"));
        }
        let seconds =
            told.expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()));
        let life = seconds.map_or(LIFETIME_UNSAID, Duration::from_secs).min(LIFETIME_MAX);
        return Ok(Token { text, use_for: life.saturating_sub(RENEW_BEFORE.min(life / 5)) });
    }
    let description = told.error_description.unwrap_or_default();
    let numbers = told.error_codes.into_iter().chain(refusal::aadsts(&description));
    Err(explain(status, told.error.as_deref().unwrap_or_default(), numbers, &description))
}

/// Explains a refusal: by its numbers, else by its word, else in the service's own words.
fn explain(status: u16, error: &str, numbers: impl Iterator<Item = u32>, description: &str) -> Explanation {
    let mut numbers = numbers.peekable();
    let known = std::iter::from_fn(|| numbers.next()).find_map(by_number);
    if let Some(known) = known {
        return known;
    }
    let said = refusal::first_sentence(description);
    match error {
        "temporarily_unavailable" | "server_error" => refusal::unavailable(said),
        _ if status >= 500 => refusal::unavailable(&format!("it answered {status} {said}")),
        "invalid_client" => Explanation::of(codes::REFUSED).saying(&format!("invalid_client {said}")),
        "invalid_scope" => Explanation::of(codes::OAUTH_SCOPE).saying(said),
        _ => Explanation::of(codes::REFUSED).saying(&format!("{error} {said}")),
    }
}

fn by_number(number: u32) -> Option<Explanation> {
    Some(match number {
        7_000_215 => Explanation::of(codes::OAUTH_SECRET_WRONG),
        7_000_222 => Explanation::of(codes::OAUTH_SECRET_EXPIRED),
        700_027 => Explanation::of(codes::OAUTH_CERTIFICATE_UNKNOWN),
        700_024 => Explanation::of(codes::CLOCK_WRONG),
        700_016 => Explanation::of(codes::OAUTH_APP_UNKNOWN),
        7_000_112 => Explanation::of(codes::OAUTH_APP_DISABLED),
        70_011 | 500_011 | 1_002_012 => Explanation::of(codes::OAUTH_SCOPE),
        // What else users and applications have in common: policies, tenants, passing faults.
        other => return refusal::by_number(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(proof: Proof) -> Application {
        let login = Url::parse("https://login.microsoftonline.com").unwrap();
        let endpoint = Application::endpoint(&login, "contoso.onmicrosoft.com");
        Application { client_id: "app".to_owned(), proof, endpoint }
    }

    fn code(status: u16, body: &str) -> &'static str {
        read(status, body.as_bytes()).err().unwrap().code
    }

    #[test]
    fn a_form_asks_for_one_host_and_escapes_the_secret() {
        let form = application(Proof::Secret(Secret::new("s3cr3t+&=")))
            .form("https://contoso.sharepoint.com", SystemTime::now());
        assert_eq!(
            form.unwrap(),
            "client_id=app&scope=https%3A%2F%2Fcontoso.sharepoint.com%2F.default&grant_type=client_credentials&client_secret=s3cr3t%2B%26%3D"
        );
        assert_eq!(
            application(Proof::Secret(Secret::new("s"))).endpoint.as_str(),
            "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token"
        );
    }

    #[test]
    fn a_token_is_renewed_before_it_runs_out() {
        let token = |life: &str| {
            let body = format!(r#"{{"token_type":"Bearer","expires_in":{life},"access_token":"eyJ.a.b"}}"#);
            read(200, body.as_bytes()).ok().unwrap().use_for
        };
        assert_eq!(token("3599"), Duration::from_secs(3299));
        assert_eq!(token("\"100\""), Duration::from_secs(80), "a short life is used for the most part");
        assert_eq!(token("null"), LIFETIME_UNSAID.saturating_sub(RENEW_BEFORE));
        assert_eq!(token("999999999"), LIFETIME_MAX.saturating_sub(RENEW_BEFORE));
        assert_eq!(code(200, r#"{"access_token":"a\r\nb"}"#), "transient", "a header cannot be injected");
        assert_eq!(code(400, r#"{"access_token":"a"}"#), "refused");
    }

    #[test]
    fn refusals_of_auth_section_7_are_told_apart() {
        let body = |number: u32| {
            format!(
                r#"{{"error":"invalid_client","error_description":"AADSTS{number}: Something. Trace ID: 1","error_codes":[{number}],
                "timestamp":"2026-01-10 08:00:00Z"}}"#
            )
        };
        let expected = [
            (7_000_215, "oauth-secret-wrong"),
            (7_000_222, "oauth-secret-expired"),
            (700_027, "oauth-certificate-unknown"),
            (700_016, "oauth-app-unknown"),
            (90_002, "no-tenant"),
            (70_011, "oauth-scope"),
            (700_024, "clock-wrong"),
            (7_000_112, "oauth-app-disabled"),
            (53_003, "policy-block"),
            (50_196, "login-throttled"),
            (90_033, "transient"),
            (1, "refused"),
        ];
        for (number, word) in expected {
            assert_eq!(code(400, &body(number)), word, "{number}");
        }
        assert_eq!(code(400, r#"{"error":"x","error_description":"AADSTS700016: no"}"#), "oauth-app-unknown");
        assert_eq!(code(400, r#"{"error":"temporarily_unavailable"}"#), "transient");
        assert_eq!(code(503, r#"{"error":"whatever"}"#), "transient");
        assert_eq!(code(200, "<html>"), "transient");
    }
}
