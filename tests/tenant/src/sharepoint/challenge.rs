//! Requests that do not count as signed in, and the two ways to get a cookie from a token.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::SharePoint;
use super::model::Host;
use crate::application::BadToken;

/// What SharePoint adds when a policy keeps legacy clients out.
const LEGACY_REFUSED: &str = "917656; Access+denied.+Before+opening+files+in+this+location%2c+you+must+first+browse+to+the+web+site+and+select+the+option+to+login+automatically.";
const ACCESS_DENIED: &str = "Access denied. Before opening files in this location, you must first browse to the web \
                             site and select the option to login automatically.";
const IDCRL: &str = "IDCRL Type=\"BPOSIDCRL\", EndPoint=\"/_vti_bin/idcrl.svc/\", RootDomain=\"sharepoint.com\", \
                     Policy=\"MBI\"";

fn header_is(headers: &HeaderMap, name: &str, wanted: &str) -> bool {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case(wanted))
}

/// The answer to a token that does not count.
pub(super) fn token_refused(why: BadToken) -> Response {
    let (error, description) = match why {
        BadToken::Foreign => ("invalid_token", "Invalid issuer or signature."),
        BadToken::Expired => ("invalid_token", "Invalid JWT token. The token is expired."),
        BadToken::MadeWithSecret => ("invalid_request", "Unsupported app only token."),
    };
    let challenge = format!(
        "Bearer realm=\"00000000-0000-4000-8000-000000000003\",client_id=\"00000003-0000-0ff1-ce00-000000000000\",\
         trusted_issuers=\"00000001-0000-0000-c000-000000000000@*\",error=\"{error}\""
    );
    let body = format!("{{\"error_description\":\"{description}\"}}");
    let fields = [("content-type", "application/json".to_string()), ("www-authenticate", challenge)];
    (StatusCode::UNAUTHORIZED, fields, body).into_response()
}

impl SharePoint {
    /// The answer to a request without a living session; its form follows what the client says it takes.
    pub(super) fn challenge(&self, headers: &HeaderMap, origin: &str) -> Response {
        let switches = self.switches();
        if header_is(headers, "x-idcrl_accepted", "t") && switches.idcrl && switches.legacy_auth {
            let fields = [(header::WWW_AUTHENTICATE.as_str(), IDCRL), ("x-idcrl_auth_params_v1", IDCRL)];
            return (StatusCode::UNAUTHORIZED, fields, "").into_response();
        }
        if header_is(headers, "x-forms_based_auth_accepted", "f") {
            return (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, "text/plain")], "401 UNAUTHORIZED")
                .into_response();
        }
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if agent.starts_with("Mozilla") {
            let target =
                format!("{origin}/_forms/default.aspx?ReturnUrl=%2f_layouts%2f15%2fAuthenticate.aspx");
            return (StatusCode::FOUND, [(header::LOCATION, target)]).into_response();
        }
        let login = format!("{origin}/_forms/default.aspx?ReturnUrl=/_layouts/15/error.aspx&Source=%2f");
        let back = format!("{origin}/_layouts/15/error.aspx");
        let fields = [
            ("content-type", "text/plain".to_string()),
            ("x-forms_based_auth_required", login),
            ("x-forms_based_auth_return_url", back),
            ("x-msdavext_error", LEGACY_REFUSED.to_string()),
        ];
        (StatusCode::FORBIDDEN, fields, ACCESS_DENIED).into_response()
    }

    /// `POST /_forms/default.aspx?wa=wsignin1.0` with a token as the body: `FedAuth` and `rtFa`.
    pub(super) fn forms_sign_in(&self, host: Host, token: &str) -> Response {
        let now = self.shared.clock.now_ms();
        let Some(user) = self.tokens.redeem(token, now) else {
            return ([(header::CONTENT_TYPE, "text/html")], "<html><body>Sign in</body></html>")
                .into_response();
        };
        let Some(value) = self.cookie(&user, host) else { return legacy_refused() };
        let cookies = [
            (
                header::SET_COOKIE,
                "rtFa=c2ltdWxhdGVk; domain=sharepoint.com; path=/; secure; HttpOnly".to_string(),
            ),
            (header::SET_COOKIE, format!("FedAuth={value}; path=/; secure; HttpOnly")),
        ];
        let mut answer = (StatusCode::FOUND, [(header::LOCATION, "/")]).into_response();
        for (name, value) in cookies {
            if let Ok(value) = value.parse() {
                answer.headers_mut().append(name, value);
            }
        }
        answer
    }

    /// `GET /_vti_bin/idcrl.svc/` with a token in `Authorization`: `SPOIDCRL`.
    pub(super) fn idcrl_sign_in(&self, host: Host, headers: &HeaderMap) -> Response {
        let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let token = text(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("BPOSIDCRL "));
        let accepted = header_is(headers, "x-idcrl_accepted", "t");
        let now = self.shared.clock.now_ms();
        let user = token
            .filter(|_| accepted && self.switches().idcrl)
            .and_then(|token| self.tokens.redeem(token, now));
        let Some(user) = user else {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, IDCRL)]).into_response();
        };
        let Some(value) = self.cookie(&user, host) else { return legacy_refused() };
        let cookie = format!("SPOIDCRL={value}; path=/; secure; HttpOnly");
        (StatusCode::OK, [(header::SET_COOKIE, cookie)]).into_response()
    }

    fn cookie(&self, user: &str, host: Host) -> Option<String> {
        let switches = self.switches();
        let now = self.shared.clock.now_ms();
        switches.legacy_auth.then(|| self.sessions.open(user, host, now + switches.session_ms))
    }
}

fn legacy_refused() -> Response {
    (
        StatusCode::FORBIDDEN,
        [("content-type", "text/plain"), ("x-msdavext_error", LEGACY_REFUSED)],
        ACCESS_DENIED,
    )
        .into_response()
}
