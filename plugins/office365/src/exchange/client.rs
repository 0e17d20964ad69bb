//! Asks for one mailbox: writes the envelope, sends it through the pool, finds the answer in what comes back, and tries
//! again where the table of faults says that this helps.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use larder_sdk::{Error, ErrorKind, ReaderHost};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::{
    answer::{self, Message, Opened},
    faults::{Advice, Problem},
    requests::{Call, FolderRef},
    retry::Retry,
    soap::{AgreedVersion, ServerVersion, envelope},
    xml::{ByteStream, Pull, Tag, pull::malformed},
};
use crate::{
    error::Explanation,
    http::{Expects, Request, Response},
    options::{Access, Service},
    pool::{AccountId, Caller, Pool},
};

/// Requests under way for one mailbox: throttling counts the target, too.
const PER_MAILBOX: usize = 4;
/// How long a request waits for one of those places. Afterwards it goes all the same: a body that nobody reads may hold one.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);
/// How long an account rests that was told to within a batch, but not how long.
const REST_UNSAID: Duration = Duration::from_secs(10);
/// Longest page that is read to tell a proxy's from a server's, in bytes.
const PAGE_BYTES_MAX: usize = 64 << 10;

/// An answer, or why there is no usable one.
pub(super) type Asked<T> = Result<T, Failure>;

/// Why there is no usable answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server refused, and trying again is of no use any more.
    Refused(Problem),
    /// There was no answer of the server.
    Lost(Error),
}

impl Failure {
    /// As an error about `what`.
    pub(super) fn error(self, what: &str) -> Error {
        match self {
            Self::Refused(problem) => problem.error(what),
            Self::Lost(error) => error.context(what),
        }
    }

    /// What to do about it, if the server said.
    pub(super) fn advice(&self) -> Option<Advice> {
        match self {
            Self::Refused(problem) => Some(problem.advice()),
            Self::Lost(_) => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// An answer whose response element has just begun.
pub(super) struct Begun {
    pub(super) pull: Pull,
    pub(super) tag: Tag,
    /// Whose budget it counts to.
    pub(super) account: AccountId,
    /// The place among the mailbox's requests, kept while the answer is read.
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// Asks for one mailbox, or for nobody's (the address book). Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    shared: Arc<Shared>,
    /// The public folder mailbox that requests are for.
    route: Option<Arc<str>>,
}

struct Shared {
    caller: Caller,
    url: Url,
    /// The mailbox's primary address; none for the address book.
    mailbox: Option<String>,
    access: Access,
    version: AgreedVersion,
    places: Arc<Semaphore>,
}

impl Client {
    /// A client for a mailbox. With `own` access only the account whose mailbox it is may ask.
    pub(super) fn new(
        pool: &Arc<Pool>,
        url: &Url,
        mailbox: &str,
        access: Access,
        progress: Option<ReaderHost>,
    ) -> Self {
        let client = Self::with(pool, url, &format!("mailbox {mailbox}"), Some(mailbox), access, progress);
        if access == Access::Own {
            let others = pool.accounts(Service::Exchange).into_iter();
            for other in others.filter(|account| !pool.user(*account).eq_ignore_ascii_case(mailbox)) {
                let why = Explanation::lasting(
                    "not-own-mailbox",
                    "only its owner opens a mailbox (access = \"own\")",
                    "",
                );
                client.shared.caller.refuse(other, why.of_kind(ErrorKind::Denied));
            }
        }
        client
    }

    /// A client for the address book, asked in the account's own name; or in that of the mailbox `as_if`, since an application has no
    /// name of its own there.
    pub(super) fn directory(pool: &Arc<Pool>, url: &Url, as_if: Option<&str>) -> Self {
        let access = if as_if.is_some() { Access::Impersonation } else { Access::Own };
        Self::with(pool, url, "the address book", as_if, access, None)
    }

    /// A client through which `account` alone asks, for a mailbox or for the address book.
    pub(super) fn alone(
        pool: &Arc<Pool>,
        url: &Url,
        account: AccountId,
        mailbox: Option<&str>,
        access: Access,
    ) -> Self {
        let client = Self::with(pool, url, &format!("check {}", pool.user(account)), mailbox, access, None);
        for other in pool.accounts(Service::Exchange).into_iter().filter(|other| *other != account) {
            let why = Explanation::lasting("checked-alone", "another account is being checked", "");
            client.shared.caller.refuse(other, why.of_kind(ErrorKind::Denied));
        }
        client
    }

    fn with(
        pool: &Arc<Pool>,
        url: &Url,
        key: &str,
        mailbox: Option<&str>,
        access: Access,
        progress: Option<ReaderHost>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                caller: Caller::new(pool, Service::Exchange, key, progress),
                url: url.clone(),
                mailbox: mailbox.map(str::to_owned),
                access,
                version: AgreedVersion::default(),
                places: Arc::new(Semaphore::new(PER_MAILBOX)),
            }),
            route: None,
        }
    }

