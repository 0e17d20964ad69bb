//! Stores on the network. The one file that knows the `object_store` crate.
//!
//! That crate speaks each store's protocol. Trying again is ours (`retry.rs`), and so is what failures mean (`error.rs`): a
//! connector of our own ([`Observer`]) notes every exchange that fails, with status, code and the wait asked for, which the
//! crate's own errors do not give away; and they hold URLs, which may hold signatures, so they are not passed on.

use std::{cell::RefCell, future::Future, ops::Range, str::FromStr, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::StreamExt;
use larder_sdk::{Bytes, Error, ErrorKind, ObjectInfo, Result, async_trait, limits};
use object_store::{
    Certificate, ClientConfigKey, ClientOptions, GetOptions, GetRange, GetResult, HeaderMap, HeaderValue,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
        HttpService, ReqwestConnector,
    },
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    http::HttpBuilder,
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path,
};

use crate::{
    answer,
    failure::{Answer, Failure, Outcome, Stage},
    location::{Location, Scheme},
    options::Options,
    page::Page,
};

/// How long making a connection may take, unless the options say otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may be silent: before it answers, and between two pieces of an answer.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The slowest upload that is waited for, in bytes a second. A peer that is gone is noticed by the system long before.
const UPLOAD_RATE_MIN: u64 = 16 << 10;

/// A bucket, container or `WebDAV` server.
pub(crate) struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Listing by pages, where the protocol has it.
    pages: Option<Arc<dyn PaginatedListStore>>,
    /// Puts can be made to fail if the object is there.
    pub(crate) creates: bool,
}

impl Store {
    /// Sets a store up. Makes no request.
    pub(crate) fn open(location: &Location, options: &Options) -> Result<Self> {
        let client = client_options(location, options)?;
        // Trying again is ours: see `retry.rs`.
        let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let store = match location.scheme {
            Scheme::S3 => {
                let builder = AmazonS3Builder::from_env()
                    .with_client_options(client)
                    .with_bucket_name(&location.root)
                    // One object at a time: their errors come one by one, and every server has it.
                    .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
                    .with_retry(once)
                    .with_http_connector(Observer::connector());
                let store =
                    own_keys::<AmazonS3ConfigKey, _>(builder, options, AmazonS3Builder::with_config)?.build();
                let creates = options.get("aws_conditional_put") != Some("disabled");
                store.map(|store| Self::paged(store, creates))
            }
            Scheme::Azure => {
                let builder = MicrosoftAzureBuilder::from_env()
                    .with_client_options(client)
                    .with_container_name(&location.root)
                    .with_retry(once)
                    .with_http_connector(Observer::connector());
                let store =
                    own_keys::<AzureConfigKey, _>(builder, options, MicrosoftAzureBuilder::with_config)?;
                store.build().map(|store| Self::paged(store, true))
            }
            Scheme::Google => {
                let builder = GoogleCloudStorageBuilder::from_env()
                    .with_client_options(client)
                    .with_bucket_name(&location.root)
                    .with_retry(once)
                    .with_http_connector(Observer::connector());
                let store =
                    own_keys::<GoogleConfigKey, _>(builder, options, GoogleCloudStorageBuilder::with_config)?;
                store.build().map(|store| Self::paged(store, true))
            }
            Scheme::WebDav | Scheme::File | Scheme::Memory => HttpBuilder::new()
                .with_url(&location.root)
                .with_client_options(client)
                .with_retry(once)
                .with_http_connector(Observer::connector())
                .build()
                .map(|store| Self { objects: Arc::new(store), pages: None, creates: false }),
        };
        store.map_err(|error| wrong(format!("{location} cannot be set up: {}", root_cause(&error)), options))
    }

    fn paged<S: ObjectStore + PaginatedListStore>(store: S, creates: bool) -> Self {
        let store = Arc::new(store);
        Self { objects: Arc::clone(&store) as _, pages: Some(store), creates }
    }

    /// Writes an object in one request. With `create` it must be absent; only where [`Self::creates`] says so.
    pub(crate) async fn put(&self, name: &str, data: Bytes, create: bool) -> Outcome<()> {
        let limit = SILENCE_MAX + Duration::from_secs(data.len() as u64 / UPLOAD_RATE_MIN);
        let mode = if create { PutMode::Create } else { PutMode::Overwrite };
        let path = path(name)?;
        observed(limit, self.objects.put_opts(&path, data.into(), mode.into())).await.map(|_| ())
    }

    /// Reads an object of at most [`limits::OBJECT_BYTES_MAX`].
    pub(crate) async fn get(&self, name: &str) -> Outcome<Bytes> {
        let path = path(name)?;
        let found = observed(SILENCE_MAX, self.objects.get_opts(&path, GetOptions::default())).await?;
        if found.meta.size > limits::OBJECT_BYTES_MAX {
            return Err(Failure::TooLarge { size: found.meta.size });
        }
        let size = found.meta.size;
        body(found, size).await
    }

