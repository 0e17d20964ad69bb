//! Answers on the wire: JSON, errors, throttles, acted-out faults.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;

use super::download::FLUSH;
use super::error::ApiError;
use super::odata::{Format, Renderer};
use crate::xml::escape;

/// A success in the form the client asked for.
pub(super) fn json(format: Format, status: StatusCode, value: &Value) -> Response {
    let mut answer =
        (status, [(header::CONTENT_TYPE, format.content_type())], value.to_string()).into_response();
    dress(&mut answer);
    answer
}

/// A success without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut answer = status.into_response();
    dress(&mut answer);
    answer
}

/// A refusal; XML if the client did not ask for JSON.
pub(super) fn error(format: Option<Format>, error: &ApiError) -> Response {
    let (kind, text) = match format {
        Some(format) => {
            (format.content_type(), Renderer::error(format, error.code, &error.message).to_string())
        }
        None => ("application/xml;charset=utf-8", error_xml(error)),
    };
    let mut answer = (error.status, [(header::CONTENT_TYPE, kind)], text).into_response();
    dress(&mut answer);
    answer
}

fn error_xml(error: &ApiError) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><m:error \
         xmlns:m=\"http://schemas.microsoft.com/ado/2007/08/dataservices/metadata\"><m:code>{}</m:code>\
         <m:message xml:lang=\"en-US\">{}</m:message></m:error>",
        escape(error.code),
        escape(&error.message),
    )
}

/// Headers every answer of SharePoint carries.
pub(super) fn dress(answer: &mut Response) {
    let fields = [
        ("cache-control", "private, max-age=0"),
        ("microsoftsharepointteamservices", "16.0.0.26000"),
        ("sprequestguid", "00000000-0000-4000-8000-000000000002"),
        ("x-sharepointhealthscore", "1"),
    ];
    for (name, value) in fields {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// "Too many requests": whole seconds, rounded up.
pub(super) fn throttled(status: u16, retry_after: Duration) -> Response {
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
    let fields = [("retry-after", seconds.max(1).to_string()), ("content-type", "text/html".to_string())];
    (status, fields, "<html><head><title>Too Many Requests</title></head></html>").into_response()
}

/// A page where JSON was asked for: what a dead session sometimes looks like.
pub(super) fn login_page() -> Response {
    let page = "<!DOCTYPE html><html><head><title>Sign in to your account</title></head><body></body></html>";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// What is said in place of a file that holds malware.
pub(super) fn infected(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    let fields = [
        ("content-type", "text/html; charset=utf-8"),
        ("x-virus-infected", "true"),
        ("x-clienterrorcode", "VirusError"),
        ("x-msdavext_error", "9830409; The file was found to contain malware."),
    ];
    (status, fields, "<html><body>A virus was found in this file.</body></html>").into_response()
}

/// A whole-request fault of a plain status.
pub(super) fn status_fault(status: u16, retry_after_seconds: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer =
        (status, [(header::CONTENT_TYPE, "text/html")], "<html><body>Service unavailable</body></html>")
            .into_response();
    if let Some(seconds) = retry_after_seconds {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The site is not there: a page, not JSON.
pub(super) fn no_site() -> Response {
    (
        StatusCode::NOT_FOUND,
        [(header::CONTENT_TYPE, "text/html")],
        "<html><body>404 FILE NOT FOUND</body></html>",
    )
        .into_response()
}

/// An answer cut by a fault in the middle of its body.
pub(super) fn dropped() -> Response {
    let start = futures::stream::iter([Ok(Bytes::from_static(b"{\"value\":[{\"Id\":"))]);
    let cut = futures::stream::once(async {
        tokio::time::sleep(FLUSH).await;
        Err(io::Error::other("the connection is cut by a fault"))
    });
    let body = Body::from_stream(start.chain(cut));
    ([(header::CONTENT_TYPE, Format::Bare.content_type())], body).into_response()
}