    /// The same client, for content that lies in this public folder mailbox.
    pub(super) fn routed(&self, mailbox: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), route: Some(mailbox.into()) }
    }

    /// A client for public folders: seen as `who` sees them, or in the account's own name.
    pub(super) fn public(
        pool: &Arc<Pool>,
        url: &Url,
        who: Option<&str>,
        progress: Option<ReaderHost>,
    ) -> Self {
        let access = if who.is_some() { Access::Impersonation } else { Access::Own };
        Self::with(pool, url, "public folders", who, access, progress)
    }

    /// The domain of the mailbox it asks for.
    pub(super) fn domain(&self) -> Option<&str> {
        self.shared.mailbox.as_deref().and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain)
    }

    /// The caller behind it.
    pub(super) fn caller(&self) -> &Caller {
        &self.shared.caller
    }

    /// The versions agreed on with the mailbox's server.
    pub(super) fn version(&self) -> &AgreedVersion {
        &self.shared.version
    }

    /// A folder that every mailbox knows, as it must be named for this one.
    pub(super) fn known<'a>(&'a self, name: &'a str) -> FolderRef<'a> {
        let explicit = self.shared.access == Access::Delegate;
        FolderRef::Known(name, self.shared.mailbox.as_deref().filter(|_| explicit))
    }

    /// Asks and reads the whole answer: one message for each thing asked for.
    pub(super) async fn call(&self, call: &Call) -> Asked<Vec<Message>> {
        let mut retry = Retry::new(self);
        loop {
            let mut begun = self.begin(call, &mut retry).await?;
            let messages = match answer::messages(&mut begun.pull, begun.tag).await {
                Ok(messages) => messages,
                Err(error) => {
                    retry.lost(error).await?;
                    continue;
                }
            };
            drop(begun.place);
            let Some(problem) = whole_failure(&messages) else {
                self.note_rests(&messages, begun.account);
                return Ok(messages);
            };
            retry.heed(problem, begun.account).await?;
        }
    }

    /// Some of a batch may have come through before the account was told to rest.
    fn note_rests(&self, messages: &[Message], account: AccountId) {
        let problems = messages.iter().filter_map(|message| message.problem.as_ref());
        let rests = problems.filter(|problem| problem.advice() == Advice::RestAccount);
        if let Some(rest) = rests.map(|problem| problem.back_off.unwrap_or(REST_UNSAID)).max() {
            self.shared.caller.back_off(account, rest);
        }
    }

    /// Asks for one thing and gives its message, or why there is none.
    pub(super) async fn call_one(&self, call: &Call) -> Asked<Message> {
        let message = self.call(call).await?.into_iter().next();
        let message = message.ok_or_else(|| malformed("it holds no message"))?;
        match message.problem {
            Some(problem) if !message.usable => Err(problem.into()),
            _ => Ok(message),
        }
    }

    /// Asks and stops where the response begins, so that it can be read as it arrives.
    pub(super) async fn begin(&self, call: &Call, retry: &mut Retry) -> Asked<Begun> {
        loop {
            let patience =
                tokio::time::timeout(PLACE_PATIENCE, Arc::clone(&self.shared.places).acquire_owned());
            let place = patience.await.ok().and_then(Result::ok);
            let version = self.shared.version.current();
            retry.wrote(version);
            let answer = self.shared.caller.request(&self.request(version, call)).await?;
            let account = answer.account;
            let mut pull = match document(answer.response).await {
                Ok(pull) => pull,
                Err(Failure::Lost(error)) => {
                    retry.lost(error).await?;
                    continue;
                }
                Err(Failure::Refused(problem)) => {
                    retry.heed(&problem, account).await?;
                    continue;
                }
            };
            match answer::open(&mut pull, call.operation).await {
                Ok(Opened::Response(tag)) => return Ok(Begun { pull, tag, account, place }),
                Ok(Opened::Fault(problem)) => {
                    // What follows on this connection may be no answer of ours: it is dropped with the body.
                    drop((pull, place));
                    retry.heed(&problem, account).await?;
                }
                Err(error) => {
                    drop((pull, place));
                    retry.lost(error).await?;
                }
            }
        }
    }

    fn request(&self, version: ServerVersion, call: &Call) -> Request {
        let mailbox = self.shared.mailbox.as_deref();
        let impersonate = mailbox.filter(|_| self.shared.access == Access::Impersonation);
        let text = envelope(version, impersonate, &call.body);
        let request = Request::post(self.shared.url.clone(), Expects::Xml, text)
            .header("Content-Type", "text/xml; charset=utf-8")
            .header("Accept", "text/xml");
        match (self.route.as_deref(), mailbox) {
            (Some(route), _) => {
                request.header("X-AnchorMailbox", route).header("X-PublicFolderMailbox", route)
            }
            (None, Some(address)) => request.header("X-AnchorMailbox", address),
            (None, None) => request,
        }
    }
}

