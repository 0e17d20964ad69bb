//! HTTP as the rest of this plugin sees it; the one file that names the client library.
//!
//! No redirect is followed (a redirect is an answer that means something), nothing is retried, and no answer is read
//! without a bound in bytes or in time.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use larder_sdk::{Error, ErrorKind};
use url::Url;

use crate::codes::{self, Code};

/// Time to reach a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Time from sending a request to the first byte of its answer.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest silence within an answer's body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is gathered in memory unless the caller asks for less, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 32 << 20;

/// The decorated name of this program: such traffic is served first, and is told plainly when it is too much.
const USER_AGENT: &str = concat!("NONISV|Larder|Larder/", env!("CARGO_PKG_VERSION"));

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// What a good answer holds. Anything else with status 200 is a page for people: a login, a throttle, a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expects {
    Json,
    Xml,
    /// A file's bytes, which are not HTML.
    Bytes,
    /// Anything, HTML too.
    Any,
}

/// One request; cheap to clone. Shows neither headers nor body when printed.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) expects: Expects,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Request {
    /// Asks for a URL.
    pub(crate) fn get(url: Url, expects: Expects) -> Self {
        Self { method: Method::Get, url, expects, headers: Vec::new(), body: Bytes::new() }
    }
    /// Sends a body to a URL.
    pub(crate) fn post(url: Url, expects: Expects, body: impl Into<Bytes>) -> Self {
        Self { method: Method::Post, body: body.into(), ..Self::get(url, expects) }
    }
    /// Adds a header, or replaces the one of that name.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.method, self.url)
    }
}

/// Why there is no answer, or not all of it.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// The server could not be reached, or the connection broke.
    Broken { url: String, source: reqwest::Error },
    /// Nothing came for too long.
    Silent { url: String, after: Duration },
    /// The answer is larger than allowed.
    TooLarge { url: String, bytes_max: usize },
    /// The request could not be built.
    Malformed { url: String, source: reqwest::Error },
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { url, source } => write!(f, "no answer from {url}: {}", innermost(source)),
            Self::Silent { url, after } => write!(f, "no answer from {url} within {} s", after.as_secs()),
            Self::TooLarge { url, bytes_max } => {
                write!(f, "the answer of {url} is larger than {bytes_max} bytes")
            }
            Self::Malformed { url, source } => write!(f, "a request to {url} cannot be made: {source}"),
        }
    }
}

impl std::error::Error for HttpError {}

impl HttpError {
    /// What hinders, as far as the client library tells; `None` if the connection broke in the middle.
    pub(crate) fn code(&self) -> Option<&'static Code> {
        match self {
            Self::Broken { source, .. } if source.is_connect() => Some(why_unconnected(&causes(source))),
            Self::Silent { .. } => Some(codes::NO_ANSWER),
            _ => None,
        }
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        let kind = match &error {
            HttpError::Broken { .. } | HttpError::Silent { .. } => ErrorKind::Unavailable,
            HttpError::TooLarge { .. } => ErrorKind::CorruptItem,
            HttpError::Malformed { .. } => ErrorKind::Bug,
        };
        let told = Self::new(kind, error.to_string());
        match error.code() {
            Some(code) => told.with_code(code.code).with_hint(code.remedy),
            None => told,
        }
    }
}

/// All causes of an error in one text, the outermost first.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// Sorts the texts of the libraries below: they tell these causes apart by words alone.
fn why_unconnected(causes: &str) -> &'static Code {
    let causes = causes.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| causes.contains(word));
    if says(&["certificate", "unknownissuer"]) {
        codes::TLS_UNTRUSTED
    } else if says(&["proxy", "tunnel"]) {
        codes::PROXY_REFUSED
    } else if says(&["dns error", "lookup address", "name or service", "no such host"]) {
        codes::HOST_UNKNOWN
    } else {
        codes::UNREACHABLE
    }
}

/// The cause at the end of a chain, which is the one that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A URL as messages show it: without its query, which may be long.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// What must live until an answer has been read: the place among the requests at once that it takes.
pub(crate) trait Lease: Send + Sync {
    /// Says whether somebody is waiting for the server right now.
    fn waiting(&self, waiting: bool);
}

/// Sends requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
}

