//! A federated account: the domain's own federation service says who it is, and what it says is cut out of its answer as it came.

use std::time::{Duration, SystemTime};

use larder_sdk::Secret;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use url::Url;

use super::{
    Refusal, refusal,
    wstrust::{self, Fault, SECURITY},
    xml,
};
use crate::{codes, error::Explanation, http::Http};

/// Most elements looked at in an answer, and the deepest nesting.
const ELEMENTS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 64;
/// How long a request of the older dialect says that it is good.
const REQUEST_LIFE: Duration = Duration::from_secs(600);
/// Where a federation service of Microsoft's make has its endpoints.
const TRUST: &str = "/adfs/services/trust/";

/// What a federation service said of a user: signed, so that not one byte of it may change. Never printed.
pub(super) struct Assertion {
    text: String,
    /// Prefixes used in it that its own start tag does not declare, with what they stand for.
    scope: Vec<(String, String)>,
}

/// A federation service, and who asks it.
pub(super) struct Provider<'a> {
    pub(super) http: &'a Http,
    /// Its active endpoint, as realm discovery told it.
    pub(super) active: &'a Url,
    /// Whom the assertion is for.
    pub(super) audience: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a Secret,
}

/// How the request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// WS-Trust 1.3.
    Trust13,
    /// WS-Trust of February 2005.
    Trust2005,
}

impl Provider<'_> {
    /// Asks once: a refused password is not tried in a second dialect, since it counts towards a lockout.
    pub(super) async fn assertion(&self) -> Result<Assertion, Refusal> {
        let mut off = Explanation::of(codes::ADFS_NO_ENDPOINT);
        for (dialect, url) in endpoints(self.active) {
            let shown = url.to_string();
            let body = envelope(dialect, &url, self.audience, self.user, self.password, SystemTime::now());
            let (status, text) = match wstrust::soap(self.http, url, body).await? {
                Ok(answer) => answer,
                Err(error) => return Err(Refusal::Account(refusal::unreachable(&error))),
            };
            if let Some(assertion) = cut(&text) {
                return Ok(assertion);
            }
            match (wstrust::fault(&text), status) {
                (Some(fault), _) => return Err(Refusal::Account(explain(&fault))),
                (None, 400..=499 | 503) => {
                    off = Explanation::of(codes::ADFS_ENDPOINT_OFF)
                        .saying(&format!("{shown} answered {status}"));
                }
                (None, _) => {
                    let why = format!("{shown} answered {status} and no assertion");
                    return Err(Refusal::Account(
                        Explanation::of_passing(codes::ADFS_FAULT, refusal::AGAIN).saying(&why),
                    ));
                }
            }
        }
        Err(Refusal::Account(off))
    }
}

/// Where to ask, in order: Microsoft's own service in both dialects, the newer first; any other where it says.
fn endpoints(active: &Url) -> Vec<(Dialect, Url)> {
    let path = active.path().to_ascii_lowercase();
    if !path.starts_with(TRUST) {
        return vec![(Dialect::Trust2005, active.clone())];
    }
    let at = |dialect: &str| {
        let mut url = active.clone();
        url.set_path(&format!("{TRUST}{dialect}/usernamemixed"));
        url
    };
    vec![(Dialect::Trust13, at("13")), (Dialect::Trust2005, at("2005"))]
}

fn explain(fault: &Fault) -> Explanation {
    let says = |word: &str| fault.text.contains(word) || fault.subcode.contains(word);
    let code = if says("ID3242") || says("FailedAuthentication") {
        codes::ADFS_REFUSED
    } else if says("IssuanceAuthorizationFault") {
        codes::ADFS_DENIED
    } else if says("InternalServiceFault") {
        return Explanation::of_passing(codes::ADFS_FAULT, refusal::AGAIN);
    } else {
        codes::REFUSED
    };
    let said = if fault.text.is_empty() { &fault.subcode } else { &fault.text };
    if code == codes::REFUSED {
        Explanation::of(code).saying(refusal::first_sentence(said))
    } else {
        Explanation::of(code)
    }
}

