//! A security token for a user name and a password, by WS-Trust.

use std::time::Duration;

use larder_sdk::Secret;
use url::Url;

use super::{Refusal, adfs::Assertion, refusal, xml};
use crate::{
    codes,
    error::Explanation,
    http::{Expects, Http, HttpError, Request},
};

/// Most requests for one token.
const TRIES_MAX: u32 = 3;
/// First pause between them; doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// Largest answer, in bytes. A token is some 2 kB, an assertion some 10 kB.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The namespace of who asks.
pub(super) const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";

/// A token. Never printed.
pub(super) struct Token {
    /// `t=…&p=`.
    pub(super) text: String,
    pub(super) lifetime: Option<Duration>,
}

/// What the login host said.
#[derive(Debug)]
enum Outcome {
    Token(Token),
    /// The password was right, and no token was given.
    Withheld,
    Fault(Fault),
    /// Nothing that can be understood.
    Noise,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

/// A refusal, as the login host words it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// The number of `AADSTS50126`.
    pub(super) aadsts: Option<u32>,
    /// `0x80048821`.
    pub(super) value: String,
    /// `FailedAuthentication`.
    pub(super) subcode: String,
    /// The service's own words.
    pub(super) text: String,
}

/// What proves to the login host who asks.
#[derive(Clone, Copy)]
pub(super) enum Proof<'a> {
    Password {
        user: &'a str,
        password: &'a Secret,
    },
    /// What a federation service said of the user, as it came.
    Assertion(&'a Assertion),
}

/// The login host, asked for tokens.
pub(super) struct Issuer<'a> {
    pub(super) http: &'a Http,
    pub(super) login: &'a Url,
    pub(super) proof: Proof<'a>,
}

impl Issuer<'_> {
    /// A token for `applies_to`, under a policy if one is wanted.
    pub(super) async fn token(&self, applies_to: &str, policy: Option<&str>) -> Result<Token, Refusal> {
        let mut tries = 0;
        loop {
            tries += 1;
            let refusal = match self.ask(applies_to, policy).await? {
                Ok(Outcome::Token(token)) => return Ok(token),
                Ok(Outcome::Withheld) => Explanation::of(codes::TOKEN_WITHHELD),
                Ok(Outcome::Fault(fault)) => refusal::explain(&fault),
                Ok(Outcome::Noise) => refusal::unavailable("its answer cannot be understood"),
                Err(why) => why,
            };
            // Only a passing fault of the service is worth another try: wrong passwords count towards a lockout.
            if !refusal::passes_at_once(&refusal) || tries >= TRIES_MAX {
                return Err(Refusal::Account(refusal));
            }
            tokio::time::sleep(PAUSE * (1 << (tries - 1))).await;
        }
    }

    async fn ask(
        &self,
        applies_to: &str,
        policy: Option<&str>,
    ) -> Result<Result<Outcome, Explanation>, Refusal> {
        let mut url = self.login.clone();
        url.set_path("/extSTS.srf");
        let body = envelope(url.as_str(), self.proof, applies_to, policy);
        let answer = match soap(self.http, url, body).await? {
            Ok((status, text)) => match parse(&text) {
                Outcome::Noise => {
                    Err(refusal::unavailable(&format!("it answered {status} and no security token")))
                }
                outcome => Ok(outcome),
            },
            Err(error) => Err(refusal::unreachable(&error)),
        };
        Ok(answer)
    }
}

/// Posts an envelope: status and text of the answer, whatever the status.
pub(super) async fn soap(
    http: &Http,
    url: Url,
    body: String,
) -> Result<Result<(u16, String), HttpError>, Refusal> {
    let request =
        Request::post(url, Expects::Xml, body).header("Content-Type", "application/soap+xml; charset=utf-8");
    let response = match http.send(request).await {
        Ok(response) => response,
        Err(error) => return Ok(Err(error)),
    };
    if response.status() == 429 {
        return Err(Refusal::Throttled(super::told_wait(&response)));
    }
    let status = response.status();
    let text = response.bytes(ANSWER_BYTES_MAX).await;
    Ok(text.map(|bytes| (status, String::from_utf8_lossy(&bytes).into_owned())))
}

