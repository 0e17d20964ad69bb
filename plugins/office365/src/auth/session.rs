//! What a signed-in request carries, how long it does, and what it means that it is not taken.

use std::sync::Arc;

use larder_sdk::Secret;
use tokio::time::Instant;
use url::Url;

use super::{basic, cookies, oauth::Token};
use crate::{
    codes,
    error::Explanation,
    http::{Expects, Http, HttpError, Request, Response},
    options::{Cloud, Service, is_app_password},
};

/// When Microsoft switched legacy authentication off for SharePoint, for all of its worldwide cloud: 2026-05-01.
const LEGACY_RETIRED: i64 = 1_777_593_600;

/// What a signed-in request carries. Never printed.
pub(crate) struct Session {
    kind: Kind,
    headers: Vec<(&'static str, String)>,
    renew_at: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// User and password with every request. `cloud`: the account signs in to Microsoft's cloud, where MFA may be on.
    Basic {
        app_password: bool,
        cloud: bool,
    },
    Cookies,
    /// An application's token. `secret`: made with a secret.
    Bearer {
        secret: bool,
    },
}

impl Session {
    pub(super) fn basic(user: &str, password: &Secret, cloud: bool) -> Self {
        let kind = Kind::Basic { app_password: is_app_password(password.expose()), cloud };
        Self { kind, headers: vec![("Authorization", basic::header(user, password))], renew_at: None }
    }

    pub(super) fn cookies(cookies: String, renew_at: Instant) -> Self {
        let headers = vec![("Cookie", cookies), ("X-FORMS_BASED_AUTH_ACCEPTED", "f".to_owned())];
        Self { kind: Kind::Cookies, headers, renew_at: Some(renew_at) }
    }

    pub(super) fn bearer(token: &Token, secret: bool, now: Instant) -> Self {
        let headers = vec![("Authorization", format!("Bearer {}", token.text))];
        Self { kind: Kind::Bearer { secret }, headers, renew_at: Some(now + token.use_for) }
    }

    /// Sends a request as this session.
    pub(crate) async fn send(self: &Arc<Self>, http: &Http, request: Request) -> Result<Response, HttpError> {
        let signed =
            self.headers.iter().fold(request, |request, (name, value)| request.header(name, value.as_str()));
        http.send(signed).await
    }

    /// False if it is time for another.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.renew_at.is_none_or(|at| now < at)
    }

    /// True if a new sign-in may give another session.
    pub(crate) fn is_renewable(&self) -> bool {
        self.renew_at.is_some()
    }

    /// Why a session that was just made is not taken.
    pub(crate) fn refused(&self, service: Service, response: &Response) -> Explanation {
        match self.kind {
            Kind::Basic { app_password, cloud } => refused_basic(app_password, cloud, response),
            Kind::Cookies if cookies::is_blocked(response) => {
                super::refusal::no_cookies(is_retired(response.url()))
            }
            Kind::Cookies => not_taken(codes::SESSION_REFUSED, response),
            Kind::Bearer { secret: true } if service == Service::SharePoint => {
                Explanation::of(codes::OAUTH_SECRET_REFUSED)
            }
            Kind::Bearer { .. } => {
                let said =
                    response.header("www-authenticate").and_then(|text| quoted(text, "error_description"));
                let said = said
                    .or_else(|| response.header("x-ms-diagnostics").and_then(|text| quoted(text, "reason")));
                let why = not_taken(codes::OAUTH_TOKEN_REFUSED, response);
                said.map_or(why.clone(), |said| why.saying(said))
            }
        }
    }
}

fn not_taken(code: &'static codes::Code, response: &Response) -> Explanation {
    Explanation::of(code).saying(&format!("{} answered {}", response.url(), response.status()))
}

/// What a 401 to Basic means. The schemes the server names tell whether it takes Basic at all; Exchange Online takes it from nobody.
fn refused_basic(app_password: bool, cloud: bool, response: &Response) -> Explanation {
    let host = Url::parse(response.url()).ok();
    if host.as_ref().and_then(Url::host_str).is_some_and(Cloud::is_exchange_online) {
        return Explanation::of(codes::BASIC_RETIRED);
    }
    if basic::is_off(&response.headers("www-authenticate")) {
        return Explanation::of(codes::BASIC_OFF);
    }
    Explanation::of(match (cloud, app_password) {
        (_, true) => codes::APP_PASSWORD_REFUSED,
        (true, false) => codes::MFA_OR_PASSWORD,
        (false, false) => codes::WRONG_PASSWORD,
    })
}

/// The text between quotes after `name=` in a header.
fn quoted<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let start = header.find(&format!("{name}=\""))? + name.len() + 2;
    header[start..].split('"').next().filter(|text| !text.is_empty())
}

/// True if a host is one where Microsoft has switched legacy authentication off for good.
pub(super) fn is_retired(url: &str) -> bool {
    retired_at(url, jiff::Timestamp::now().as_second())
}

fn retired_at(url: &str, now: i64) -> bool {
    let url = Url::parse(url).ok();
    let worldwide =
        url.as_ref().and_then(Url::host_str).is_some_and(|host| host.ends_with(".sharepoint.com"));
    worldwide && now >= LEGACY_RETIRED
}

/// True if an answer means that the session is gone rather than that the account may not.
pub(crate) fn session_is_dead(request: &Request, response: &Response) -> bool {
    if response.header("x-virus-infected").is_some() {
        return false;
    }
    match response.status() {
        401 => true,
        403 => response.header("x-forms_based_auth_required").is_some(),
        300..=399 => {
            let to = response.header("location").unwrap_or_default().to_ascii_lowercase();
            to.contains("/_layouts/15/authenticate.aspx")
                || to.contains("/_forms/default.aspx")
                || to.contains("login")
        }
        200 => response.is_html() && request.expects != Expects::Any,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_authentication_ended_on_a_day_and_in_one_cloud() {
        let host = "https://contoso-my.sharepoint.com";
        assert!(retired_at(host, LEGACY_RETIRED) && !retired_at(host, LEGACY_RETIRED - 1));
        assert!(!retired_at("https://contoso.sharepoint.cn", i64::MAX));
        let day: jiff::Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        assert_eq!(day.as_second(), LEGACY_RETIRED);
    }

    #[test]
    fn headers_tell_why() {
        let header = r#"Bearer realm="x", error="invalid_token", error_description="The token is expired.""#;
        assert_eq!(quoted(header, "error_description"), Some("The token is expired."));
        assert_eq!(quoted(header, "reason"), None);
    }
}