fn envelope(
    dialect: Dialect,
    to: &Url,
    audience: &str,
    user: &str,
    password: &Secret,
    now: SystemTime,
) -> String {
    let space = match dialect {
        Dialect::Trust13 => "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
        Dialect::Trust2005 => "http://schemas.xmlsoap.org/ws/2005/02/trust",
    };
    let (key, extra, timestamp) = match dialect {
        Dialect::Trust13 => (format!("{space}/Bearer"), String::new(), String::new()),
        Dialect::Trust2005 => {
            let key = "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey".to_owned();
            (key, AUTH_INFO.to_owned(), timestamp(now))
        }
    };
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing">"#,
            r#"<s:Header><a:Action s:mustUnderstand="1">{space}/RST/Issue</a:Action>"#,
            r"<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>",
            r#"<a:To s:mustUnderstand="1">{to}</a:To>{extra}"#,
            r#"<o:Security s:mustUnderstand="1" xmlns:o="{security}">{timestamp}"#,
            r"<o:UsernameToken><o:Username>{user}</o:Username>",
            r#"<o:Password Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText">{password}</o:Password>"#,
            r"</o:UsernameToken></o:Security></s:Header><s:Body>",
            r#"<t:RequestSecurityToken xmlns:t="{space}">"#,
            r#"<p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference>"#,
            r"<a:Address>{audience}</a:Address></a:EndpointReference></p:AppliesTo>",
            r"<t:KeyType>{key}</t:KeyType><t:RequestType>{space}/Issue</t:RequestType>",
            r"</t:RequestSecurityToken></s:Body></s:Envelope>",
        ),
        space = space,
        to = xml::escape(to.as_str()),
        extra = extra,
        security = SECURITY,
        timestamp = timestamp,
        user = xml::escape(user),
        password = xml::escape(password.expose()),
        audience = xml::escape(audience),
        key = key,
    )
}

/// What the older dialect says of the program that asks.
const AUTH_INFO: &str = concat!(
    r#"<ps:AuthInfo xmlns:ps="http://schemas.microsoft.com/Passport/SoapServices/PPCRL" Id="PPAuthInfo">"#,
    r"<ps:HostingApp>Managed IDCRL</ps:HostingApp><ps:BinaryVersion>6</ps:BinaryVersion><ps:UIVersion>1</ps:UIVersion>",
    r"<ps:RequestParams>AQAAAAIAAABsYwQAAAAxMDMz</ps:RequestParams></ps:AuthInfo>",
);

fn timestamp(now: SystemTime) -> String {
    let written = |at: SystemTime| {
        let at = jiff::Timestamp::try_from(at).unwrap_or_default();
        at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    };
    format!(
        concat!(
            r#"<u:Timestamp xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" u:Id="_0">"#,
            r"<u:Created>{}</u:Created><u:Expires>{}</u:Expires></u:Timestamp>",
        ),
        written(now),
        written(now + REQUEST_LIFE),
    )
}

impl Assertion {
    #[cfg(feature = "testing")]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The header that carries it. What its outer elements declared is declared there, so that the assertion itself stays as it came.
    pub(super) fn security(&self) -> String {
        let taken = |prefix: &str| self.scope.iter().any(|(mine, _)| mine == prefix);
        let free = |wanted: &str| {
            let mut prefix = wanted.to_owned();
            while taken(&prefix) {
                prefix.push('0');
            }
            prefix
        };
        let (security, soap) = (free("o"), free("s"));
        let mut text = format!(
            r#"<{security}:Security xmlns:{security}="{SECURITY}" xmlns:{soap}="http://www.w3.org/2003/05/soap-envelope" {soap}:mustUnderstand="1""#
        );
        for (prefix, space) in &self.scope {
            let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
            text.extend([" ", &name, "=\"", space, "\""]);
        }
        text.push('>');
        text.push_str(&self.text);
        text.extend(["</", &security, ":Security>"]);
        text
    }
}

/// Finds the assertion in an answer. `None` if there is none, or the answer is no XML.
pub(super) fn cut(answer: &str) -> Option<Assertion> {
    let mut reader = Reader::from_str(answer);
    // What each open element declares.
    let mut open: Vec<Vec<(String, String)>> = Vec::new();
    let (mut elements, mut begun): (usize, Option<(usize, usize)>) = (0, None);
    loop {
        let before = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Start(start) => {
                elements += 1;
                if elements > ELEMENTS_MAX || open.len() >= DEPTH_MAX {
                    return None;
                }
                open.push(declared(&start)?);
                if begun.is_none() && start.local_name().as_ref() == "Assertion" {
                    begun = Some((before, open.len()));
                }
            }
            Event::End(_) => {
                if let Some((from, depth)) = begun
                    && depth == open.len()
                {
                    let until = usize::try_from(reader.buffer_position()).ok()?;
                    let text = answer.get(from..until)?.to_owned();
                    return Some(Assertion { scope: in_scope(&open, &text), text });
                }
                open.pop()?;
            }
            Event::DocType(_) | Event::Eof => return None,
            _ => {}
        }
    }
}

/// The namespaces that a start tag declares: prefix (empty for the default) and address, escaped for an attribute.
fn declared(start: &BytesStart<'_>) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let name: &str = attribute.key.as_ref();
        let prefix = if name == "xmlns" { Some("") } else { name.strip_prefix("xmlns:") };
        if let Some(prefix) = prefix {
            found.push((prefix.to_owned(), attribute.value.replace('"', "&quot;")));
        }
    }
    Some(found)
}

