//! Sending file contents: whole or by range, made as they are sent, with faults on demand.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::resource::Content;
use super::{SharePoint, answer};
use crate::content::FileBody;
use crate::fault::FaultKind;
use crate::gate::Permit;

/// Bytes per piece.
const PIECE_BYTES: u64 = 128 * 1024;

/// Wait before a connection is cut, so that what was sent before is on the wire.
pub(super) const FLUSH: Duration = Duration::from_millis(50);

/// A part of a body to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Whole,
    /// First byte and the one after the last.
    Part(u64, u64),
    Unsatisfiable,
}

fn span_of(headers: &HeaderMap, length: u64) -> Span {
    let text = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let Some(range) = text.and_then(|text| text.strip_prefix("bytes=")) else { return Span::Whole };
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else {
        return Span::Whole;
    };
    let (first, last) = (first.trim().parse::<u64>().ok(), last.trim().parse::<u64>().ok());
    let (start, end) = match (first, last) {
        (Some(first), Some(last)) if last >= first => (first, last.saturating_add(1).min(length)),
        (Some(first), None) => (first, length),
        (None, Some(last)) => (length.saturating_sub(last), length),
        _ => return Span::Whole,
    };
    if start >= length { Span::Unsatisfiable } else { Span::Part(start, end) }
}

struct Sender {
    body: FileBody,
    at: u64,
    end: u64,
    /// Where the connection is cut, if it is.
    cut: Option<u64>,
    pause: Option<Duration>,
    /// Held until the last byte is out.
    _permit: Option<Permit>,
}

impl Sender {
    async fn next(mut self) -> Option<(Result<Bytes, io::Error>, Self)> {
        if self.cut.is_some_and(|cut| self.at >= cut) {
            (self.at, self.cut) = (self.end, None);
            tokio::time::sleep(FLUSH).await;
            return Some((Err(io::Error::other("the connection is cut by a fault")), self));
        }
        if self.at >= self.end {
            return None;
        }
        if let Some(pause) = self.pause {
            tokio::time::sleep(pause).await;
        }
        let stop = self.cut.unwrap_or(self.end).min(self.end);
        let piece = self.body.read(self.at, PIECE_BYTES.min(stop - self.at)).map_err(io::Error::other);
        self.at += piece.as_ref().map_or(self.end, |piece| piece.len() as u64);
        Some((piece, self))
    }
}

impl SharePoint {
    /// Sends `content`; `fault` spoils it.
    pub(super) fn download(
        &self,
        content: &Content,
        headers: &HeaderMap,
        permit: Option<Permit>,
        fault: Option<&FaultKind>,
    ) -> Response {
        let length = content.body.length();
        let other =
            headers.get(header::IF_RANGE).is_some_and(|tag| tag.as_bytes() != content.etag.as_bytes());
        let span = if other || fault == Some(&FaultKind::RangeIgnored) {
            Span::Whole
        } else {
            span_of(headers, length)
        };
        let (status, start, mut end) = match span {
            Span::Whole => (StatusCode::OK, 0, length),
            Span::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
            Span::Unsatisfiable => {
                let range = format!("bytes */{length}");
                return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response();
            }
        };
        let last = end;
        let (mut cut, mut pause) = (None, None);
        match fault {
            Some(FaultKind::Truncate) => end = start + (end - start) / 2,
            Some(FaultKind::Drop) => cut = Some(start + (end - start) / 2),
            Some(FaultKind::Slow { pause_ms }) => pause = Some(Duration::from_millis(*pause_ms)),
            _ => {}
        }
        self.shared.counters.sent(content.kind, end - start);
        self.shared.counters.fetched(&content.id);
        let sender = Sender { body: content.body.clone(), at: start, end, cut, pause, _permit: permit };
        let body = Body::from_stream(futures::stream::unfold(sender, Sender::next));
        let mut answer = (status, [(header::CONTENT_TYPE, "application/octet-stream")], body).into_response();
        answer::dress(&mut answer);
        let fields = answer.headers_mut();
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
        fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Ok(etag) = HeaderValue::from_str(&content.etag) {
            fields.insert(header::ETAG, etag);
        }
        if status == StatusCode::PARTIAL_CONTENT
            && let Ok(range) = HeaderValue::from_str(&format!("bytes {start}-{}/{length}", last - 1))
        {
            fields.insert(header::CONTENT_RANGE, range);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(range: &str, length: u64) -> Span {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        span_of(&headers, length)
    }

    #[test]
    fn ranges() {
        assert_eq!(span("bytes=0-9", 100), Span::Part(0, 10));
        assert_eq!(span("bytes=90-", 100), Span::Part(90, 100));
        assert_eq!(span("bytes=90-500", 100), Span::Part(90, 100));
        assert_eq!(span("bytes=-10", 100), Span::Part(90, 100));
        assert_eq!(span("bytes=100-", 100), Span::Unsatisfiable);
        assert_eq!(span("bytes=0-", 0), Span::Unsatisfiable);
        assert_eq!(span("bytes=5-2", 100), Span::Whole);
        assert_eq!(span("bytes=0-1,5-6", 100), Span::Whole);
        assert_eq!(span("lines=1-2", 100), Span::Whole);
    }
}