    /// Reads exactly a range, which is not empty.
    pub(crate) async fn get_range(&self, name: &str, range: Range<u64>) -> Outcome<Bytes> {
        let size = range.end - range.start;
        let path = path(name)?;
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let found = observed(SILENCE_MAX, self.objects.get_opts(&path, options)).await?;
        if found.range != range {
            return Err(Failure::PastEnd { size: found.meta.size });
        }
        body(found, size).await
    }

    /// An object's size and time.
    pub(crate) async fn head(&self, name: &str) -> Outcome<ObjectInfo> {
        let path = path(name)?;
        match observed(SILENCE_MAX, self.objects.head(&path)).await {
            // Apache leaves an empty object's length out; when the object itself is asked for, it is there.
            Err(Failure::Other(_)) if self.pages.is_none() => {
                let asked = self.objects.get_opts(&path, GetOptions::default());
                observed(SILENCE_MAX, asked).await.map(|found| info(&found.meta))
            }
            outcome => outcome.map(|meta| info(&meta)),
        }
    }

    /// Removes an object.
    pub(crate) async fn delete(&self, name: &str) -> Outcome<()> {
        let path = path(name)?;
        observed(SILENCE_MAX, self.objects.delete(&path)).await
    }

    /// One page of what lies directly in a folder; the empty name is the top.
    pub(crate) async fn list(&self, folder: &str, token: Option<String>) -> Outcome<Page> {
        let Some(pages) = &self.pages else { return self.list_whole(folder, token).await };
        let prefix = (!folder.is_empty()).then(|| format!("{folder}/"));
        let options = PaginatedListOptions {
            delimiter: Some("/".into()),
            max_keys: Some(limits::LIST_PAGE_MAX),
            page_token: token,
            ..PaginatedListOptions::default()
        };
        let found = observed(SILENCE_MAX, pages.list_paginated(prefix.as_deref(), options)).await?;
        Ok(Page {
            objects: found
                .result
                .objects
                .iter()
                .map(|meta| (meta.location.to_string(), info(meta)))
                .collect(),
            folders: found.result.common_prefixes.iter().map(ToString::to_string).collect(),
            next: found.page_token.filter(|token| !token.is_empty()),
        })
    }

    /// The same where the protocol lists a folder in one piece: the names after `token`, in order.
    async fn list_whole(&self, folder: &str, token: Option<String>) -> Outcome<Page> {
        let prefix = if folder.is_empty() { None } else { Some(path(folder)?) };
        let found = observed(SILENCE_MAX, self.objects.list_with_delimiter(prefix.as_ref())).await?;
        let objects = found.objects.iter().map(|meta| (meta.location.to_string(), Some(info(meta))));
        let folders = found.common_prefixes.iter().map(|path| (path.to_string(), None));
        // The server names the folder itself as well.
        let inside = |(name, _): &(String, Option<ObjectInfo>)| name != folder;
        Ok(Page::cut(objects.chain(folders).filter(inside), token.as_deref()))
    }
}

/// Collects an answer of a known size.
async fn body(found: GetResult, size: u64) -> Outcome<Bytes> {
    let mut pieces = found.into_stream();
    let mut first = Bytes::new();
    let mut whole: Option<Vec<u8>> = None;
    loop {
        let piece = observed(SILENCE_MAX, async { pieces.next().await.transpose() }).await?;
        let Some(piece) = piece else { break };
        let so_far = whole.as_ref().map_or(first.len(), Vec::len) as u64;
        if so_far + piece.len() as u64 > size {
            return Err(Failure::WrongLength { expected: size, found: so_far + piece.len() as u64 });
        }
        match &mut whole {
            // A small answer is one piece and is not copied.
            None if first.is_empty() => first = piece,
            None => {
                let mut bytes = Vec::with_capacity(size as usize);
                bytes.extend_from_slice(&first);
                bytes.extend_from_slice(&piece);
                whole = Some(bytes);
            }
            Some(bytes) => bytes.extend_from_slice(&piece),
        }
    }
    let bytes = whole.map_or(first, Bytes::from);
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(Failure::WrongLength { expected: size, found: bytes.len() as u64 })
    }
}

fn path(name: &str) -> Outcome<Path> {
    Path::parse(name).map_err(|error| Failure::Other(format!("no store takes this name: {error}")))
}

fn info(meta: &ObjectMeta) -> ObjectInfo {
    let seconds = meta.last_modified.timestamp();
    let nanos = meta.last_modified.timestamp_subsec_nanos().min(999_999_999);
    // Servers that tell no time come out as 1970.
    let modified = (seconds != 0).then_some(larder_sdk::Time { seconds, nanos });
    ObjectInfo { size: meta.size, modified }
}

/// Hands the options that are the store's own to its builder; the network's are [`client_options`]'.
fn own_keys<K: FromStr, B>(builder: B, options: &Options, with: fn(B, K, String) -> B) -> Result<B> {
    options.iter().filter(|(name, _)| !is_network(name)).try_fold(builder, |builder, (name, value)| {
        let key =
            name.parse().map_err(|_| Error::bug(format!("the store does not know its option `{name}`")))?;
        Ok(with(builder, key, value.to_owned()))
    })
}

fn is_network(name: &str) -> bool {
    name == "ca_certificate" || ClientConfigKey::from_str(name).is_ok()
}

