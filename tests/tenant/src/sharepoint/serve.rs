//! The door of each SharePoint host: sign-in pages, then the session, then the gate, then REST.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header, request};
use axum::response::{IntoResponse, Response};

use super::call::{Call, RequestLine};
use super::error::ApiError;
use super::model::{Guid, Host};
use super::odata::{Format, QueryOptions};
use super::{SharePoint, answer};
use crate::account::{Account, AccountState};
use crate::application::{BadToken, bearer};
use crate::counters::ContentKind;
use crate::fault::FaultKind;
use crate::gate::{Admission, Permit, Service};

/// Longest token accepted, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone, Debug)]
struct Door {
    sharepoint: Arc<SharePoint>,
    host: Host,
}

/// One host.
pub(super) fn router(sharepoint: Arc<SharePoint>, host: Host) -> Router {
    Router::new().fallback(serve).with_state(Door { sharepoint, host })
}

/// What the gate lets through: the permit, and a fault to act out on the answer.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Given back when the last byte is out.
    pub(super) permit: Option<Permit>,
    pub(super) fault: Option<FaultKind>,
}

async fn serve(State(Door { sharepoint, host }): State<Door>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_string();
    match (parts.method.as_str(), path.to_ascii_lowercase().as_str()) {
        ("POST", "/_forms/default.aspx") => {
            let token = to_bytes(body, TOKEN_BYTES_MAX).await.unwrap_or_default();
            return sharepoint.forms_sign_in(host, &String::from_utf8_lossy(&token));
        }
        ("GET", "/_vti_bin/idcrl.svc/") => return sharepoint.idcrl_sign_in(host, &parts.headers),
        _ => {}
    }
    let origin = origin_of(&parts);
    if let Some(token) = bearer(&parts.headers) {
        return match sharepoint.application(host, token, &origin) {
            Ok(account) => sharepoint.answer(host, account, &origin, &parts, body).await,
            Err(refused) => *refused,
        };
    }
    let Some(account) = sharepoint.signed_in(host, &parts.headers) else {
        return sharepoint.challenge(&parts.headers, &origin);
    };
    sharepoint.answer(host, account, &origin, &parts, body).await
}

/// Scheme and host as the client sees them.
fn origin_of(parts: &request::Parts) -> String {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = text("x-forwarded-proto").unwrap_or("http");
    format!("{scheme}://{}", text("host").unwrap_or("localhost"))
}

impl SharePoint {
    /// The application that a token is for; without permission on sites every one is closed to it.
    fn application(&self, host: Host, token: &str, origin: &str) -> Result<Account, Box<Response>> {
        let now = self.shared.clock.now_ms();
        let (application, mut account) = self
            .shared
            .applications
            .admit(token, origin, false, now)
            .map_err(|why| Box::new(super::challenge::token_refused(why)))?;
        if !application.sharepoint {
            let world = self.world();
            account.denied_sites =
                world.webs.values().filter(|web| web.host == host).map(|web| web.path.clone()).collect();
        }
        Ok(account)
    }

    fn signed_in(&self, host: Host, headers: &HeaderMap) -> Option<Account> {
        let cookies: Vec<&str> =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
        let user = self.sessions.find(&cookies.join("; "), host, self.shared.clock.now_ms())?;
        self.shared.accounts.get(&user).filter(|account| account.state != AccountState::Revoked)
    }

