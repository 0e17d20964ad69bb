//! Answers: response messages per item, SOAP faults, and the envelope around both.

use super::xml::{Element, Output, Position, Segment, Space};

const ENVELOPE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">";
const VERSION: &str = "<s:Header><h:ServerVersionInfo MajorVersion=\"15\" MinorVersion=\"2\" MajorBuildNumber=\"1748\" \
MinorBuildNumber=\"10\" Version=\"V2017_07_11\" xmlns:h=\"http://schemas.microsoft.com/exchange/services/2006/types\"/></s:Header>";
const BODY: &str = "<s:Body xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\" \
xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\">";
const END: &str = "</s:Body></s:Envelope>";
const ERRORS: &str = "http://schemas.microsoft.com/exchange/services/2006/errors";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

/// The code of items a server left alone because it stopped at an earlier one; told as a warning.
pub(crate) const STOPPED: &str = "ErrorBatchProcessingStopped";

/// Why one item, folder or whole request could not be served; becomes a response message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) text: String,
    /// Named values of the message's `MessageXml`.
    pub(crate) values: Vec<(String, String)>,
}

impl Failure {
    /// A failure of this response code.
    pub(crate) fn new(code: &str, text: &str) -> Self {
        Self { code: code.to_owned(), text: text.to_owned(), values: Vec::new() }
    }

    pub(crate) fn with_value(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.push((name.to_owned(), value.into()));
        self
    }
}

/// Why a request as a whole is refused: answered with HTTP 500.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) failure: Failure,
    /// Where and how the request breaks the schema.
    pub(crate) violation: Option<(Position, String)>,
    /// A fault of SOAP, not of EWS: no `a:` code, no detail.
    pub(crate) bare: bool,
}

impl Fault {
    /// The fault for an operation the server does not have.
    pub(crate) fn unknown_operation(name: &str) -> Self {
        let failure = Failure::new("SOAP:Server", &format!("Unknown request '{name}'."));
        Self { failure, violation: None, bare: true }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, violation: None, bare: false }
    }
}

/// What an operation gives for one thing it was asked for: elements after the response code, or a failure.
pub(crate) type Outcome = Result<Vec<Element>, Failure>;

/// The response element of an operation with a message per outcome, in order.
pub(crate) fn response(operation: &str, outcomes: impl IntoIterator<Item = Outcome>) -> Element {
    let messages = outcomes.into_iter().map(|outcome| message(operation, outcome));
    Element::messages(&format!("{operation}Response"))
        .with_child(Element::messages("ResponseMessages").with_children(messages))
}

/// One response message.
pub(crate) fn message(operation: &str, outcome: Outcome) -> Element {
    let message = Element::messages(&format!("{operation}ResponseMessage"));
    match outcome {
        Ok(payload) => message
            .with_attribute("ResponseClass", "Success")
            .with_child(Element::messages("ResponseCode").with_text("NoError"))
            .with_children(payload),
        Err(failure) => {
            let class = if failure.code == STOPPED { "Warning" } else { "Error" };
            refusal(message, class, &failure).with_children(empty_payload(operation))
        }
    }
}

/// The empty list a real server puts into the failures of operations that give lists.
fn empty_payload(operation: &str) -> Option<Element> {
    let name = match operation {
        "GetItem" | "CreateItem" | "UpdateItem" | "MoveItem" => "Items",
        "GetFolder" | "CreateFolder" | "UpdateFolder" | "MoveFolder" => "Folders",
        "GetAttachment" => "Attachments",
        _ => return None,
    };
    Some(Element::messages(name))
}

/// A message that is not a success: text, code and values.
pub(crate) fn refusal(message: Element, class: &str, failure: &Failure) -> Element {
    let mut message = message
        .with_attribute("ResponseClass", class)
        .with_child(Element::messages("MessageText").with_text(failure.text.as_str()))
        .with_child(Element::messages("ResponseCode").with_text(failure.code.as_str()))
        .with_child(Element::messages("DescriptiveLinkKey").with_text("0"));
    if !failure.values.is_empty() {
        message = message.with_child(Element::messages("MessageXml").with_children(values(&failure.values)));
    }
    message
}

fn values(values: &[(String, String)]) -> impl Iterator<Item = Element> {
    values
        .iter()
        .map(|(name, value)| Element::value("Value", value.as_str()).with_attribute("Name", name.as_str()))
}

/// The body of an answer; `references` as in [`Output::new`].
pub(crate) fn body(response: &Element, references: bool) -> Vec<Segment> {
    let mut output = Output::new(references);
    output.raw(ENVELOPE);
    output.raw(VERSION);
    output.raw(BODY);
    output.element(response);
    output.raw(END);
    output.finish()
}

/// The body of a fault. It has no version header, as on a real server.
pub(crate) fn fault_body(fault: &Fault) -> Vec<Segment> {
    let failure = &fault.failure;
    let error = |name: &str, text: &str| {
        Element::new(Space::Foreign, name).with_attribute("xmlns", ERRORS).with_text(text)
    };
    let mut detail = Element::new(Space::Foreign, "detail")
        .with_child(error("ResponseCode", &failure.code))
        .with_child(error("Message", &failure.text));
    let mut details: Vec<Element> = Vec::new();
    if let Some((position, violation)) = &fault.violation {
        details.push(Element::value("LineNumber", position.line.to_string()));
        details.push(Element::value("LinePosition", position.column.to_string()));
        details.push(Element::value("Violation", violation.as_str()));
    }
    details.extend(values(&failure.values));
    if !details.is_empty() {
        detail = detail
            .with_child(Element::types("MessageXml").with_attribute("xmlns:t", TYPES).with_children(details));
    }
    let code = if fault.bare { failure.code.clone() } else { format!("a:{}", failure.code) };
    let detail = (!fault.bare).then_some(detail);
    let text = fault
        .violation
        .as_ref()
        .map_or_else(|| failure.text.clone(), |(_, violation)| format!("{} {violation}", failure.text));
    let element = Element::new(Space::Soap, "Fault")
        .with_child(
            Element::new(Space::Foreign, "faultcode").with_attribute("xmlns:a", TYPES).with_text(code),
        )
        .with_child(
            Element::new(Space::Foreign, "faultstring").with_attribute("xml:lang", "en-US").with_text(text),
        )
        .with_children(detail);
    let mut output = Output::new(false);
    output.raw(ENVELOPE);
    output.raw("<s:Body>");
    output.element(&element);
    output.raw(END);
    output.finish()
}