/// What the last of `open` inherits and may need.
fn in_scope(open: &[Vec<(String, String)>], text: &str) -> Vec<(String, String)> {
    let Some((own, outer)) = open.split_last() else { return Vec::new() };
    let mut scope: Vec<(String, String)> = Vec::new();
    for (prefix, space) in outer.iter().rev().flatten() {
        let known = own.iter().chain(&scope).any(|(mine, _)| mine == prefix);
        let used = prefix.is_empty() || text.contains(&format!("{prefix}:"));
        if !known && used {
            scope.push((prefix.clone(), space.clone()));
        }
    }
    scope
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSERTION: &str = "<saml:Assertion  Id='a\"1' MajorVersion=\"1\">\n <saml:Conditions NotBefore = '2026'/><x>&#65;&amp;\r</x><b></b></saml:Assertion>";

    fn answer() -> String {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s='soap'><s:Body><t:Response xmlns:t='trust' xmlns='default'>\
             <t:RequestedSecurityToken xmlns:saml='urn:oasis:names:tc:SAML:1.0:assertion' xmlns:o=\"other\" xmlns:q='unused'>{ASSERTION}\
             </t:RequestedSecurityToken></t:Response></s:Body></s:Envelope>"
        )
    }

    #[test]
    fn an_assertion_is_cut_out_byte_for_byte() {
        let assertion = cut(&answer()).unwrap();
        assert_eq!(assertion.text, ASSERTION, "a signature holds for these bytes alone");
        let header = assertion.security();
        assert!(header.contains(ASSERTION));
        assert!(header.contains("xmlns:saml=\"urn:oasis:names:tc:SAML:1.0:assertion\""), "{header}");
        assert!(header.contains(" xmlns=\"default\"") && !header.contains("unused"), "{header}");
        assert!(xml::texts(&header).is_some(), "well-formed: {header}");
    }

    #[test]
    fn prefixes_of_ours_give_way() {
        let text = "<r xmlns:o='theirs' xmlns:s='theirs2'><Assertion><o:a/><s:b/></Assertion></r>";
        let header = cut(text).unwrap().security();
        assert!(
            header.starts_with("<o0:Security xmlns:o0=") && header.contains("s0:mustUnderstand"),
            "{header}"
        );
        assert!(
            header.contains("xmlns:o=\"theirs\" xmlns:s=\"theirs2\"")
                || header.contains("xmlns:s=\"theirs2\" xmlns:o=\"theirs\"")
        );
    }

    #[test]
    fn answers_without_an_assertion_are_none() {
        for text in [
            "",
            "<a>",
            "<html><body>busy</body></html>",
            "<!DOCTYPE a []><Assertion></Assertion>",
            "<a><Assertion></a>",
        ] {
            assert!(cut(text).is_none(), "{text}");
        }
        assert!(cut(&"<a>".repeat(100_000)).is_none());
    }

    #[test]
    fn a_service_of_another_make_is_asked_where_it_says() {
        let at = |text: &str| endpoints(&Url::parse(text).unwrap());
        let adfs = at("https://sts.fabrikam.com/adfs/services/trust/2005/usernamemixed");
        assert_eq!(adfs[0].1.as_str(), "https://sts.fabrikam.com/adfs/services/trust/13/usernamemixed");
        assert_eq!((adfs[0].0, adfs[1].0), (Dialect::Trust13, Dialect::Trust2005));
        let other = at("https://idp.example/app/office365/x/active?c=1");
        assert_eq!(
            (other.len(), other[0].0, other[0].1.path()),
            (1, Dialect::Trust2005, "/app/office365/x/active")
        );
    }

    #[test]
    fn both_dialects_escape_and_say_for_whom() {
        let to = Url::parse("https://sts.fabrikam.com/x").unwrap();
        for dialect in [Dialect::Trust13, Dialect::Trust2005] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
            let text = envelope(
                dialect,
                &to,
                "urn:federation:MicrosoftOnline",
                "a&b@c",
                &Secret::new("p<\"'>&"),
                now,
            );
            let texts = xml::texts(&text).unwrap();
            let of =
                |name: &str| texts.iter().find(|(local, _)| local == name).map(|(_, text)| text.as_str());
            assert_eq!((of("Username"), of("Password")), (Some("a&b@c"), Some("p<\"'>&")));
            assert_eq!(of("Expires").is_some(), dialect == Dialect::Trust2005);
            assert!(
                texts
                    .iter()
                    .any(|(name, text)| name == "Address" && text == "urn:federation:MicrosoftOnline")
            );
        }
    }

    #[test]
    fn faults_of_the_federation_service_are_told_apart() {
        let code = |subcode: &str, text: &str| {
            explain(&Fault { subcode: subcode.to_owned(), text: text.to_owned(), ..Fault::default() }).code
        };
        assert_eq!(
            code("FailedAuthentication", "ID3242: The security token could not be authenticated."),
            "adfs-refused"
        );
        assert_eq!(
            code("InternalServiceFault", "The server was unable to process the request"),
            "adfs-fault"
        );
        assert_eq!(code("IssuanceAuthorizationFault", "MSIS3126: Access denied."), "adfs-denied");
        assert_eq!(code("Something", "New"), "refused");
    }
}