impl Http {
    /// A client of its own. `direct` leaves out any proxy the environment names.
    pub(crate) fn new(direct: bool) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30));
        if direct {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("HTTP cannot be set up: {}", innermost(&error)))
        })?;
        Ok(Self { client })
    }

    /// Sends a request and waits for the head of its answer, whatever its status.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let url = shown(&request.url);
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = self.client.request(method, request.url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if request.method == Method::Post {
            // An empty body must still be announced as such.
            builder = builder.header("Content-Length", request.body.len()).body(request.body);
        }
        let sent = builder
            .build()
            .map_err(|source| HttpError::Malformed { url: url.clone(), source: source.without_url() })?;
        let answer = tokio::time::timeout(FIRST_BYTE_TIMEOUT, self.client.execute(sent))
            .await
            .map_err(|_| HttpError::Silent { url: url.clone(), after: FIRST_BYTE_TIMEOUT })?
            .map_err(|source| HttpError::Broken { url: url.clone(), source: source.without_url() })?;
        Ok(Response { answer, url, lease: None })
    }
}

/// An answer: its head, and a body that is read piece by piece.
pub(crate) struct Response {
    answer: reqwest::Response,
    url: String,
    lease: Option<Box<dyn Lease>>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.status(), self.url)
    }
}

impl Response {
    /// Keeps something alive until the body has been read or dropped.
    #[must_use]
    pub(crate) fn with_lease(mut self, lease: Box<dyn Lease>) -> Self {
        self.lease = Some(lease);
        self
    }
    /// The status code.
    pub(crate) fn status(&self) -> u16 {
        self.answer.status().as_u16()
    }
    /// True for 200 to 299.
    pub(crate) fn is_success(&self) -> bool {
        self.answer.status().is_success()
    }
    /// The address asked, without its query.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
    /// A header's first value, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name).and_then(|value| value.to_str().ok())
    }
    /// All values of a header that are text.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.answer.headers().get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }
    /// The length the server announced, in bytes.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length").and_then(|text| text.trim().parse().ok())
    }
    /// True if the answer says it is a web page.
    pub(crate) fn is_html(&self) -> bool {
        self.header("content-type").is_some_and(|media| {
            media.trim_start().get(..9).is_some_and(|start| start.eq_ignore_ascii_case("text/html"))
        })
    }

    /// True if the answer says that malware was found in what was asked for, whatever its status.
    pub(crate) fn is_infected(&self) -> bool {
        let is =
            |name: &str, value: &str| self.header(name).is_some_and(|told| told.eq_ignore_ascii_case(value));
        is("x-virus-infected", "true") || is("x-clienterrorcode", "VirusError")
    }

    /// The next piece of the body; `None` at its end. A body that ends before its announced length is an error.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.waiting(true);
        let piece = tokio::time::timeout(IDLE_TIMEOUT, self.answer.chunk()).await;
        self.waiting(false);
        let piece = piece
            .map_err(|_| HttpError::Silent { url: self.url.clone(), after: IDLE_TIMEOUT })?
            .map_err(|source| HttpError::Broken { url: self.url.clone(), source: source.without_url() })?;
        if piece.is_none() {
            self.lease = None;
        }
        Ok(piece)
    }

    fn waiting(&self, waiting: bool) {
        if let Some(lease) = &self.lease {
            lease.waiting(waiting);
        }
    }

    /// The whole body, of at most `bytes_max`.
    pub(crate) async fn bytes(mut self, bytes_max: usize) -> Result<Bytes, HttpError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            if all.len() + piece.len() > bytes_max {
                return Err(HttpError::TooLarge { url: self.url.clone(), bytes_max });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hinders_a_connection_is_told_apart() {
        let expected = [
            ("client error (Connect): invalid peer certificate: UnknownIssuer", "tls-untrusted"),
            ("client error (Connect): tunnel error: proxy authorization required", "proxy-refused"),
            ("client error (Connect): dns error: failed to lookup address information", "host-unknown"),
            ("client error (Connect): tcp connect error: Connection refused (os error 111)", "unreachable"),
        ];
        for (text, code) in expected {
            assert_eq!(why_unconnected(text).code, code, "{text}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_told_as_such() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/?secret")).unwrap();
        let error = Http::new(true).unwrap().send(Request::get(url, Expects::Any)).await.unwrap_err();
        let error = Error::from(error);
        assert_eq!((error.code(), error.kind()), (Some("unreachable"), ErrorKind::Unavailable));
        assert!(!error.message().contains("secret") && error.hint().is_some(), "{error}");
    }
}
