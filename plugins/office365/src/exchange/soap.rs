//! Writes SOAP envelopes: the header that says as which version and for whom, and bodies without anything XML forbids.

use std::sync::atomic::{AtomicU8, Ordering};

use super::xml::is_xml_char;

/// The schema a request is written against. Order is age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ServerVersion {
    /// No time zone context yet.
    Exchange2007Sp1,
    Exchange2010,
    Exchange2010Sp1,
    Exchange2010Sp2,
    Exchange2013,
    Exchange2013Sp1,
}

impl ServerVersion {
    const ALL: [Self; 6] = [
        Self::Exchange2007Sp1,
        Self::Exchange2010,
        Self::Exchange2010Sp1,
        Self::Exchange2010Sp2,
        Self::Exchange2013,
        Self::Exchange2013Sp1,
    ];

    /// The value in the header.
    fn as_str(self) -> &'static str {
        match self {
            Self::Exchange2007Sp1 => "Exchange2007_SP1",
            Self::Exchange2010 => "Exchange2010",
            Self::Exchange2010Sp1 => "Exchange2010_SP1",
            Self::Exchange2010Sp2 => "Exchange2010_SP2",
            Self::Exchange2013 => "Exchange2013",
            Self::Exchange2013Sp1 => "Exchange2013_SP1",
        }
    }

    /// The next older one.
    fn older(self) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|version| *version < self)
    }
}

/// The version agreed on with one mailbox's server: the newest we know, stepped down as the server refuses it.
#[derive(Debug)]
pub(crate) struct AgreedVersion(AtomicU8);

impl Default for AgreedVersion {
    fn default() -> Self {
        Self(AtomicU8::new(ServerVersion::Exchange2013Sp1 as u8))
    }
}

impl AgreedVersion {
    /// The version to write the next request in.
    pub(crate) fn current(&self) -> ServerVersion {
        let number = usize::from(self.0.load(Ordering::Relaxed));
        ServerVersion::ALL.get(number).copied().unwrap_or(ServerVersion::Exchange2013Sp1)
    }

    /// The server refused `version`: goes to the next older one. False if there is none.
    pub(crate) fn step_down(&self, version: ServerVersion) -> bool {
        let Some(older) = version.older() else { return false };
        self.0.fetch_min(older as u8, Ordering::Relaxed);
        true
    }
}

/// A whole request. `impersonate` is the primary address of the mailbox to act as.
pub(crate) fn envelope(version: ServerVersion, impersonate: Option<&str>, body: &str) -> String {
    let mut text = String::with_capacity(body.len() + 1024);
    text.push_str(concat!(
        r#"<?xml version="1.0" encoding="utf-8"?>"#,
        r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/""#,
        r#" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages""#,
        r#" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header>"#,
        r#"<t:RequestServerVersion Version=""#,
    ));
    text.push_str(version.as_str());
    text.push_str(r#""/>"#);
    if let Some(address) = impersonate {
        text.push_str("<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>");
        text.push_str(&escape(address));
        text.push_str("</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>");
    }
    if version >= ServerVersion::Exchange2010 {
        text.push_str(r#"<t:TimeZoneContext><t:TimeZoneDefinition Id="UTC"/></t:TimeZoneContext>"#);
    }
    text.push_str("</s:Header><s:Body>");
    text.push_str(body);
    text.push_str("</s:Body></s:Envelope>");
    text
}

/// Text as it may stand in an element or an attribute: escaped, and without characters that XML cannot hold.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\r' => escaped.push_str("&#xD;"),
            _ if is_xml_char(char) => escaped.push(char),
            _ => {}
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_stripped() {
        assert_eq!(escape("a<b>&\"'\u{1}\u{FFFE}\n\u{1F600}"), "a&lt;b&gt;&amp;&quot;&apos;\n\u{1F600}");
    }

    #[test]
    fn the_header_follows_version_and_identity() {
        let text = envelope(ServerVersion::Exchange2013Sp1, Some("o'neil@x.y"), "<m:X/>");
        assert!(text.contains(r#"Version="Exchange2013_SP1"/><t:ExchangeImpersonation>"#));
        assert!(text.contains("o&apos;neil@x.y</t:PrimarySmtpAddress>"));
        assert!(text.contains(r#"Id="UTC""#));
        assert!(text.ends_with("<s:Body><m:X/></s:Body></s:Envelope>"));
        let old = envelope(ServerVersion::Exchange2007Sp1, None, "");
        assert!(!old.contains("Impersonation") && !old.contains("TimeZone"));
    }

    #[test]
    fn versions_step_down_to_the_oldest() {
        let agreed = AgreedVersion::default();
        let mut steps = 0;
        while agreed.step_down(agreed.current()) {
            steps += 1;
        }
        assert_eq!((steps, agreed.current()), (5, ServerVersion::Exchange2007Sp1));
        let agreed = AgreedVersion::default();
        assert!(agreed.step_down(ServerVersion::Exchange2013Sp1));
        assert!(
            agreed.step_down(ServerVersion::Exchange2013Sp1),
            "a second request that was refused the same version"
        );
        assert_eq!(agreed.current(), ServerVersion::Exchange2013);
    }
}
