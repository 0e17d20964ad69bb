//! HTTP: sign-in, admission, faults, and the streaming of answers.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream;

use super::access::Caller;
use super::answer::{self, Failure, Fault};
use super::ops::{self, Context};
use super::request;
use super::world::World;
use super::xml::Segment;
use crate::account::{Account, Refusal};
use crate::application::{BadToken, bearer};
use crate::counters::ContentKind;
use crate::fault::FaultKind;
use crate::gate::{Admission, Permit, Service, ThrottleReason};
use crate::shared::Shared;

/// The limit of a real server's web.config: 64 MB, so some 48 MB of content.
const REQUEST_BYTES_MAX: usize = 67_108_864;
/// Pieces of a slow body.
const SLOW_BYTES: usize = 64 * 1024;
const PATH: &str = "/ews/exchange.asmx";
const LOGIN_PAGE: &str = "<!DOCTYPE html><html><head><title>Outlook</title></head><body><form action=\"/owa/auth.owa\" \
method=\"POST\"><input name=\"username\"><input name=\"password\" type=\"password\"></form></body></html>";

#[derive(Clone, Debug)]
struct Server {
    shared: Arc<Shared>,
    world: Arc<Mutex<World>>,
}

/// The web service at `/EWS/Exchange.asmx`, whatever the case of its path.
pub fn router(shared: Arc<Shared>, world: Arc<Mutex<World>>) -> Router {
    Router::new().fallback(handle).with_state(Server { shared, world })
}

async fn handle(State(server): State<Server>, request: Request) -> Response {
    if !request.uri().path().eq_ignore_ascii_case(PATH) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let switches = server.lock().switches().clone();
    let application = bearer(request.headers()).is_some();
    let account = match sign_in(&server.shared, request.headers(), switches.basic) {
        Ok(account) => account,
        Err(response) => return *response,
    };
    if !switches.enabled {
        return (StatusCode::FORBIDDEN, "EWS is disabled for this organization.").into_response();
    }
    if request.method() != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let content_type =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.to_ascii_lowercase().starts_with("text/xml") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let request_anchor = request.headers().get("x-anchormailbox").cloned();
    let Ok(body) = to_bytes(request.into_body(), REQUEST_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let body = String::from_utf8_lossy(&body);
    let parsed = request::parse(&body);
    let operation = parsed.as_ref().map_or("Invalid", |request| request.operation.name.as_str());
    let anchored = request_anchor.is_some();
    let (permit, fault) = match server.shared.gate.admit(&account.user, Service::Exchange, operation) {
        Admission::Pass(permit) => (Some(permit), None),
        Admission::Fault(kind) => (None, Some(kind)),
        Admission::Throttled { retry_after, reason } => return throttled(retry_after, reason),
    };
    if let Some(permit) = &permit {
        permit.wait().await;
    }
    if let Some(response) = fault.as_ref().and_then(instead) {
        return response;
    }
    let parsed =
        parsed.and_then(|request| if application { for_somebody(request, anchored) } else { Ok(request) });
    let (status, segments) = match parsed.and_then(|request| server.run(&account, &request, fault.as_ref())) {
        Ok(segments) => (StatusCode::OK, segments),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, answer::fault_body(&fault)),
    };
    send(&server.shared, status, segments, fault.as_ref(), permit)
}

impl Server {
    fn lock(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(
        &self,
        account: &Account,
        request: &request::Request,
        fault: Option<&FaultKind>,
    ) -> Result<Vec<Segment>, Fault> {
        let mut world = self.lock();
        let caller = Caller::new(account, request.impersonated.as_ref(), &world, &self.shared)?;
        let references = world.switches().illegal_references;
        let mut context = Context { world: &mut world, shared: &self.shared, caller: &caller, fault };
        ops::run(&mut context, &request.operation).map(|response| answer::body(&response, references))
    }
}

/// An application acts for somebody, and says in a header of its own for whom.
fn for_somebody(request: request::Request, anchored: bool) -> Result<request::Request, Fault> {
    if request.impersonated.is_some() && anchored {
        return Ok(request);
    }
    let text = "ExchangeImpersonation SOAP header must be present for this type of OAuth token.";
    Err(Failure::new("ErrorInvalidExchangeImpersonationHeaderData", text).into())
}

/// The application that a token is for. One without full access is known and may nothing.
fn application(shared: &Shared, headers: &HeaderMap, token: &str) -> Result<Account, Box<Response>> {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let admitted = shared.applications.admit(token, &format!("http://{host}"), true, shared.clock.now_ms());
    admitted.map(|(_, account)| account).map_err(|why| {
        let (number, reason) = match why {
            BadToken::Expired => (2_000_002, "The token has expired."),
            _ => (2_000_003, "The audience claim value is invalid."),
        };
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        };
        set(
            "www-authenticate",
            "Bearer client_id=\"00000002-0000-0ff1-ce00-000000000000\", error=\"invalid_token\"".into(),
        );
        set("x-ms-diagnostics", format!("{number};reason=\"{reason}\";error_category=\"invalid_token\""));
        Box::new(response)
    })
}