/// The request. User and password are the only free texts in it besides addresses; all are escaped. An assertion goes in as it came.
fn envelope(to: &str, proof: Proof<'_>, applies_to: &str, policy: Option<&str>) -> String {
    let policy = policy.map_or_else(String::new, |policy| {
        format!(
            r#"<wsp:PolicyReference xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy" URI="{}"/>"#,
            xml::escape(policy)
        )
    });
    let security = match proof {
        Proof::Password { user, password } => format!(
            concat!(
                r#"<o:Security s:mustUnderstand="1" xmlns:o="{space}">"#,
                r"<o:UsernameToken><o:Username>{user}</o:Username><o:Password>{password}</o:Password></o:UsernameToken>",
                r"</o:Security>",
            ),
            space = SECURITY,
            user = xml::escape(user),
            password = xml::escape(password.expose()),
        ),
        Proof::Assertion(assertion) => assertion.security(),
    };
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">"#,
            r#"<s:Header><a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue</a:Action>"#,
            r"<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>",
            r#"<a:To s:mustUnderstand="1">{to}</a:To>"#,
            r"{security}</s:Header><s:Body>",
            r#"<t:RequestSecurityToken xmlns:t="http://schemas.xmlsoap.org/ws/2005/02/trust">"#,
            r#"<p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">"#,
            r"<a:EndpointReference><a:Address>{applies_to}</a:Address></a:EndpointReference></p:AppliesTo>{policy}",
            r"<t:KeyType>http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey</t:KeyType>",
            r"<t:RequestType>http://schemas.xmlsoap.org/ws/2005/02/trust/Issue</t:RequestType>",
            r"<t:TokenType>urn:oasis:names:tc:SAML:1.0:assertion</t:TokenType>",
            r"</t:RequestSecurityToken></s:Body></s:Envelope>",
        ),
        to = xml::escape(to),
        security = security,
        applies_to = xml::escape(applies_to),
        policy = policy,
    )
}

/// Decides by the body alone: faults come with any status, and a success may hold no token.
fn parse(answer: &str) -> Outcome {
    let Some(texts) = xml::texts(answer) else { return Outcome::Noise };
    let all = |name: &'static str| {
        texts.iter().filter(move |(local, _)| local == name).map(|(_, text)| text.trim())
    };
    let first = |name: &'static str| all(name).next().unwrap_or_default();
    if let Some(token) = all("BinarySecurityToken").find(|text| !text.is_empty()) {
        let lifetime = match (instant(first("Created")), instant(first("Expires"))) {
            (Some(created), Some(expires)) => u64::try_from(expires - created).ok().map(Duration::from_secs),
            _ => None,
        };
        return Outcome::Token(Token { text: token.to_owned(), lifetime });
    }
    let is = |name: &str| texts.iter().any(|(local, _)| local == name);
    if is("Fault") {
        let text =
            all("text").chain(all("Text")).find(|text| !text.is_empty()).unwrap_or_default().to_owned();
        return Outcome::Fault(Fault {
            aadsts: aadsts(&text),
            value: first("value").to_ascii_lowercase(),
            // `Value` comes for the code and, inside it, for the subcode: the one with a dialect's prefix counts.
            subcode: all("Value")
                .filter_map(|value| value.split_once(':'))
                .map(|(_, name)| name)
                .find(|name| *name != "Sender")
                .unwrap_or_default()
                .to_owned(),
            text,
        });
    }
    if is("RequestSecurityTokenResponse") { Outcome::Withheld } else { Outcome::Noise }
}

/// The fault that an answer is, if it is one.
pub(super) fn fault(answer: &str) -> Option<Fault> {
    match parse(answer) {
        Outcome::Fault(fault) => Some(fault),
        _ => None,
    }
}

/// The refusal that an answer is, an empty one if it is none; nothing if it cannot be understood.
#[cfg(feature = "testing")]
pub(super) fn read(answer: &str) -> Option<Fault> {
    match parse(answer) {
        Outcome::Noise => None,
        Outcome::Fault(fault) => Some(fault),
        Outcome::Token(_) | Outcome::Withheld => Some(Fault::default()),
    }
}