/// The problem of an answer in which nothing succeeded and the first failure concerns more than one item.
fn whole_failure(messages: &[Message]) -> Option<&Problem> {
    let first = messages.first()?.problem.as_ref()?;
    let none_usable = messages.iter().all(|message| !message.usable);
    // One item's own trouble is for whoever asked for it.
    (none_usable
        && (messages.len() == 1 || first.advice() != Advice::TryAgain)
        && first.advice().concerns_request())
    .then_some(first)
}

/// The document in a response, or what a page in its place means.
async fn document(response: Response) -> Asked<Pull> {
    let status = response.status();
    let media = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
    if matches!(status, 200 | 500) && media.contains("xml") {
        return Ok(Pull::new(stream_of(response)));
    }
    let url = response.url().to_owned();
    let location = response.header("location").unwrap_or_default().to_ascii_lowercase();
    let cause = response.header("x-caserrorcode").unwrap_or_default().to_owned();
    let page = response.bytes(PAGE_BYTES_MAX).await.unwrap_or_default();
    let page = String::from_utf8_lossy(&page);
    if page.contains("specified server version is invalid") {
        return Err(Problem::new("ErrorInvalidServerVersion", "").into());
    }
    Err(page_error(status, &url, &location, &cause).into())
}

fn page_error(status: u16, url: &str, location: &str, cause: &str) -> Error {
    let configuration = |text: String| Error::new(ErrorKind::Configuration, text).with_code("ews-not-here");
    match status {
        403 => {
            let code = super::validate::switched_off(url);
            Error::new(ErrorKind::Denied, format!("{url} refuses Exchange Web Services (403)"))
                .with_code(code.code)
                .with_hint(code.remedy)
        }
        301 | 302 | 307 | 308 if location.contains("genericerrorpage") => {
            Error::new(ErrorKind::Unavailable, format!("{url} is out of order for now"))
                .with_code("ews-outage")
        }
        300..=399 => {
            configuration(format!("{url} sends elsewhere: it is not the address of Exchange Web Services"))
                .with_hint("write the address in endpoints.exchange")
        }
        404 | 405 => configuration(format!("{url} is no address of Exchange Web Services ({status})"))
            .with_hint("write the address in endpoints.exchange"),
        200 => Error::new(ErrorKind::Unavailable, format!("{url} answered with a web page"))
            .with_code("ews-web-page")
            .with_hint("a proxy or a sign-in page stands between: check endpoints.exchange"),
        413 => Error::new(ErrorKind::CorruptItem, format!("{url} finds the request too big"))
            .with_code("ews-too-big"),
        _ if !cause.is_empty() => {
            Error::new(ErrorKind::NotFound, format!("{url} finds no server for the mailbox: {cause}"))
                .with_code("ews-no-route")
        }
        _ => Error::new(ErrorKind::Unavailable, format!("{url} answered {status} with a web page"))
            .with_code("ews-web-page"),
    }
}

fn stream_of(response: Response) -> ByteStream {
    stream::unfold(Some(response), async |response| {
        let mut response = response?;
        match response.piece().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(response))),
            Ok(None) => None,
            Err(error) => Some((Err(error.into()), None)),
        }
    })
    .boxed()
}
