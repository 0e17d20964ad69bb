//! Requests for a token: WS-Trust envelopes in the two dialects of the login host.

use crate::federation::SAML;
use crate::xml::{Element, read};

pub(super) const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(super) const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
pub(super) const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub(super) const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const TRUST: &str = "http://schemas.xmlsoap.org/ws/2005/02/trust";
pub(super) const POLICY: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy";

/// Which endpoint was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    ExtSts,
    /// Wants `AuthInfo`, a timestamp and a policy besides.
    Rst2,
}

impl Dialect {
    /// The name the request is counted under.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::ExtSts => "extSTS",
            Self::Rst2 => "rst2",
        }
    }
}

/// What a well-formed envelope asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TokenRequest {
    pub(crate) proof: Proof,
}

/// What it brings to prove who asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Password {
        user: String,
        password: String,
    },
    /// An assertion, whose bytes count and not what they were read as.
    Assertion,
}

impl TokenRequest {
    /// Reads an envelope; none if the login host would call it invalid.
    pub(crate) fn read(dialect: Dialect, body: &str) -> Option<Self> {
        let envelope = read(body.trim_start_matches('\u{feff}').trim_start())?;
        if envelope.name != "Envelope" || envelope.space != SOAP {
            return None;
        }
        let (header, body) = (envelope.child(SOAP, "Header")?, envelope.child(SOAP, "Body")?);
        let action = header.child(ADDRESSING, "Action")?;
        if action.text.trim() != "http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue" {
            return None;
        }
        let to = header.child(ADDRESSING, "To")?.text.trim().to_ascii_lowercase();
        let page = if dialect == Dialect::ExtSts { "/extsts.srf" } else { "/rst2.srf" };
        if !to.ends_with(page) {
            return None;
        }
        let security = header.child(SECURITY, "Security")?;
        check_body(dialect, header, security, body)?;
        if security.child(SAML, "Assertion").is_some() {
            return Some(Self { proof: Proof::Assertion });
        }
        let token = security.child(SECURITY, "UsernameToken")?;
        let user = token.child(SECURITY, "Username")?.text.trim().to_string();
        let password = token.child(SECURITY, "Password")?.text.clone();
        Some(Self { proof: Proof::Password { user, password } })
    }
}

fn check_body(dialect: Dialect, header: &Element, security: &Element, body: &Element) -> Option<()> {
    let request = body.child(TRUST, "RequestSecurityToken")?;
    let issue = request.child(TRUST, "RequestType")?.text.trim();
    let target = request.child(POLICY, "AppliesTo")?.child(ADDRESSING, "EndpointReference")?;
    if issue != "http://schemas.xmlsoap.org/ws/2005/02/trust/Issue"
        || target.child(ADDRESSING, "Address")?.text.trim().is_empty()
    {
        return None;
    }
    if dialect == Dialect::Rst2 {
        header.find("AuthInfo")?.find("HostingApp")?;
        let times = security.child(UTILITY, "Timestamp")?;
        times.child(UTILITY, "Created")?;
        times.child(UTILITY, "Expires")?;
        request.child(POLICY, "PolicyReference")?.attribute("URI")?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(user: &str, password: &str) -> String {
        format!(
            "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\"><s:Header>\
             <a:Action s:mustUnderstand=\"1\">http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue</a:Action>\
             <a:To s:mustUnderstand=\"1\">https://login.microsoftonline.com/extSTS.srf</a:To>\
             <o:Security xmlns:o=\"{SECURITY}\"><o:UsernameToken><o:Username>{user}</o:Username>\
             <o:Password>{password}</o:Password></o:UsernameToken></o:Security></s:Header><s:Body>\
             <t:RequestSecurityToken xmlns:t=\"{TRUST}\"><p:AppliesTo xmlns:p=\"{POLICY}\"><a:EndpointReference>\
             <a:Address>https://contoso.sharepoint.com</a:Address></a:EndpointReference></p:AppliesTo>\
             <t:RequestType>http://schemas.xmlsoap.org/ws/2005/02/trust/Issue</t:RequestType>\
             </t:RequestSecurityToken></s:Body></s:Envelope>"
        )
    }

    #[test]
    fn an_escaped_password_is_read() {
        let request = TokenRequest::read(Dialect::ExtSts, &envelope("u@x", "a&amp;b&lt;")).unwrap();
        assert_eq!(
            request,
            TokenRequest { proof: Proof::Password { user: "u@x".into(), password: "a&b<".into() } }
        );
    }

    #[test]
    fn a_raw_ampersand_is_refused() {
        assert_eq!(TokenRequest::read(Dialect::ExtSts, &envelope("u@x", "a&b<")), None);
    }

    #[test]
    fn the_other_endpoint_wants_more() {
        let body = envelope("u@x", "p").replace("extSTS.srf", "rst2.srf");
        assert_eq!(TokenRequest::read(Dialect::Rst2, &body), None);
        assert_eq!(TokenRequest::read(Dialect::Rst2, &envelope("u@x", "p")), None);
    }
}
