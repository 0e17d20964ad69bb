//! The federation service of the domain `fabrikam.example`: sign-in for programs, in two dialects of WS-Trust.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::envelope::{ADDRESSING, POLICY, SECURITY, SOAP, UTILITY};
use super::{BODY_BYTES_MAX, throttled};
use crate::account::Account;
use crate::clock::{UnixMillis, parse_iso};
use crate::federation::{AUDIENCE, FederationState, SAML};
use crate::gate::{Admission, Service};
use crate::shared::Shared;
use crate::xml::{Element, read};

/// Longest time for which a request of the older dialect may be good, in milliseconds.
const REQUEST_MS_MAX: i64 = 600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Trust13,
    Trust2005,
}

impl Dialect {
    fn of(path: &str) -> Option<Self> {
        match path.to_ascii_lowercase().as_str() {
            "/adfs/services/trust/13/usernamemixed" => Some(Self::Trust13),
            "/adfs/services/trust/2005/usernamemixed" => Some(Self::Trust2005),
            _ => None,
        }
    }

    fn space(self) -> &'static str {
        match self {
            Self::Trust13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
            Self::Trust2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust",
        }
    }
}

/// The federation service.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

async fn serve(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_string();
    let state = shared.federation.state();
    let Some(dialect) = Dialect::of(&path).filter(|_| state != FederationState::Passive) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match (state, dialect) {
        (FederationState::Off, _) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        (FederationState::Only2005, Dialect::Trust13) => return StatusCode::NOT_FOUND.into_response(),
        _ => {}
    }
    if parts.method != axum::http::Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let body = to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let now = shared.clock.now_ms();
    let Some((user, password)) =
        std::str::from_utf8(&body).ok().and_then(|text| credential(dialect, &path, text, now))
    else {
        return internal();
    };
    let permit = match shared.gate.admit(&user.to_ascii_lowercase(), Service::Login, "usernamemixed") {
        Admission::Pass(permit) => permit,
        Admission::Throttled { retry_after, .. } => return throttled(retry_after),
        Admission::Fault(kind) => return super::broken(&kind),
    };
    permit.wait().await;
    let account =
        shared.accounts.get(&user).filter(|account| Account::is_known_to_provider(account, &password));
    match (state, account) {
        (FederationState::Fault, _) => internal(),
        (_, None) => fault(
            "a:FailedAuthentication",
            "ID3242: The security token could not be authenticated or authorized.",
        ),
        (FederationState::Denies, Some(_)) => {
            fault("a:IssuanceAuthorizationFault", "MSIS3126: Access denied.")
        }
        (_, Some(account)) => {
            let said = shared.federation.assertion(&account.user, dialect == Dialect::Trust2005, now);
            let said = if state == FederationState::Altered { said.replace("  ", " ") } else { said };
            answer(dialect, &said)
        }
    }
}

/// User and password of a well-formed request.
fn credential(dialect: Dialect, path: &str, body: &str, now: UnixMillis) -> Option<(String, String)> {
    let envelope = read(body).filter(|root| root.name == "Envelope" && root.space == SOAP)?;
    let (header, body) = (envelope.child(SOAP, "Header")?, envelope.child(SOAP, "Body")?);
    let space = dialect.space();
    let action = header.child(ADDRESSING, "Action")?.text.trim();
    let to = header.child(ADDRESSING, "To")?.text.trim();
    let request = body.child(space, "RequestSecurityToken")?;
    let target = request.child(POLICY, "AppliesTo")?.child(ADDRESSING, "EndpointReference")?;
    let right = action == format!("{space}/RST/Issue")
        && to.to_ascii_lowercase().ends_with(&path.to_ascii_lowercase())
        && request.child(space, "RequestType")?.text.trim() == format!("{space}/Issue")
        && target.child(ADDRESSING, "Address")?.text.trim() == AUDIENCE;
    let key = request.child(space, "KeyType")?.text.trim();
    let security = header.child(SECURITY, "Security")?;
    let fits = match dialect {
        Dialect::Trust13 => key == format!("{space}/Bearer"),
        Dialect::Trust2005 => {
            key.ends_with("/NoProofKey")
                && header.find("AuthInfo")?.find("HostingApp").is_some()
                && in_time(security, now)?
        }
    };
    let token = security.child(SECURITY, "UsernameToken").filter(|_| right && fits)?;
    let text = |name: &str| token.child(SECURITY, name).map(|element| element.text.clone());
    Some((text("Username")?.trim().to_string(), text("Password")?))
}

fn in_time(security: &Element, now: UnixMillis) -> Option<bool> {
    let times = security.child(UTILITY, "Timestamp")?;
    let at = |name: &str| parse_iso(times.child(UTILITY, name)?.text.trim());
    let (created, expires) = (at("Created")?, at("Expires")?);
    // Clocks may differ by five minutes.
    Some(expires - created <= REQUEST_MS_MAX && created - 300_000 <= now && now < expires + 300_000)
}

fn soap(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/soap+xml; charset=utf-8")], body).into_response()
}

/// What the service says, in the dialect's wrapping. The newer one declares prefixes on outer elements.
fn answer(dialect: Dialect, assertion: &str) -> Response {
    let space = dialect.space();
    let (open, close) = match dialect {
        Dialect::Trust13 => {
            ("<t:RequestSecurityTokenResponseCollection>", "</t:RequestSecurityTokenResponseCollection>")
        }
        Dialect::Trust2005 => ("", ""),
    };
    let outer = if dialect == Dialect::Trust13 { format!(" xmlns:saml=\"{SAML}\"") } else { String::new() };
    soap(
        StatusCode::OK,
        format!(
            "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\" xmlns:t=\"{space}\"><s:Body>{open}<t:RequestSecurityTokenResponse{outer}>\
             <t:RequestedSecurityToken>{assertion}</t:RequestedSecurityToken><t:TokenType>{SAML}</t:TokenType></t:RequestSecurityTokenResponse>\
             {close}</s:Body></s:Envelope>"
        ),
    )
}

fn internal() -> Response {
    fault("a:InternalServiceFault", "The server was unable to process the request due to an internal error.")
}

fn fault(subcode: &str, text: &str) -> Response {
    soap(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!(
            "<s:Envelope xmlns:s=\"{SOAP}\"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value \
             xmlns:a=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd\">{subcode}</s:Value></s:Subcode></s:Code>\
             <s:Reason><s:Text xml:lang=\"en-US\">{text}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"
        ),
    )
}
