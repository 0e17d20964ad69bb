//! Contents of files: streamed, checked against their length, taken up again where a transfer broke.

use larder_sdk::{Body, Bytes, Error, ErrorKind, Result, async_trait, limits::PIECE_BYTES_MAX};
use url::Url;

use super::{items::FileRef, paths, web::Web};
use crate::http::{Expects, Request, Response};

/// Most times a transfer is taken up again without a byte of progress.
const RESUMES_MAX: u32 = 4;
/// Endings of files that are web pages themselves.
const PAGES: [&str; 6] = ["htm", "html", "aspx", "mht", "mhtml", "xhtml"];

/// The body of a file or attachment. Asks for nothing before it is read.
pub(super) struct FileBody {
    web: Web,
    url: Url,
    shown: String,
    expects: Expects,
    /// Its length as listed.
    listed: Option<u64>,
    /// True if every answer has other bytes, so that none can be taken up by another.
    whole_only: bool,
    /// Bytes handed out.
    at: u64,
    transfer: Option<Transfer>,
    /// The ETag of the first answer: what comes later must be of the same content.
    etag: Option<String>,
    without_progress: u32,
    finished: bool,
    rest: Bytes,
}

/// One answer being read.
struct Transfer {
    response: Response,
    /// Bytes at its beginning that were handed out already, because the server ignored the range.
    skip: u64,
    /// True if it began with bytes to skip.
    repeated: bool,
    /// What has come of it, and what was announced.
    came: u64,
    announced: Option<u64>,
}

impl FileBody {
    /// The current content of a file.
    pub(super) fn of_file(web: &Web, file: &FileRef) -> Result<Self> {
        let url = web.api(&format!("web/GetFileById('{}')/$value", file.unique_id))?;
        Ok(Self { whole_only: file.protected, ..Self::new(web, url, &file.name, file.length) })
    }

    /// An earlier version of a file, by its number.
    pub(super) fn of_version(web: &Web, file: &FileRef, number: u32, length: Option<u64>) -> Result<Self> {
        let url = web.api(&format!("web/GetFileById('{}')/versions({number})/$value", file.unique_id))?;
        let mut body = Self::new(web, url, &file.name, length);
        body.shown = format!("{} (version {}.{})", file.name, number / 512, number % 512);
        Ok(body)
    }

    /// An attachment of a list item, by its server-relative path.
    pub(super) fn of_attachment(web: &Web, path: &str) -> Result<Self> {
        let url = web.api(&paths::file_by_path(path, "/$value"))?;
        Ok(Self::new(web, url, paths::leaf(path), None))
    }

    fn new(web: &Web, url: Url, name: &str, listed: Option<u64>) -> Self {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
        Self {
            web: web.clone(),
            url,
            shown: name.to_owned(),
            expects: if PAGES.contains(&ending.as_str()) { Expects::Any } else { Expects::Bytes },
            listed,
            whole_only: false,
            at: 0,
            transfer: None,
            etag: None,
            without_progress: 0,
            // Asking for an empty file's bytes has no use, and some servers refuse it.
            finished: listed == Some(0),
            rest: Bytes::new(),
        }
    }

    /// Asks for the bytes from where the body stands. `None` if there are none.
    async fn begin(&mut self) -> Result<Option<Transfer>> {
        let mut request = Request::get(self.url.clone(), self.expects)
            .header("Accept", "*/*")
            // Compressed on the way, lengths would say nothing.
            .header("Accept-Encoding", "identity");
        if self.at > 0 {
            request = request.header("Range", format!("bytes={}-", self.at));
            if let Some(etag) = &self.etag {
                request = request.header("If-Range", etag.as_str());
            }
        }
        let response = self.web.fetch_range(&request).await.map_err(|error| error.context(&self.shown))?;
        let Some(response) = response else { return Ok(None) };
        let etag = response.header("etag").map(str::to_owned);
        if self.at > 0 && self.etag.is_some() && etag.is_some() && self.etag != etag {
            return Err(self.changed());
        }
        self.etag = self.etag.take().or(etag);
        let skip = match (self.at, response.status()) {
            (0, _) => 0,
            (at, 206) if range_start(&response) == Some(at) => 0,
            (_, 206) => return Err(self.broken("the server sent another range than the one asked for")),
            (at, _) => at,
        };
        let announced = response.length();
        Ok(Some(Transfer { response, skip, repeated: skip > 0, came: 0, announced }))
    }

