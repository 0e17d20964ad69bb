//! One large element of an answer as a stream: MIME, an attachment, a body's text. The bytes are handed on while the answer
//! is still arriving; whether they are right is known only at its end, and a body that is not ends with an error.

use bytes::Bytes;
use larder_sdk::{Body, Error, ErrorKind, Result, async_trait, limits::PIECE_BYTES_MAX};

use super::{
    answer::next_start,
    base64::Decoder,
    client::{Asked, Begun, Client},
    faults::{NO_CONTENT, Problem},
    requests::Call,
    retry::Retry,
    xml::{Element, Pull, Step, Tag, pull::malformed},
};

/// Bytes gathered before a piece is handed on, in bytes.
const PIECE_BYTES: usize = 128 << 10;

/// How the element's text stands for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Base64.
    Base64,
    /// The text itself, as UTF-8.
    Text,
}

/// The stream. Holds at most a piece and what the connection has ready.
pub(super) struct Content {
    begun: Begun,
    /// The element's tag, with its attributes.
    pub(super) tag: Tag,
    coding: Coding,
    decoder: Decoder,
    ready: Bytes,
    ended: bool,
}

impl Content {
    /// Asks, and reads the first piece. Refusals come from here, before any byte; and content that is no longer than a piece
    /// is whole when this returns, so that it keeps neither connection nor place while it waits to be read.
    pub(super) async fn open(client: &Client, call: &Call, element: &str, coding: Coding) -> Asked<Self> {
        let mut retry = Retry::new(client);
        loop {
            let mut begun = client.begin(call, &mut retry).await?;
            let error = match find(&mut begun.pull, element).await {
                Ok(Found::Content(tag)) => {
                    let (decoder, ready) = (Decoder::default(), Bytes::new());
                    let mut content = Self { begun, tag, coding, decoder, ready, ended: false };
                    match content.fill().await {
                        Ok(()) => return Ok(content),
                        Err(error) => error,
                    }
                }
                Ok(Found::Problem(problem)) if problem.advice().concerns_request() => {
                    let account = begun.account;
                    drop(begun);
                    retry.heed(&problem, account).await?;
                    continue;
                }
                Ok(Found::Problem(problem)) => return Err(problem.into()),
                Err(error) => {
                    drop(begun);
                    error
                }
            };
            retry.lost(error).await?;
        }
    }

    /// All of the content, if the first piece was all.
    pub(super) fn whole(&self) -> Option<Bytes> {
        self.ended.then(|| self.ready.clone())
    }

    /// What has come so far.
    pub(super) fn first(&self) -> &[u8] {
        &self.ready
    }

    /// Gathers about a piece. At the end of the element the rest of the document must be as promised.
    async fn fill(&mut self) -> Result<()> {
        let mut gathered = Vec::with_capacity(PIECE_BYTES);
        while gathered.len() < PIECE_BYTES {
            let text = self.begun.pull.text_piece().await?;
            let Some(text) = text else {
                if self.coding == Coding::Base64 {
                    self.decoder.finish(&mut gathered).map_err(|_| cut())?;
                }
                finish(&mut self.begun.pull).await?;
                self.begun.place = None;
                self.ended = true;
                break;
            };
            match self.coding {
                Coding::Base64 => self.decoder.feed(&text, &mut gathered).map_err(|_| cut())?,
                Coding::Text => gathered.extend_from_slice(&text),
            }
        }
        self.ready = Bytes::from(gathered);
        Ok(())
    }
}

#[async_trait]
impl Body for Content {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        if self.ready.is_empty() && !self.ended {
            self.fill().await?;
        }
        let piece = self.ready.split_to(self.ready.len().min(PIECE_BYTES_MAX));
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// Where the walk to an element ended.
pub(super) enum Found {
    Content(Tag),
    Problem(Problem),
}

/// Walks through the first response message to the element wanted. The response code stands before it.
pub(super) async fn find(pull: &mut Pull, element: &str) -> Result<Found> {
    loop {
        let tag = next_start(pull).await?.ok_or_else(|| malformed("it holds no response messages"))?;
        if tag.name == "ResponseMessages" {
            break;
        }
        pull.skip().await?;
    }
    let message = next_start(pull).await?.ok_or_else(|| malformed("it holds no message"))?;
    let outside = pull.depth() - 1;
    let success = message.attribute("ResponseClass").is_none_or(|class| class == "Success");
    let mut head = Element { name: message.name, ..Element::default() };
    while pull.depth() > outside {
        match pull.step().await? {
            Step::Start(tag)
                if matches!(tag.name.as_str(), "ResponseCode" | "MessageText" | "MessageXml") =>
            {
                let told = pull.tree(tag).await?;
                // Once each: a message without end of them would fill the memory.
                if head.child(&told.name).is_none() {
                    head.children.push(told);
                }
            }
            Step::Start(tag) if tag.name == element && success && is_ok(&head) => {
                return Ok(Found::Content(tag));
            }
            // Everything else is walked through: what is wanted lies somewhere below.
            Step::Start(_) | Step::Text(_) | Step::End => {}
            Step::Done => return Err(malformed("it ends within a message")),
        }
    }
    if success && is_ok(&head) {
        return Ok(Found::Problem(Problem::new(NO_CONTENT, format!("the answer has no {element}"))));
    }
    Ok(Found::Problem(Problem::of_message(&head)))
}

fn is_ok(head: &Element) -> bool {
    head.text_of("ResponseCode") == Some("NoError")
}

/// Reads on to the end of the document. A second thought of the server about the message is an error.
async fn finish(pull: &mut Pull) -> Result<()> {
    loop {
        match pull.step().await? {
            Step::Done => return Ok(()),
            Step::Start(tag) if tag.name == "ResponseCode" => {
                let code = pull.tree(tag).await?;
                if code.text.trim() != "NoError" {
                    return Err(Problem::new(code.text.trim(), "").error("the answer's content"));
                }
            }
            Step::Start(tag) if tag.name == "Fault" => {
                let fault = pull.tree(tag).await?;
                return Err(Problem::of_fault(&fault).error("the answer's content"));
            }
            Step::Start(_) | Step::Text(_) | Step::End => {}
        }
    }
}

/// Content that is no base64: most likely the server broke off and said so in its midst.
fn cut() -> Error {
    Error::new(ErrorKind::Unavailable, "the server cut the content short or damaged it")
        .with_code("ews-answer-truncated")
}
