//! Reads a SOAP request: which operation, as which version, for whom.

use super::answer::{Failure, Fault};
use super::schema;
use super::xml::{Element, Position, Space, read};

/// Versions a request may ask for; dated ones (`V2017_07_11`) are no request versions.
const VERSIONS: [&str; 9] = [
    "Exchange2007",
    "Exchange2007_SP1",
    "Exchange2010",
    "Exchange2010_SP1",
    "Exchange2010_SP2",
    "Exchange2013",
    "Exchange2013_SP1",
    "Exchange2015",
    "Exchange2016",
];

/// A request whose form is right.
#[derive(Debug)]
pub(crate) struct Request {
    /// The operation's element.
    pub(crate) operation: Element,
    /// The identity in the impersonation header: kind such as `PrimarySmtpAddress`, and value.
    pub(crate) impersonated: Option<(String, String)>,
}

/// Reads a request body and checks it against the schema.
pub(crate) fn parse(body: &str) -> Result<Request, Fault> {
    let invalid = |error: super::xml::ReadError| {
        schema::violation(Position::of(body, error.offset()), error.to_string())
    };
    let envelope = read(body).map_err(invalid)?;
    if (envelope.space, envelope.name.as_str()) != (Space::Soap, "Envelope") {
        return Err(bad_request());
    }
    let header = envelope.child("Header");
    let version = header
        .and_then(|header| header.child("RequestServerVersion"))
        .and_then(|version| version.attribute("Version"));
    if version.is_some_and(|version| !VERSIONS.contains(&version)) {
        return Err(
            Failure::new("ErrorInvalidServerVersion", "The specified server version is invalid.").into()
        );
    }
    let impersonated = match header.and_then(|header| header.child("ExchangeImpersonation")) {
        Some(header) => Some(identity(header)?),
        None => None,
    };
    let soap_body = envelope.children.iter().find(|child| child.space == Space::Soap && child.name == "Body");
    let operation = soap_body.and_then(|body| body.children.first()).ok_or_else(bad_request)?;
    if operation.space != Space::Messages {
        return Err(bad_request());
    }
    schema::check(operation).map_err(|(offset, text)| schema::violation(Position::of(body, offset), text))?;
    Ok(Request { operation: operation.clone(), impersonated })
}

fn identity(header: &Element) -> Result<(String, String), Fault> {
    let identity = header.child("ConnectingSID").and_then(|sid| match sid.children.as_slice() {
        [one] => Some((one.name.clone(), one.text.trim().to_owned())),
        _ => None,
    });
    let known = ["PrincipalName", "SID", "PrimarySmtpAddress", "SmtpAddress"];
    identity.filter(|(kind, value)| known.contains(&kind.as_str()) && !value.is_empty()).ok_or_else(|| {
        Failure::new(
            "ErrorInvalidExchangeImpersonationHeaderData",
            "ExchangeImpersonation SOAP header must have one and only one identity.",
        )
        .into()
    })
}

fn bad_request() -> Fault {
    Failure::new("ErrorInvalidRequest", "The request is invalid.").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(header: &str, body: &str) -> String {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\" \
             xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\">\n\
             <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
    }

    fn code(header: &str, body: &str) -> String {
        parse(&envelope(header, body)).expect_err("refused").failure.code
    }

    const SHAPE: &str = "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>";
    const IDS: &str = "<m:FolderIds><t:DistinguishedFolderId Id=\"inbox\"/></m:FolderIds>";

    #[test]
    fn a_request_gives_its_operation_and_identity() {
        let header = "<t:RequestServerVersion Version=\"Exchange2013_SP1\"/><t:ExchangeImpersonation><t:ConnectingSID>\
                      <t:PrimarySmtpAddress>ann@contoso.example</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>";
        let request =
            parse(&envelope(header, &format!("<m:GetFolder>{SHAPE}{IDS}</m:GetFolder>"))).expect("right");
        assert_eq!(request.operation.name, "GetFolder");
        assert_eq!(
            request.impersonated,
            Some(("PrimarySmtpAddress".to_owned(), "ann@contoso.example".to_owned()))
        );
    }

    #[test]
    fn elements_out_of_order_break_the_schema_where_they_stand() {
        let body = envelope("", &format!("<m:GetFolder>{IDS}{SHAPE}</m:GetFolder>"));
        let fault = parse(&body).expect_err("refused");
        assert_eq!(fault.failure.code, "ErrorSchemaValidation");
        let (position, violation) = fault.violation.expect("a place");
        assert_eq!(position.line, 2);
        assert!(violation.contains("FolderIds"), "{violation}");
    }

    #[test]
    fn wrong_versions_headers_and_namespaces_are_refused() {
        let good = format!("<m:GetFolder>{SHAPE}{IDS}</m:GetFolder>");
        assert_eq!(
            code("<t:RequestServerVersion Version=\"Exchange2099\"/>", &good),
            "ErrorInvalidServerVersion"
        );
        assert_eq!(
            code("<t:ExchangeImpersonation><t:ConnectingSID/></t:ExchangeImpersonation>", &good),
            "ErrorInvalidExchangeImpersonationHeaderData"
        );
        assert_eq!(code("", "<GetFolder/>"), "ErrorInvalidRequest");
        assert_eq!(code("", ""), "ErrorInvalidRequest");
        assert_eq!(code("", &good.replace("t:BaseShape", "m:BaseShape")), "ErrorSchemaValidation");
        assert_eq!(code("", &good.replace("IdOnly", "Everything")), "ErrorSchemaValidation");
        assert_eq!(code("", &good.replace("inbox", "in&#x1;box")), "ErrorSchemaValidation");
    }
}