    async fn answer(
        self: &Arc<Self>,
        host: Host,
        account: Account,
        origin: &str,
        parts: &request::Parts,
        body: Body,
    ) -> Response {
        let query = parts.uri.query().unwrap_or_default();
        let plain = download_target(parts.uri.path(), query);
        let path = plain.as_deref().unwrap_or(parts.uri.path());
        let query = if plain.is_some() { "" } else { query };
        if !path.to_ascii_lowercase().contains("/_api/") {
            return self.page(host, path);
        }
        if host == Host::Admin && !account.tenant_admin {
            self.shared.counters.request(&account.user, Service::SharePoint, "admin");
            return answer::error(Some(Format::Bare), &ApiError::denied());
        }
        let line = RequestLine { path, query, method: parts.method.as_str() };
        let accept =
            parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let call = match self.understand(host, account.clone(), origin, line, parts.headers.clone()) {
            Ok(call) => call,
            Err(error) => {
                self.shared.counters.request(&account.user, Service::SharePoint, "malformed");
                let site_missing = error.status == StatusCode::NOT_FOUND;
                return if site_missing {
                    answer::no_site()
                } else {
                    answer::error(Format::from_accept(accept), &error)
                };
            }
        };
        let admitted = match self.admit(&call).await {
            Ok(admitted) => admitted,
            Err(refused) => return refused,
        };
        if let Some(refused) = self.refuse_site(&call) {
            return refused;
        }
        let answer = self.handle(&call, admitted, body).await;
        count_listing(self, &answer);
        answer
    }

    /// A page for people, at a web's own address: where the redirect after a sign-in leads.
    fn page(&self, host: Host, path: &str) -> Response {
        let path = super::odata::decode(path).unwrap_or_default();
        let there = |web: &super::model::Web| web.host == host && web.path.eq_ignore_ascii_case(&path);
        if !self.world().webs.values().any(there) {
            return answer::no_site();
        }
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "<html><body>Home</body></html>")
            .into_response()
    }

    async fn admit(&self, call: &Call) -> Result<Admitted, Response> {
        let user = &call.account.user;
        let fault = match self.shared.gate.admit(user, Service::SharePoint, &call.operation) {
            Admission::Pass(permit) => {
                permit.wait().await;
                return Ok(Admitted { permit: Some(permit), fault: None });
            }
            Admission::Throttled { retry_after, .. } => {
                return Err(answer::throttled(self.shared.gate.throttle_status(user), retry_after));
            }
            Admission::Fault(kind) => kind,
        };
        Err(match fault {
            FaultKind::Status { status, retry_after_seconds } => {
                answer::status_fault(status, retry_after_seconds)
            }
            FaultKind::LoginPage => answer::login_page(),
            FaultKind::ExpireSession if bearer(&call.headers).is_some() => {
                self.shared.applications.expire_tokens();
                super::challenge::token_refused(BadToken::Expired)
            }
            FaultKind::ExpireSession => {
                self.sessions.forget(Some(user));
                self.challenge(&call.headers, &call.viewer.origin)
            }
            FaultKind::Item { status, .. } => answer::error(call.format, &ApiError::of_status(status)),
            fault => return Ok(Admitted { permit: None, fault: Some(fault) }),
        })
    }

    /// Sites that are closed to the account, or gone.
    fn refuse_site(&self, call: &Call) -> Option<Response> {
        let world = self.world();
        let path = &world.webs.get(&call.web)?.path;
        if self.shared.faults.vanished(Service::SharePoint, path) {
            return Some(answer::no_site());
        }
        call.account.denied_sites.contains(path).then(|| answer::error(call.format, &ApiError::denied()))
    }
}

/// Counts what is not a file's content.
fn count_listing(sharepoint: &SharePoint, answer: &Response) {
    let kind =
        answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/octet-stream") {
        let bytes = axum::body::HttpBody::size_hint(answer.body()).exact().unwrap_or(0);
        sharepoint.shared.counters.sent(ContentKind::Listing, bytes);
    }
}

/// `…/_layouts/15/download.aspx?UniqueId=G` is another way to a file's `$value`: the address it stands for.
fn download_target(path: &str, query: &str) -> Option<String> {
    let at = path.to_ascii_lowercase().find("/_layouts/15/download.aspx")?;
    let options = QueryOptions::parse(query).ok()?;
    let id = Guid::parse(options.value("uniqueid")?)?;
    Some(format!("{}/_api/web/GetFileById('{id}')/$value", &path[..at]))
}
