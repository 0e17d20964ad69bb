//! Finds the way from an envelope to what was asked for: response messages, or the fault that stands in their place.

use larder_sdk::{Error, Result};

use super::{
    faults::Problem,
    xml::{Element, Pull, Step, Tag, pull::malformed},
};

/// What an envelope holds.
#[derive(Debug)]
pub(super) enum Opened {
    /// The response element has begun.
    Response(Tag),
    /// The server refused the whole request.
    Fault(Problem),
}

/// One response message: what became of one thing asked for.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Why it failed, or what the server warns of.
    pub(super) problem: Option<Problem>,
    /// True for `Success` and for a `Warning` that brings its payload.
    pub(super) usable: bool,
    /// The message with its payload.
    pub(super) element: Element,
}

/// Walks into an envelope up to the response of `operation`.
///
/// Some servers send a second, bogus answer after a fault on the same connection: an answer to another question than
/// ours is an error, never taken for an empty result.
pub(super) async fn open(pull: &mut Pull, operation: &str) -> Result<Opened> {
    enter(pull, "Envelope").await?;
    enter(pull, "Body").await?;
    let tag = next_start(pull).await?.ok_or_else(|| malformed("an empty body"))?;
    if tag.name == "Fault" {
        let fault = pull.tree(tag).await?;
        return Ok(Opened::Fault(Problem::of_fault(&fault)));
    }
    match tag.name.strip_suffix("Response") {
        Some(name) if name == operation => Ok(Opened::Response(tag)),
        _ => Err(foreign(operation, &tag.name)),
    }
}

/// Reads the response that `tag` began to the document's end. Each message stands for one thing asked for, in order.
pub(super) async fn messages(pull: &mut Pull, tag: Tag) -> Result<Vec<Message>> {
    let response = pull.tree(tag).await?;
    finish(pull).await?;
    Ok(split(response))
}

/// The messages of a whole response. Some servers leave the code out of such a result. Some operations put a single result directly into the response.
pub(super) fn split(response: Element) -> Vec<Message> {
    let bare = matches!(response.name.as_str(), "GetInboxRulesResponse" | "GetUserOofSettingsResponse");
    let direct =
        response.child("ResponseMessages").is_none() && (bare || response.child("ResponseCode").is_some());
    if direct {
        return vec![Message::of(response)];
    }
    let lists = response.children.into_iter().filter(|child| child.name == "ResponseMessages");
    lists.flat_map(|list| list.children).map(Message::of).collect()
}

/// Passes over what is left; an error unless the document is complete.
pub(super) async fn finish(pull: &mut Pull) -> Result<()> {
    while pull.step().await? != Step::Done {}
    Ok(())
}

impl Message {
    fn of(element: Element) -> Self {
        let code = element.text_of("ResponseCode").unwrap_or_default();
        let class = element.attribute("ResponseClass").unwrap_or("Success");
        let failed = class != "Success" || !matches!(code, "NoError" | "");
        let usable = match class {
            "Success" => !failed,
            // A warning that stopped the batch has no payload; one of too many results has.
            "Warning" => code != "ErrorBatchProcessingStopped",
            _ => false,
        };
        Self { problem: failed.then(|| Problem::of_message(&element)), usable, element }
    }
}

/// The next element at this level; `None` at the level's end.
pub(super) async fn next_start(pull: &mut Pull) -> Result<Option<Tag>> {
    loop {
        match pull.step().await? {
            Step::Start(tag) => return Ok(Some(tag)),
            Step::Text(_) => {}
            Step::End | Step::Done => return Ok(None),
        }
    }
}

/// Goes into the next element of that name, passing over others.
async fn enter(pull: &mut Pull, name: &str) -> Result<()> {
    while let Some(tag) = next_start(pull).await? {
        if tag.name == name {
            return Ok(());
        }
        if pull.depth() == 1 {
            return Err(malformed(&format!("<{}> stands where <{name}> should", tag.name)));
        }
        pull.skip().await?;
    }
    Err(malformed(&format!("it has no <{name}>")))
}

fn foreign(operation: &str, name: &str) -> Error {
    malformed(&format!("<{name}> answers another question than {operation}")).with_code("ews-answer-foreign")
}
