//! The token endpoint for applications: `/TENANT/oauth2/v2.0/token`.

use std::collections::HashMap;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::account::DOMAIN;
use crate::application::{Application, ApplicationState, Applications};
use crate::clock::UnixMillis;

/// The tenant's other names at the login host.
const TENANTS: [&str; 2] = ["contoso.onmicrosoft.com", DOMAIN];
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest time for which an assertion may be good, in seconds.
const ASSERTION_SECONDS_MAX: i64 = 600;
/// How far clocks may differ, in seconds.
const SKEW_SECONDS: i64 = 300;

/// A refusal: the word, the number, the sentence.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(&'static str, u32, &'static str);

/// What a right request asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) client_id: String,
    pub(super) resource: String,
    pub(super) with_secret: bool,
}

/// A request for a token, with where it arrived.
#[derive(Debug)]
pub(super) struct TokenRequest<'a> {
    pub(super) headers: &'a HeaderMap,
    /// As it was sent, with a slash at its beginning.
    pub(super) path: &'a str,
    pub(super) body: &'a str,
}

/// The tenant in a token endpoint's path, if it is one.
pub(super) fn tenant_of(path: &str) -> Option<&str> {
    path.strip_prefix('/')?.strip_suffix("/oauth2/v2.0/token").filter(|tenant| !tenant.contains('/'))
}

impl TokenRequest<'_> {
    /// Who the request says it is from, whether or not that is so.
    pub(super) fn claimed(&self) -> Option<String> {
        self.form().remove("client_id").map(|id| id.to_ascii_lowercase())
    }

    /// Judges it.
    pub(super) fn judge(&self, applications: &Applications, now: UnixMillis) -> Result<Wanted, Refused> {
        let tenant = tenant_of(self.path).unwrap_or_default();
        if !TENANTS.iter().any(|known| known.eq_ignore_ascii_case(tenant)) {
            return Err(Refused(
                "invalid_request",
                90_002,
                "Tenant not found. Check to make sure you have the correct tenant ID.",
            ));
        }
        let form = self.form();
        let field = |name: &str| form.get(name).map_or("", String::as_str);
        let media =
            self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !media.starts_with("application/x-www-form-urlencoded")
            || field("grant_type") != "client_credentials"
        {
            return Err(Refused(
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type.",
            ));
        }
        let unknown =
            Refused("unauthorized_client", 700_016, "Application was not found in the directory 'Contoso'.");
        let application = applications.get(field("client_id")).ok_or(unknown)?;
        judge_state(application.state)?;
        let resource = field("scope").strip_suffix("/.default").filter(|resource| !resource.is_empty());
        let resource = resource.ok_or(Refused(
            "invalid_scope",
            70_011,
            "The provided value for the input parameter 'scope' is not valid.",
        ))?;
        if !applications.has_resource(resource) {
            return Err(Refused(
                "invalid_resource",
                500_011,
                "The resource principal was not found in the tenant.",
            ));
        }
        let with_secret = match (form.contains_key("client_assertion"), form.contains_key("client_secret")) {
            (true, false) if field("client_assertion_type") == ASSERTION_TYPE => {
                self.judge_assertion(&application, applications, field("client_assertion"), now)?;
                false
            }
            (false, true) => {
                judge_secret(&application, field("client_secret"))?;
                true
            }
            _ => {
                return Err(Refused(
                    "invalid_client",
                    7_000_218,
                    "The request body must contain 'client_assertion' or 'client_secret'.",
                ));
            }
        };
        Ok(Wanted { client_id: application.client_id, resource: resource.to_string(), with_secret })
    }

    fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    fn judge_assertion(
        &self,
        application: &Application,
        applications: &Applications,
        assertion: &str,
        now: UnixMillis,
    ) -> Result<(), Refused> {
        let broken = || Refused("invalid_client", 50_027, "JWT token is invalid or malformed.");
        let mut parts = assertion.splitn(3, '.');
        let (Some(head), Some(claims), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(broken());
        };
        let signed = &assertion[..head.len() + 1 + claims.len()];
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| broken());
        let read = |part: &str| serde_json::from_slice::<Value>(&decoded(part)?).map_err(|_| broken());
        let (head, claims, signature) = (read(head)?, read(claims)?, decoded(signature)?);
        let unknown = || {
            Refused(
                "invalid_client",
                700_027,
                "The certificate with identifier used to sign the client assertion is not registered on application.",
            )
        };
        if head["alg"] != "PS256" || head["typ"] != "JWT" {
            return Err(broken());
        }
        let thumbprint = head["x5t#S256"].as_str().ok_or_else(unknown)?;
        let certificate =
            application.certificates.iter().find(|der| fingerprint(der) == thumbprint).ok_or_else(unknown)?;
        if !verifies(certificate, signed.as_bytes(), &signature) {
            return Err(unknown());
        }
        let (id, text) =
            (application.client_id.as_str(), |name: &str| claims[name].as_str().unwrap_or_default());
        if !text("iss").eq_ignore_ascii_case(id) || !text("sub").eq_ignore_ascii_case(id) {
            return Err(Refused(
                "invalid_client",
                700_021,
                "Client assertion application identifier doesn't match 'client_id' parameter.",
            ));
        }
        let host = self.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if text("aud") != format!("http://{host}{}", self.path) {
            return Err(Refused(
                "invalid_client",
                700_023,
                "Client assertion audience claim does not match Realm issuer.",
            ));
        }
        let (from, until) = (claims["nbf"].as_i64().unwrap_or(i64::MAX), claims["exp"].as_i64().unwrap_or(0));
        let now = now.div_euclid(1000);
        let in_time = from - SKEW_SECONDS <= now && now < until + SKEW_SECONDS;
        if !in_time || until.saturating_sub(from) > ASSERTION_SECONDS_MAX {
            return Err(Refused(
                "invalid_client",
                700_024,
                "Client assertion is not within its valid time range.",
            ));
        }
        if text("jti").is_empty() || !applications.note_assertion(text("jti")) {
            return Err(Refused("invalid_client", 700_026, "Client assertion was used before."));
        }
        Ok(())
    }
}