fn sign_in(shared: &Shared, headers: &HeaderMap, basic: bool) -> Result<Account, Box<Response>> {
    if let Some(token) = bearer(headers) {
        return application(shared, headers, token);
    }
    let refused = |text: &'static str| {
        let mut response = (StatusCode::UNAUTHORIZED, text).into_response();
        let realm = HeaderValue::from_static(if basic {
            "Basic realm=\"exchange.contoso.example\""
        } else {
            "Bearer client_id=\"00000002-0000-0ff1-ce00-000000000000\""
        });
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        Box::new(response)
    };
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let encoded = value
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| basic && scheme.eq_ignore_ascii_case("Basic"));
    let decoded = encoded.and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let Some((user, password)) = text.as_deref().and_then(|text| text.split_once(':')) else {
        return Err(refused(""));
    };
    shared.accounts.check(user, password).map_err(|refusal| match refusal {
        Refusal::Locked => {
            refused("The referenced account is currently locked out and may not be logged on to.")
        }
        _ => refused(""),
    })
}

/// Throttling as Exchange tells it: a SOAP fault with HTTP 500.
fn throttled(retry_after: Duration, reason: ThrottleReason) -> Response {
    let failure = match reason {
        ThrottleReason::Rate => Failure::new(
            "ErrorServerBusy",
            "The server cannot service this request right now. Try again later.",
        )
        .with_value("BackOffMilliseconds", retry_after.as_millis().to_string()),
        ThrottleReason::Concurrency => Failure::new(
            "ErrorExceededConnectionCount",
            "You have exceeded the available concurrent connections for your account.",
        ),
    };
    let bytes = segments_bytes(answer::fault_body(&failure.into()));
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        headers(),
        Body::from_stream(stream::iter(bytes.map(Ok::<_, Infallible>))),
    )
        .into_response()
}

/// The answer of a fault that takes the place of the operation.
fn instead(fault: &FaultKind) -> Option<Response> {
    match fault {
        FaultKind::Status { status, retry_after_seconds } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            let mut response =
                (status, "<html><body>The service is unavailable.</body></html>").into_response();
            if let Some(seconds) = retry_after_seconds {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            Some(response)
        }
        FaultKind::LoginPage => {
            Some(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], LOGIN_PAGE).into_response())
        }
        FaultKind::ExpireSession => Some(StatusCode::UNAUTHORIZED.into_response()),
        _ => None,
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    headers.insert(header::SERVER, HeaderValue::from_static("Microsoft-IIS/10.0"));
    headers.insert("X-FEServer", HeaderValue::from_static("EX01"));
    headers
}

fn segments_bytes(segments: Vec<Segment>) -> impl Iterator<Item = Bytes> + Send {
    segments.into_iter().flat_map(|segment| -> Box<dyn Iterator<Item = Bytes> + Send> {
        match segment {
            Segment::Text(text) => Box::new(std::iter::once(Bytes::from(text))),
            Segment::Base64(content) => Box::new(content.base64()),
        }
    })
}

fn length(segment: &Segment) -> u64 {
    match segment {
        Segment::Text(text) => text.len() as u64,
        Segment::Base64(content) => content.len().div_ceil(3) * 4,
    }
}

/// A body on its way, and what goes wrong with it.
struct Sending {
    bytes: Box<dyn Iterator<Item = Bytes> + Send>,
    /// Bytes still to be sent before the body is cut.
    left: u64,
    cut: Cut,
    pause: Duration,
    /// Held until the last byte is on its way, as a connection counts until then.
    _permit: Option<Permit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Nothing more comes, and that looks right.
    Quiet,
    /// The connection breaks.
    Broken,
    Done,
}

fn send(
    shared: &Shared,
    status: StatusCode,
    segments: Vec<Segment>,
    fault: Option<&FaultKind>,
    permit: Option<Permit>,
) -> Response {
    let whole: u64 = segments.iter().map(length).sum();
    let text = |segment: &Segment| matches!(segment, Segment::Text(_));
    shared
        .counters
        .sent(ContentKind::Listing, segments.iter().filter(|segment| text(segment)).map(length).sum());
    let (left, cut, told) = match fault {
        Some(FaultKind::Drop) => (whole / 2, Cut::Broken, whole),
        Some(FaultKind::Truncate) => (whole / 2, Cut::Quiet, whole / 2),
        _ => (whole, Cut::Quiet, whole),
    };
    let pause = match fault {
        Some(FaultKind::Slow { pause_ms }) => Duration::from_millis(*pause_ms),
        _ => Duration::ZERO,
    };
    let pieces = segments_bytes(segments).flat_map(move |bytes| pieces(bytes, pause.is_zero()));
    let sending = Sending { bytes: Box::new(pieces), left, cut, pause, _permit: permit };
    let mut headers = headers();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(told));
    (status, headers, Body::from_stream(stream::unfold(sending, next_piece))).into_response()
}

/// Slow bodies go out in small pieces, others as they are made.
fn pieces(bytes: Bytes, whole: bool) -> impl Iterator<Item = Bytes> + Send {
    let size = if whole { bytes.len().max(1) } else { SLOW_BYTES };
    let starts: Vec<usize> = (0..bytes.len()).step_by(size).collect();
    starts.into_iter().map(move |start| bytes.slice(start..(start + size).min(bytes.len())))
}

async fn next_piece(mut sending: Sending) -> Option<(Result<Bytes, std::io::Error>, Sending)> {
    if !sending.pause.is_zero() {
        tokio::time::sleep(sending.pause).await;
    }
    if sending.left == 0 {
        let broken = sending.cut == Cut::Broken;
        sending.cut = Cut::Done;
        return broken.then(|| (Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)), sending));
    }
    let mut piece = sending.bytes.next()?;
    piece.truncate(usize::try_from(sending.left).unwrap_or(usize::MAX));
    sending.left -= piece.len() as u64;
    Some((Ok(piece), sending))
}

#[cfg(test)]
mod tests;