/// How requests are made: timeouts, certificates, proxies, and `WebDAV`'s user and password.
fn client_options(location: &Location, options: &Options) -> Result<ClientOptions> {
    let mut client = ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT).with_timeout_disabled();
    for (name, value) in options.iter() {
        if let Ok(key) = ClientConfigKey::from_str(name) {
            client = client.with_config(key, value);
        }
    }
    let endpoints = [
        Some(&*location.root).filter(|_| location.scheme == Scheme::WebDav),
        options.get("aws_endpoint"),
        options.get("azure_storage_endpoint"),
    ];
    let plain = endpoints.into_iter().flatten().any(|endpoint| endpoint.starts_with("http://"));
    if plain && options.get("allow_http") != Some("true") {
        return Err(wrong(format!("{location} is reached without encryption, over http://"), options)
            .with_hint("use https://, or add `allow_http = true` to the repository's options if the network is trusted"));
    }
    if let Some(file) = options.get("ca_certificate") {
        let unusable =
            |why: String| wrong(format!("the certificates in {file} cannot be used: {why}"), options);
        let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
        for certificate in Certificate::from_pem_bundle(&pem).map_err(|error| unusable(root_cause(&error)))? {
            client = client.with_root_certificate(certificate);
        }
    }
    match (options.get("user"), options.get("password")) {
        (None, None) => Ok(client),
        (Some(user), Some(password)) => {
            let token = BASE64_STANDARD.encode(format!("{user}:{password}"));
            let mut value = HeaderValue::try_from(format!("Basic {token}"))
                .map_err(|_| Error::bug("base64 is no header value"))?;
            value.set_sensitive(true);
            let mut headers = HeaderMap::new();
            headers.insert("authorization", value);
            Ok(client.with_default_headers(headers))
        }
        _ => Err(wrong("of `user` and `password` only one is set", options)),
    }
}

fn wrong(message: impl AsRef<str>, options: &Options) -> Error {
    Error::new(ErrorKind::Configuration, options.mask().apply(message.as_ref())).with_code("store-options")
}

/// The deepest cause's words: those further up repeat them, or hold URLs.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

tokio::task_local! {
    /// The last exchange of the call that this task makes, if it failed.
    static FAILED: RefCell<Option<Failure>>;
}

/// Makes a call within a time, and tells why it failed from what was observed underneath.
async fn observed<T>(limit: Duration, call: impl Future<Output = object_store::Result<T>>) -> Outcome<T> {
    let watched = async {
        let outcome = tokio::time::timeout(limit, call).await;
        (outcome, FAILED.with(RefCell::take))
    };
    let (outcome, failed) = FAILED.scope(RefCell::new(None), watched).await;
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed.unwrap_or_else(|| unobserved(&error))),
        Err(_) => Err(Failure::Unanswered {
            host: "the store".to_owned(),
            stage: Stage::Silent,
            cause: format!("{} s have passed", limit.as_secs()),
        }),
    }
}

/// A failure that was no failed exchange: a connection that broke inside an answer, or an answer that makes no sense.
fn unobserved(error: &object_store::Error) -> Failure {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(http) = cause.downcast_ref::<HttpError>() {
            return unanswered(http, "the store");
        }
        source = cause.source();
    }
    let cause = root_cause(error);
    answer::of_batch(&cause).map_or(Failure::Other(cause), Failure::Answered)
}

fn unanswered(error: &HttpError, host: &str) -> Failure {
    let cause = root_cause(error);
    let stage = match error.kind() {
        HttpErrorKind::Connect => Stage::Connecting,
        HttpErrorKind::Timeout if cause.contains("connect") => Stage::Connecting,
        HttpErrorKind::Timeout => Stage::Silent,
        _ => Stage::Broken,
    };
    Failure::Unanswered { host: host.to_owned(), stage, cause }
}

/// Stands between the store's protocol and the network, and notes what fails.
#[derive(Debug)]
struct Observer(HttpClient);

impl Observer {
    fn connector() -> Connector {
        Connector(ReqwestConnector::default())
    }
}

/// Puts an [`Observer`] before every client.
#[derive(Debug)]
struct Connector(ReqwestConnector);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Observer(self.0.connect(options)?)))
    }
}

#[async_trait]
impl HttpService for Observer {
    async fn call(&self, request: HttpRequest) -> std::result::Result<HttpResponse, HttpError> {
        let method = request.method().to_string();
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let (failed, outcome) = match self.0.execute(request).await {
            Ok(response) if response.status().is_success() => (None, Ok(response)),
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = answer::start(body.bytes_stream()).await;
                let header =
                    |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
                let status = parts.status.as_u16();
                let failed = Answer { method, host, status, ..answer::read(&body, header) };
                (
                    Some(Failure::Answered(failed)),
                    Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(body))),
                )
            }
            Err(error) => (Some(unanswered(&error, &host)), Err(error)),
        };
        // Outside a call of ours there is nobody to tell.
        let _ = FAILED.try_with(|slot| slot.replace(failed));
        outcome
    }
}

#[cfg(test)]
mod tests;