/// The number that counts: a wrapper's own only if no second one follows.
fn aadsts(text: &str) -> Option<u32> {
    let numbers = refusal::aadsts(text);
    numbers.iter().copied().find(|number| *number != 70_002).or_else(|| numbers.first().copied())
}

fn instant(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_escaped() {
        let password = Secret::new("p<\"'>&");
        let proof = Proof::Password { user: "a&b@c", password: &password };
        let text = envelope("https://login/extSTS.srf", proof, "https://c", Some("MBI"));
        assert!(text.contains(
            "<o:Username>a&amp;b@c</o:Username><o:Password>p&lt;&quot;&apos;&gt;&amp;</o:Password>"
        ));
        assert!(text.contains(r#"URI="MBI""#));
        assert!(
            xml::texts(&text).unwrap().iter().any(|(name, text)| name == "Password" && text == "p<\"'>&")
        );
    }

    #[test]
    fn a_token_is_unescaped_and_has_a_lifetime() {
        let answer = "<S:Envelope xmlns:S='s'><S:Body><w:RequestSecurityTokenResponse xmlns:w='t'>\
            <w:Lifetime xmlns:u='u'><u:Created>2026-01-10T08:00:00Z</u:Created><u:Expires>2026-01-11T08:00:00Z</u:Expires></w:Lifetime>\
            <w:RequestedSecurityToken><o:BinarySecurityToken xmlns:o='o'>t=EwX==&amp;p=</o:BinarySecurityToken></w:RequestedSecurityToken>\
            </w:RequestSecurityTokenResponse></S:Body></S:Envelope>";
        let Outcome::Token(token) = parse(answer) else { panic!("no token") };
        assert_eq!((token.text.as_str(), token.lifetime), ("t=EwX==&p=", Some(Duration::from_secs(86_400))));
        assert_eq!(format!("{token:?}"), "Token(***)");
    }

    #[test]
    fn right_password_without_token_is_no_success() {
        let answer = "<S:Envelope xmlns:S='s'><S:Header><p:pp xmlns:p='p'><p:reqstatus>0x8004882c</p:reqstatus></p:pp></S:Header>\
            <S:Body><w:RequestSecurityTokenResponse xmlns:w='t'><w:TokenType>x</w:TokenType></w:RequestSecurityTokenResponse></S:Body></S:Envelope>";
        assert!(matches!(parse(answer), Outcome::Withheld));
        assert!(matches!(parse("<html><body>busy</body></html>"), Outcome::Noise));
        assert!(matches!(parse(""), Outcome::Noise));
    }

    #[test]
    fn faults_are_read_in_the_order_of_trust() {
        let answer = "<S:Envelope xmlns:S='s' xmlns:p='p'><S:Body><S:Fault><S:Code><S:Value>S:Sender</S:Value><S:Subcode>\
            <S:Value>wst:FailedAuthentication</S:Value></S:Subcode></S:Code><S:Reason><S:Text>Authentication Failure</S:Text></S:Reason>\
            <S:Detail><p:error><p:value>0x80048821</p:value><p:internalerror><p:code>0x80041012</p:code>\
            <p:text>AADSTS50126: Error validating credentials</p:text></p:internalerror></p:error></S:Detail></S:Fault></S:Body></S:Envelope>";
        let Outcome::Fault(fault) = parse(answer) else { panic!("no fault") };
        assert_eq!(fault.aadsts, Some(50_126));
        assert_eq!((fault.value.as_str(), fault.subcode.as_str()), ("0x80048821", "FailedAuthentication"));
        assert!(fault.text.starts_with("AADSTS50126"));
        assert_eq!(aadsts("AADSTS70002: wrapped. AADSTS50126: inner"), Some(50_126));
        assert_eq!(aadsts("AADSTS70002: alone"), Some(70_002));
        assert_eq!(aadsts("nothing"), None);
    }
}