fn judge_state(state: ApplicationState) -> Result<(), Refused> {
    Err(match state {
        ApplicationState::Active => return Ok(()),
        ApplicationState::Unknown => {
            Refused("unauthorized_client", 700_016, "Application was not found in the directory 'Contoso'.")
        }
        ApplicationState::Disabled => Refused("unauthorized_client", 7_000_112, "Application is disabled."),
        ApplicationState::PolicyBlock => {
            Refused("access_denied", 53_003, "Access has been blocked by Conditional Access policies.")
        }
        ApplicationState::Transient => {
            Refused("temporarily_unavailable", 90_033, "A transient error has occurred. Please try again.")
        }
    })
}

fn judge_secret(application: &Application, given: &str) -> Result<(), Refused> {
    match application.secrets.iter().find(|secret| secret.value == given) {
        Some(secret) if secret.expired => {
            Err(Refused("invalid_client", 7_000_222, "The provided client secret keys are expired."))
        }
        Some(_) => Ok(()),
        None => Err(Refused(
            "invalid_client",
            7_000_215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
        )),
    }
}

/// SHA-256 of a certificate, in base64url.
fn fingerprint(der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der))
}

/// Whether the certificate's key made a signature: RSASSA-PSS with SHA-256.
fn verifies(der: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let der = der.into();
    webpki::EndEntityCert::try_from(&der).is_ok_and(|certificate| {
        certificate
            .verify_signature(webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY, signed, signature)
            .is_ok()
    })
}

impl Refused {
    pub(super) fn answer(&self) -> Response {
        let Self(word, number, sentence) = self;
        let status = match *word {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        let id = "00000000-0000-4000-8000-000000000002";
        let body = json!({
            "error": word, "error_codes": [number], "trace_id": id, "correlation_id": id, "timestamp": "2026-01-10 08:00:00Z",
            "error_description": format!("AADSTS{number}: {sentence} Trace ID: {id} Correlation ID: {id} Timestamp: 2026-01-10 08:00:00Z"),
        });
        (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string())
            .into_response()
    }
}

/// A token, as it is answered.
pub(super) fn granted(token: &str, seconds: i64) -> Response {
    let body = json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token});
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}
