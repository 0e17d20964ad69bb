//! A federated domain's own sign-in: which accounts it knows, and what it says of them, so that not one byte may change.

use std::sync::{Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::clock::{UnixMillis, iso_seconds, parse_iso};
use crate::xml::escape;

/// The domain whose users sign in there.
pub const FEDERATED_DOMAIN: &str = "fabrikam.example";
/// Whom assertions are for.
pub(crate) const AUDIENCE: &str = "urn:federation:MicrosoftOnline";
/// The namespace of assertions.
pub(crate) const SAML: &str = "urn:oasis:names:tc:SAML:1.0:assertion";
/// How long an assertion is good, in milliseconds.
const ASSERTION_MS: i64 = 3_600_000;

/// How the federation service behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FederationState {
    /// Both dialects are served.
    #[default]
    Serving,
    /// WS-Trust 1.3 is switched off at the proxy (404).
    Only2005,
    /// Both are switched off (503).
    Off,
    /// Every request is answered `InternalServiceFault`.
    Fault,
    /// The relying party's rules deny everybody.
    Denies,
    /// There is no place for programs at all, and realm discovery names none.
    Passive,
    /// A proxy rewrites what the service says: the signature breaks.
    Altered,
}

/// See the module.
#[derive(Debug)]
pub struct Federation {
    origin: OnceLock<String>,
    state: Mutex<FederationState>,
    key: [u8; 32],
}

impl Federation {
    /// A service whose signatures follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            origin: OnceLock::new(),
            state: Mutex::default(),
            key: blake3::derive_key("larder-tenant federation", &seed.to_be_bytes()),
        }
    }

    /// Changes how it behaves.
    pub fn set_state(&self, state: FederationState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub(crate) fn state(&self) -> FederationState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells where it listens; the first call counts.
    pub(crate) fn set_origin(&self, origin: String) {
        // A second call would be a mistake of ours without harm: the address cannot change.
        let _ = self.origin.set(origin);
    }

    pub(crate) fn origin(&self) -> &str {
        self.origin.get().map_or("https://sts.fabrikam.example", String::as_str)
    }

    /// An assertion about a user. Quotes, blanks, references and prefixes stand as a writer of XML would not write them again.
    pub(crate) fn assertion(&self, user: &str, declares: bool, now: UnixMillis) -> String {
        let (from, until) = (iso_seconds(now), iso_seconds(now + ASSERTION_MS));
        let space = if declares { format!(" xmlns:saml='{SAML}'") } else { String::new() };
        let user = escape(user).replace('@', "&#x40;");
        let unsigned = format!(
            "<saml:Assertion{space} MajorVersion=\"1\"  MinorVersion='1' AssertionID='_{id}' Issuer=\"http://sts.{FEDERATED_DOMAIN}/adfs/services/trust\"\n \
             IssueInstant=\"{from}\"><saml:Conditions NotBefore=\"{from}\" NotOnOrAfter = '{until}'><saml:AudienceRestrictionCondition>\
             <saml:Audience>{AUDIENCE}</saml:Audience></saml:AudienceRestrictionCondition></saml:Conditions><saml:AttributeStatement>\
             <saml:Subject><saml:NameIdentifier Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">{user}</saml:NameIdentifier>\
             <saml:SubjectConfirmation></saml:SubjectConfirmation></saml:Subject>\r\n</saml:AttributeStatement>{SIGNATURE}</saml:Assertion>",
            id = blake3::hash(format!("{user}{now}").as_bytes()).to_hex(),
        );
        unsigned.replace(SIGNATURE, &signature(&self.sign(&unsigned)))
    }

    /// Whose assertion stands in a request, if it is ours, byte for byte, and good now.
    pub(crate) fn verify(&self, request: &str, now: UnixMillis) -> Option<String> {
        let from = request.find("<saml:Assertion")?;
        let until = request[from..].find("</saml:Assertion>")? + from + "</saml:Assertion>".len();
        let text = &request[from..until];
        let value = between(text, "<ds:SignatureValue>", "</ds:SignatureValue>")?;
        let unsigned = text.replace(&signature(value), SIGNATURE);
        if self.sign(&unsigned) != value {
            return None;
        }
        let (begins, ends) = (between(text, "NotBefore=\"", "\"")?, between(text, "NotOnOrAfter = '", "'")?);
        let in_time = parse_iso(begins)? <= now && now < parse_iso(ends)?;
        let name = between(text, "emailAddress\">", "</saml:NameIdentifier>")?;
        in_time.then(|| name.replace("&#x40;", "@").to_ascii_lowercase())
    }

    fn sign(&self, text: &str) -> String {
        STANDARD.encode(blake3::keyed_hash(&self.key, text.as_bytes()).as_bytes())
    }
}

/// Where the signature goes.
const SIGNATURE: &str = "<!--signature-->";

fn signature(value: &str) -> String {
    format!(
        "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'><ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"
    )
}

fn between<'a>(text: &'a str, from: &str, until: &str) -> Option<&'a str> {
    let start = text.find(from)? + from.len();
    text[start..].find(until).map(|end| &text[start..start + end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_breaks_a_signature() {
        let federation = Federation::new(1);
        let now = 1_767_225_600_000;
        for declares in [true, false] {
            let text = federation.assertion("ann@fabrikam.example", declares, now);
            assert_eq!(
                federation.verify(&format!("<x>{text}</x>"), now).as_deref(),
                Some("ann@fabrikam.example")
            );
            assert_eq!(federation.verify(&text.replace("  MinorVersion", " MinorVersion"), now), None);
            assert_eq!(federation.verify(&text.replace("&#x40;", "@"), now), None);
            assert_eq!(federation.verify(&text, now + ASSERTION_MS), None);
            assert_eq!(Federation::new(2).verify(&text, now), None);
        }
    }
}
