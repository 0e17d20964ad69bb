//! Answers to requests for a token: the token, a fault, or neither.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::tokens::TOKEN_MS;
use crate::account::Refusal;
use crate::clock::{UnixMillis, iso_seconds};
use crate::xml::escape;

fn soap(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/soap+xml; charset=utf-8")], body).into_response()
}

/// The token, good for a day.
pub(crate) fn success(token: &str, now: UnixMillis) -> Response {
    let (created, expires) = (iso_seconds(now), iso_seconds(now + TOKEN_MS));
    let token = escape(token);
    soap(
        StatusCode::OK,
        format!(
            r#"<?xml version="1.0" encoding="utf-8" ?><S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope" xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><S:Header/><S:Body><wst:RequestSecurityTokenResponse xmlns:wst="http://schemas.xmlsoap.org/ws/2005/02/trust"><wst:TokenType>urn:passport:compact</wst:TokenType><wst:Lifetime><wsu:Created>{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wst:Lifetime><wst:RequestedSecurityToken><wsse:BinarySecurityToken Id="Compact0">{token}</wsse:BinarySecurityToken></wst:RequestedSecurityToken></wst:RequestSecurityTokenResponse></S:Body></S:Envelope>"#
        ),
    )
}

/// The password was right, and yet there is no token.
pub(crate) fn without_token() -> Response {
    soap(
        StatusCode::OK,
        r#"<?xml version="1.0" encoding="utf-8" ?><S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope" xmlns:psf="http://schemas.microsoft.com/Passport/SoapServices/SOAPFault"><S:Header><psf:pp><psf:serverVersion>1</psf:serverVersion><psf:reqstatus>0x8004882c</psf:reqstatus><psf:errorstatus>0x80045b00</psf:errorstatus></psf:pp></S:Header><S:Body><wst:RequestSecurityTokenResponse xmlns:wst="http://schemas.xmlsoap.org/ws/2005/02/trust"><wst:TokenType>urn:passport:compact</wst:TokenType></wst:RequestSecurityTokenResponse></S:Body></S:Envelope>"#
            .to_string(),
    )
}

/// The envelope was not one.
pub(crate) fn invalid_request() -> Response {
    fault("0x80048820", "wst:InvalidRequest", "AADSTS90023: Invalid STS request.")
}

/// An assertion that is not, byte for byte, what its service signed.
pub(crate) fn signature_broken() -> Response {
    fault(
        "0x80048821",
        "wst:FailedAuthentication",
        "AADSTS500069: SAML assertion signature validation failed.",
    )
}

/// A refused sign-in.
pub(crate) fn refused(refusal: Refusal) -> Response {
    let (value, text) = match refusal {
        Refusal::WrongPassword => {
            ("0x80048821", "AADSTS50126: Error validating credentials due to invalid username or password.")
        }
        Refusal::NoUser => {
            ("0x80048821", "AADSTS50034: The user account does not exist in the contoso.example directory.")
        }
        Refusal::MfaRequired => {
            ("0x800434D4", "AADSTS50076: You must use multi-factor authentication to access this resource.")
        }
        Refusal::MfaEnrol => ("0x800434D4", "AADSTS50079: You must enroll in multi-factor authentication."),
        Refusal::ThirdPartyMfa => ("0x800434D4", "AADSTS50158: External security challenge not satisfied."),
        Refusal::PolicyBlock => {
            ("0x80048823", "AADSTS53003: Access has been blocked by Conditional Access policies.")
        }
        Refusal::Locked => {
            ("0x80048823", "AADSTS50053: The account is locked, you've tried to sign in too many times.")
        }
        Refusal::PasswordExpired => ("0x80048801", "AADSTS50055: The password is expired."),
        Refusal::Disabled => ("0x80048821", "AADSTS50057: The user account is disabled."),
        Refusal::TooManySignIns => (
            "0x80048820",
            "AADSTS50196: The server terminated an operation because it met a client request loop.",
        ),
        Refusal::Transient | Refusal::NoToken => {
            ("0x80048820", "AADSTS90033: A transient error has occurred. Please try again.")
        }
    };
    fault(value, "wst:FailedAuthentication", text)
}

fn fault(value: &str, subcode: &str, text: &str) -> Response {
    let text = escape(text);
    soap(
        StatusCode::OK,
        format!(
            r#"<?xml version="1.0" encoding="utf-8" ?><S:Envelope xmlns:S="http://www.w3.org/2003/05/soap-envelope" xmlns:psf="http://schemas.microsoft.com/Passport/SoapServices/SOAPFault"><S:Header><psf:pp><psf:serverVersion>1</psf:serverVersion><psf:authstate>0x80048800</psf:authstate><psf:reqstatus>{value}</psf:reqstatus><psf:serverInfo rid="00000000-0000-4000-8000-000000000001">simulated</psf:serverInfo></psf:pp></S:Header><S:Body><S:Fault><S:Code><S:Value>S:Sender</S:Value><S:Subcode><S:Value xmlns:wst="http://schemas.xmlsoap.org/ws/2005/02/trust">{subcode}</S:Value></S:Subcode></S:Code><S:Reason><S:Text xml:lang="en-US">Authentication Failure</S:Text></S:Reason><S:Detail><psf:error><psf:value>{value}</psf:value><psf:internalerror><psf:code>0x80041012</psf:code><psf:text>{text}</psf:text></psf:internalerror></psf:error></S:Detail></S:Fault></S:Body></S:Envelope>"#
        ),
    )
}
