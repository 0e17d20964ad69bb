//! A security token for a user name and a password, by WS-Trust.

use std::time::Duration;

use larder_sdk::Secret;
use url::Url;

use super::{Refusal, refusal, xml};
use crate::{
    error::Explanation,
    http::{Expects, Http, Request, Response},
};

/// Most requests for one token.
const TRIES_MAX: u32 = 3;
/// First pause between them; doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to stay away if the login host says "too many" without a time.
const BACK_OFF_UNSAID: Duration = Duration::from_secs(60);

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

/// Who asks whom.
pub(super) struct Issuer<'a> {
    pub(super) http: &'a Http,
    pub(super) login: &'a Url,
    pub(super) user: &'a str,
    pub(super) password: &'a Secret,
}

impl Issuer<'_> {
    /// A token for `applies_to`, under a policy if one is wanted.
    pub(super) async fn token(&self, applies_to: &str, policy: Option<&str>) -> Result<Token, Refusal> {
        let mut tries = 0;
        loop {
            tries += 1;
            let refusal = match self.ask(applies_to, policy).await? {
                Ok(Outcome::Token(token)) => return Ok(token),
                Ok(Outcome::Withheld) => return Err(Refusal::Account(refusal::withheld())),
                Ok(Outcome::Fault(fault)) => refusal::explain(&fault),
                Ok(Outcome::Noise) => refusal::unavailable("its answer cannot be understood"),
                Err(why) => why,
            };
            // Only a passing fault of the service is worth another try: wrong passwords count towards a lockout.
            if refusal.code != refusal::TRANSIENT || tries >= TRIES_MAX {
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
        let body = envelope(url.as_str(), self.user, self.password.expose(), applies_to, policy);
        let request = Request::post(url, Expects::Xml, body)
            .header("Content-Type", "application/soap+xml; charset=utf-8");
        let response = match self.http.send(request).await {
            Ok(response) => response,
            Err(error) => return Ok(Err(refusal::unavailable(&error.to_string()))),
        };
        if response.status() == 429 {
            return Err(Refusal::Throttled(told_wait(&response)));
        }
        let status = response.status();
        let text = match response.text().await {
            Ok(text) => text,
            Err(error) => return Ok(Err(refusal::unavailable(&error.to_string()))),
        };
        Ok(match parse(&text) {
            Outcome::Noise => {
                Err(refusal::unavailable(&format!("it answered {status} and no security token")))
            }
            outcome => Ok(outcome),
        })
    }
}

fn told_wait(response: &Response) -> Duration {
    response
        .header("retry-after")
        .and_then(|text| text.trim().parse().ok())
        .map_or(BACK_OFF_UNSAID, Duration::from_secs)
}

/// The request. User and password are the only free texts in it besides addresses; all are escaped.
fn envelope(to: &str, user: &str, password: &str, applies_to: &str, policy: Option<&str>) -> String {
    let policy = policy.map_or_else(String::new, |policy| {
        format!(
            r#"<wsp:PolicyReference xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy" URI="{}"/>"#,
            xml::escape(policy)
        )
    });
    let (to, user, password, applies_to) =
        (xml::escape(to), xml::escape(user), xml::escape(password), xml::escape(applies_to));
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">"#,
            r#"<s:Header><a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue</a:Action>"#,
            r"<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>",
            r#"<a:To s:mustUnderstand="1">{to}</a:To>"#,
            r#"<o:Security s:mustUnderstand="1" xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd">"#,
            r"<o:UsernameToken><o:Username>{user}</o:Username><o:Password>{password}</o:Password></o:UsernameToken>",
            r"</o:Security></s:Header><s:Body>",
            r#"<t:RequestSecurityToken xmlns:t="http://schemas.xmlsoap.org/ws/2005/02/trust">"#,
            r#"<p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">"#,
            r"<a:EndpointReference><a:Address>{applies_to}</a:Address></a:EndpointReference></p:AppliesTo>{policy}",
            r"<t:KeyType>http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey</t:KeyType>",
            r"<t:RequestType>http://schemas.xmlsoap.org/ws/2005/02/trust/Issue</t:RequestType>",
            r"<t:TokenType>urn:oasis:names:tc:SAML:1.0:assertion</t:TokenType>",
            r"</t:RequestSecurityToken></s:Body></s:Envelope>",
        ),
        to = to,
        user = user,
        password = password,
        applies_to = applies_to,
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

/// The refusal that an answer is, an empty one if it is none; nothing if it cannot be understood.
#[cfg(feature = "testing")]
pub(super) fn read(answer: &str) -> Option<Fault> {
    match parse(answer) {
        Outcome::Noise => None,
        Outcome::Fault(fault) => Some(fault),
        Outcome::Token(_) | Outcome::Withheld => Some(Fault::default()),
    }
}

/// The number that `AADSTS` begins; a wrapper's own number counts only if no second one follows.
fn aadsts(text: &str) -> Option<u32> {
    let numbers = text.match_indices("AADSTS").filter_map(|(at, word)| {
        let digits: String = text[at + word.len()..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    let numbers: Vec<u32> = numbers.collect();
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
        let text = envelope("https://login/extSTS.srf", "a&b@c", "p<\"'>&", "https://c", Some("MBI"));
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
