//! Sign-in of the tenant: realm discovery and tokens for legacy clients.

pub(crate) mod adfs;
mod answer;
mod envelope;
mod oauth;
mod realm;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::account::Refusal;
use crate::fault::FaultKind;
use crate::gate::{Admission, Service};
use crate::shared::Shared;
use envelope::{Dialect, Proof, TokenRequest};

pub(crate) use tokens::Tokens;

/// Largest request body, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
struct Login {
    shared: Arc<Shared>,
    tokens: Arc<Tokens>,
}

/// The login host.
pub(crate) fn router(shared: Arc<Shared>, tokens: Arc<Tokens>) -> Router {
    Router::new().fallback(serve).with_state(Arc::new(Login { shared, tokens }))
}

async fn serve(State(login): State<Arc<Login>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_ascii_lowercase();
    let query = parts.uri.query().unwrap_or_default().to_string();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(body) = String::from_utf8(body.to_vec()) else { return StatusCode::BAD_REQUEST.into_response() };
    match (path.as_str(), parts.method.as_str()) {
        ("/getuserrealm.srf", "GET" | "POST") => {
            realm::get_user_realm(&login.shared.federation, &query, &body)
        }
        ("/extsts.srf", "POST") => login.token(Dialect::ExtSts, &body).await,
        ("/rst2.srf", "POST") => login.token(Dialect::Rst2, &body).await,
        ("/extsts.srf" | "/rst2.srf" | "/getuserrealm.srf", _) => {
            StatusCode::METHOD_NOT_ALLOWED.into_response()
        }
        (path, "POST") if oauth::tenant_of(path).is_some() => {
            let request =
                oauth::TokenRequest { headers: &parts.headers, path: parts.uri.path(), body: &body };
            login.application(&request).await
        }
        (path, "GET") => match path.strip_prefix("/common/userrealm/") {
            Some(user) => realm::user_realm(&login.shared.federation, user, &query),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Login {
    async fn token(&self, dialect: Dialect, body: &str) -> Response {
        let Some(wanted) = TokenRequest::read(dialect, body) else { return answer::invalid_request() };
        let now = self.shared.clock.now_ms();
        let user = match &wanted.proof {
            Proof::Password { user, .. } => user.to_ascii_lowercase(),
            Proof::Assertion => match self.shared.federation.verify(body, now) {
                Some(user) => user,
                None => return answer::signature_broken(),
            },
        };
        let _permit = match self.shared.gate.admit(&user, Service::Login, dialect.operation()) {
            Admission::Pass(permit) => {
                permit.wait().await;
                permit
            }
            Admission::Throttled { retry_after, .. } => return throttled(retry_after),
            Admission::Fault(kind) => return broken(&kind),
        };
        self.shared.counters.sign_in(&user);
        let checked = match &wanted.proof {
            Proof::Password { password, .. } => self.shared.accounts.check(&user, password),
            Proof::Assertion => self.shared.accounts.check_vouched(&user),
        };
        match checked {
            Ok(account) => {
                let token = self.tokens.issue(&account.user, now);
                answer::success(&token, now)
            }
            Err(Refusal::NoToken) => answer::without_token(),
            Err(refusal) => answer::refused(refusal),
        }
    }

    /// A token for an application.
    async fn application(&self, request: &oauth::TokenRequest<'_>) -> Response {
        let claimed = request.claimed().unwrap_or_default();
        let _permit = match self.shared.gate.admit(&claimed, Service::Login, "token") {
            Admission::Pass(permit) => {
                permit.wait().await;
                permit
            }
            Admission::Throttled { retry_after, .. } => return throttled(retry_after),
            Admission::Fault(kind) => return broken(&kind),
        };
        self.shared.counters.sign_in(&claimed);
        let (applications, now) = (&self.shared.applications, self.shared.clock.now_ms());
        match request.judge(applications, now) {
            Ok(wanted) => {
                let (token, seconds) =
                    applications.issue(&wanted.client_id, &wanted.resource, wanted.with_secret, now);
                oauth::granted(&token, seconds)
            }
            Err(refused) => refused.answer(),
        }
    }
}

fn throttled(retry_after: Duration) -> Response {
    let seconds = retry_after.as_secs_f64().ceil().max(1.0);
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())]).into_response()
}

fn broken(kind: &FaultKind) -> Response {
    match kind {
        FaultKind::Status { status, .. } => {
            StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        FaultKind::LoginPage => {
            ([(header::CONTENT_TYPE, "text/html")], "<html><body>Sign in</body></html>").into_response()
        }
        FaultKind::Drop => Body::from_stream(futures::stream::iter([
            Ok(bytes::Bytes::from_static(b"<S:Envelope ")),
            Err(std::io::Error::other("cut by a fault")),
        ]))
        .into_response(),
        _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