    /// The next bytes of the transfer, or its end; a broken one is dropped so that another takes it up.
    async fn pull(&mut self) -> Result<Pulled> {
        let Some(transfer) = &mut self.transfer else {
            return Ok(match self.begin().await? {
                Some(transfer) => {
                    self.transfer = Some(transfer);
                    Pulled::Again
                }
                None => Pulled::End,
            });
        };
        match transfer.response.piece().await {
            Ok(Some(mut piece)) => {
                transfer.came += piece.len() as u64;
                let skipped = transfer.skip.min(piece.len() as u64);
                transfer.skip -= skipped;
                drop(piece.split_to(skipped as usize));
                self.at += piece.len() as u64;
                // With the last byte the account's place is given back, whether or not anybody asks for the end.
                let last = transfer.announced == Some(transfer.came) && transfer.skip == 0;
                let ended = if last { self.end()? } else { Pulled::Again };
                self.finished = matches!(ended, Pulled::End);
                Ok(if piece.is_empty() { ended } else { Pulled::Bytes(piece) })
            }
            Ok(None) => self.end(),
            Err(error) => {
                self.transfer = None;
                self.without_progress += 1;
                if self.without_progress > RESUMES_MAX || (self.whole_only && self.at > 0) {
                    return Err(Error::from(error).context(&self.shown));
                }
                Ok(Pulled::Again)
            }
        }
    }

    /// The transfer is over: so is the body, unless bytes are missing.
    fn end(&mut self) -> Result<Pulled> {
        let Some(transfer) = self.transfer.take() else { return Ok(Pulled::Again) };
        if transfer.skip > 0 {
            return Err(self.changed());
        }
        let whole = transfer.announced.is_none_or(|announced| announced == transfer.came);
        // Whole by its own count, but not of the length listed (which is not exact for some kinds of files): only the server can
        // tell whether there is more. It did if it sent everything again and nothing followed.
        if whole && (transfer.repeated || self.listed.is_none_or(|listed| listed == self.at)) {
            return Ok(Pulled::End);
        }
        self.doubt()
    }

    /// The transfer ended elsewhere than it should: asks for what may follow, unless that has been tried.
    fn doubt(&mut self) -> Result<Pulled> {
        if self.at == 0 && self.listed.is_none() {
            return Ok(Pulled::End);
        }
        if self.whole_only {
            return Err(self.broken("the transfer ended early"));
        }
        self.without_progress += 1;
        if self.without_progress > RESUMES_MAX {
            return Err(self.broken("the transfer keeps ending early"));
        }
        Ok(Pulled::Again)
    }

    fn changed(&self) -> Error {
        self.broken("the file changed while it was read").with_code("changed-while-read")
    }

    fn broken(&self, why: &str) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{}: {why}, after {} bytes", self.shown, self.at))
    }
}

/// What a pull gave.
enum Pulled {
    Bytes(Bytes),
    Again,
    End,
}

#[async_trait]
impl Body for FileBody {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            if !self.rest.is_empty() {
                return Ok(Some(self.rest.split_to(self.rest.len().min(PIECE_BYTES_MAX))));
            }
            if self.finished {
                return Ok(None);
            }
            match self.pull().await? {
                Pulled::Bytes(bytes) => {
                    self.without_progress = 0;
                    self.rest = bytes;
                }
                Pulled::Again => {}
                Pulled::End => self.finished = true,
            }
        }
    }
}

/// Where a partial answer begins: `bytes 100-199/200`.
fn range_start(response: &Response) -> Option<u64> {
    response.header("content-range")?.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
