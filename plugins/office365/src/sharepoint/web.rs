//! One site or sub-site, asked through the pool.

use larder_sdk::{Error, ErrorKind, LogLevel, Result};
use serde_json::Value as Json;
use url::Url;

use super::{
    fault::{Fault, PAST_END, Told},
    json,
};
use crate::{
    http::{ANSWER_BYTES_MAX, Expects, Request, Response},
    pool::{Caller, Tries},
};

/// Most tries against faults of the service's own, which the pool does not see through.
const PASSING_TRIES_MAX: u32 = 3;

/// Pages without a row, one after another, that are taken for a service that comes to no end.
const EMPTY_PAGES_MAX: u32 = 64;

/// How far a listing has gone, so that it ends whatever the service says of a next page.
pub(super) struct Pages {
    rows: usize,
    rows_max: usize,
    empty: u32,
}

impl Pages {
    /// A listing of at most so many rows.
    pub(super) fn at_most(rows_max: usize) -> Self {
        Self { rows: 0, rows_max, empty: 0 }
    }

    /// Takes in a page of `what`, and says how many rows there were so far.
    pub(super) fn add(&mut self, rows: usize, what: &str) -> Result<usize> {
        self.rows += rows;
        self.empty = if rows == 0 { self.empty + 1 } else { 0 };
        if self.rows > self.rows_max {
            let text = format!("{what} lists more than {} rows", self.rows_max);
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        if self.empty > EMPTY_PAGES_MAX {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("{what} lists empty pages without an end"),
            ));
        }
        Ok(self.rows)
    }
}

/// Which JSON is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Data only.
    Bare,
    /// With ETags.
    Minimal,
    /// With the types of things; what the change log needs.
    Verbose,
}

impl Form {
    fn media(self) -> &'static str {
        match self {
            Self::Bare => "application/json;odata=nometadata",
            Self::Minimal => "application/json;odata=minimalmetadata",
            Self::Verbose => "application/json;odata=verbose",
        }
    }
}

/// A web and who asks it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Web {
    /// Its absolute URL without a slash at the end.
    base: String,
    caller: Caller,
}

impl Web {
    /// The web at an absolute URL.
    pub(super) fn new(url: &str, caller: Caller) -> Self {
        Self { base: url.trim_end_matches('/').to_owned(), caller }
    }

    /// Its absolute URL without a slash at the end.
    pub(super) fn url(&self) -> &str {
        &self.base
    }

    /// Tells people something.
    pub(super) fn warn(&self, text: &str) {
        self.caller.pool().log(LogLevel::Warning, &format!("{}: {text}", self.base));
    }

    /// An address below `_api/`.
    pub(super) fn api(&self, tail: &str) -> Result<Url> {
        absolute(&format!("{}/_api/{tail}", self.base))
    }

    /// Gets JSON from below `_api/`.
    pub(super) async fn get(&self, tail: &str, form: Form) -> Result<Json> {
        self.json(Request::get(self.api(tail)?, Expects::Json), form).await
    }

    /// Gets one page of a collection from an address as the service gave it.
    pub(super) async fn page(&self, url: Url, form: Form) -> Result<(Vec<Json>, Option<Url>)> {
        let answer = self.json(Request::get(url, Expects::Json), form).await?;
        let (rows, next) = json::rows(answer).ok_or_else(|| strange(&self.base))?;
        Ok((rows, next.map(|next| following(&self.base, &next)).transpose()?))
    }

    /// Gets all pages of a short collection, of at most `rows_max` rows.
    pub(super) async fn all(&self, tail: &str, rows_max: usize) -> Result<Vec<Json>> {
        let (mut found, mut pages) = (Vec::new(), Pages::at_most(rows_max));
        let mut next = Some(self.api(tail)?);
        while let Some(url) = next {
            let (rows, following) = self.page(url, Form::Bare).await?;
            pages.add(rows.len(), &self.base)?;
            found.extend(rows);
            next = following;
        }
        Ok(found)
    }

    /// Posts JSON below `_api/` where that only asks.
    pub(super) async fn ask(&self, tail: &str, body: &Json, form: Form) -> Result<Json> {
        let request = Request::post(self.api(tail)?, Expects::Json, body.to_string())
            .header("Content-Type", form.media());
        self.json(request, form).await
    }

    async fn json(&self, request: Request, form: Form) -> Result<Json> {
        let request = request.header("Accept", form.media());
        let mut passing = 0;
        loop {
            let error = match self.fetch(&request).await?.bytes(ANSWER_BYTES_MAX).await {
                Ok(bytes) => {
                    return serde_json::from_slice(&bytes)
                        .map_err(|error| strange(&self.base).with_source(error));
                }
                Err(error) => Error::from(error),
            };
            passing += 1;
            if passing >= PASSING_TRIES_MAX || !error.is_transient() {
                return Err(error);
            }
        }
    }

    /// As [`Self::fetch`] for a range of a file; `None` if the range begins at or after the file's end.
    pub(super) async fn fetch_range(&self, request: &Request) -> Result<Option<Response>> {
        match self.fetch(request).await {
            Err(error) if error.code() == Some(PAST_END) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Sends a request until it succeeds, each account that may not giving way to the next.
    pub(super) async fn fetch(&self, request: &Request) -> Result<Response> {
        let mut caller = self.caller.clone();
        let mut tries = Tries::at_most(PASSING_TRIES_MAX);
        loop {
            let answer = match caller.request(request).await {
                Err(error) if error.kind() == ErrorKind::Denied => {
                    return Err(error.context(request.url.path()));
                }
                answer => answer?,
            };
            if answer.response.is_success() && !answer.response.is_infected() {
                return Ok(answer.response);
            }
            let told = Told::read(answer.response).await;
            let error = told.error(request.url.path());
            match told.fault {
                Fault::Denied => {
                    // Permissions differ from thing to thing: this refusal concerns this address only.
                    caller = self.caller.narrowed(request.url.as_str());
                    if !caller.refuse(answer.account, told.explanation()) {
                        return Err(error);
                    }
                }
                Fault::Passing => tries.again(error).await?,
                _ => return Err(error),
            }
        }
    }
}

/// The address of a next page: on the host that this one came from, whatever host the answer names. What a request carries is for
/// nobody else.
fn following(base: &str, next: &str) -> Result<Url> {
    let next = absolute(next)?;
    let mut url = absolute(base)?;
    url.set_path(next.path());
    url.set_query(next.query());
    Ok(url)
}

/// An absolute URL.
pub(super) fn absolute(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| Error::bug(format!("{text:?} is no URL")).with_source(error))
}

fn strange(base: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{base} answered something that is not the JSON asked for"))
        .with_code("strange-answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_ends_whatever_the_service_says() {
        let mut pages = Pages::at_most(10);
        assert_eq!((pages.add(4, "x").unwrap(), pages.add(6, "x").unwrap()), (4, 10));
        assert_eq!(pages.add(1, "x").unwrap_err().kind(), ErrorKind::Unsupported);
        let mut pages = Pages::at_most(10);
        assert!((0..EMPTY_PAGES_MAX).all(|_| pages.add(0, "x").is_ok()));
        assert_eq!(pages.add(0, "x").unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_next_page_is_asked_of_nobody_else() {
        let url = following(
            "https://c.sharepoint.com/sites/a",
            "https://evil.example:8443/sites/a/_api/x?$skiptoken=1",
        )
        .unwrap();
        assert_eq!(url.as_str(), "https://c.sharepoint.com/sites/a/_api/x?$skiptoken=1");
        assert!(following("https://c.sharepoint.com", "no address").is_err());
    }
}
