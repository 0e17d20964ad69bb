//! What the login host knows of a user's domain: managed by the cloud, federated, or unknown there.

use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::xml;
use crate::{
    http::{Expects, Http, HttpError, Request},
    options::is_private,
};

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where a domain's accounts are signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Realm {
    Managed,
    /// By an identity provider of its own; app passwords are still checked by the cloud.
    Federated(Federation),
    /// In no tenant of this cloud.
    Unknown,
}

/// A domain's identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Federation {
    /// Its host, if told.
    pub(crate) host: Option<String>,
    /// Where programs sign in, if it has such a place.
    pub(super) active: Option<Url>,
    /// The cloud's name at the provider, if it is not the usual one.
    pub(super) audience: Option<String>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "NameSpaceType")]
    name_space: Option<String>,
    #[serde(rename = "AuthURL")]
    passive: Option<String>,
    #[serde(rename = "STSAuthURL")]
    active: Option<String>,
    #[serde(rename = "CloudInstanceIssuerUri")]
    audience: Option<String>,
}

/// Asks for a user's realm. An answer that cannot be understood counts as managed: sign-in itself then tells more.
pub(super) async fn realm(http: &Http, login: &Url, user: &str) -> Result<Realm, HttpError> {
    let mut url = login.clone();
    url.set_path("/GetUserRealm.srf");
    // Only the XML form names the place where programs sign in.
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("login", user)
        .append_pair("xml", "1")
        .finish();
    let request =
        Request::post(url, Expects::Any, form).header("Content-Type", "application/x-www-form-urlencoded");
    let answer = http.send(request).await?.bytes(ANSWER_BYTES_MAX).await?;
    Ok(parse(&String::from_utf8_lossy(&answer)).unwrap_or(Realm::Managed))
}

/// Reads either form of the answer.
pub(super) fn parse(answer: &str) -> Option<Realm> {
    let told = if let Ok(told) = serde_json::from_str::<Told>(answer) {
        told
    } else {
        let texts = xml::texts(answer)?;
        let text = |name: &str| {
            texts
                .iter()
                .find(|(local, _)| local.eq_ignore_ascii_case(name))
                .map(|(_, text)| text.trim().to_owned())
        };
        Told {
            name_space: text("NameSpaceType"),
            passive: text("AuthURL"),
            active: text("STSAuthURL"),
            audience: text("CloudInstanceIssuerUri"),
        }
    };
    match told.name_space.as_deref()? {
        "Managed" => Some(Realm::Managed),
        "Federated" => Some(Realm::Federated(federation(&told))),
        "Unknown" => Some(Realm::Unknown),
        _ => None,
    }
}

fn federation(told: &Told) -> Federation {
    let url = |text: &Option<String>| text.as_deref().and_then(|text| Url::parse(text).ok());
    let (passive, active) = (url(&told.passive), url(&told.active));
    let host = active.as_ref().or(passive.as_ref()).and_then(|url| url.host_str().map(str::to_owned));
    // The page for people of Microsoft's own service tells where its place for programs is.
    let derived = || {
        let mut url = passive.filter(|url| url.path().to_ascii_lowercase().starts_with("/adfs/"))?;
        url.set_query(None);
        url.set_path("/adfs/services/trust/2005/usernamemixed");
        Some(url)
    };
    // A password goes there: never readable on the way.
    let active = active.or_else(derived).filter(is_private);
    Federation { host, active, audience: told.audience.clone().filter(|text| !text.is_empty()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn federation(answer: &str) -> Federation {
        match parse(answer) {
            Some(Realm::Federated(federation)) => federation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_forms_are_read() {
        let json =
            r#"{"State":3,"NameSpaceType":"Federated","AuthURL":"https://sts.fabrikam.com/adfs/ls/?x=1"}"#;
        let told = federation(json);
        assert_eq!(told.host.as_deref(), Some("sts.fabrikam.com"));
        let active = "https://sts.fabrikam.com/adfs/services/trust/2005/usernamemixed";
        assert_eq!(told.active.unwrap().as_str(), active, "derived from the page for people");
        let xml = format!(
            "<RealmInfo Success=\"true\"><NameSpaceType>Federated</NameSpaceType><STSAuthURL>{active}</STSAuthURL>\
             <AuthURL>https://sts.fabrikam.com/adfs/ls/</AuthURL>\
             <CloudInstanceIssuerUri>urn:federation:partner.microsoftonline.cn</CloudInstanceIssuerUri></RealmInfo>"
        );
        let told = federation(&xml);
        assert_eq!(told.active.unwrap().as_str(), active);
        assert_eq!(told.audience.as_deref(), Some("urn:federation:partner.microsoftonline.cn"));
        assert_eq!(parse(r#"{"NameSpaceType":"Managed"}"#), Some(Realm::Managed));
        assert_eq!(parse(r#"{"NameSpaceType":"Unknown"}"#), Some(Realm::Unknown));
        assert_eq!(parse("<html>"), None);
    }

    #[test]
    fn a_provider_without_a_place_for_programs_has_none() {
        let saml = r#"{"NameSpaceType":"Federated","AuthURL":"https://idp.example/saml/sso"}"#;
        assert_eq!(federation(saml).active, None);
        let readable = "<R><NameSpaceType>Federated</NameSpaceType><STSAuthURL>http://sts.example/adfs/services/trust/2005/usernamemixed</STSAuthURL></R>";
        assert_eq!(federation(readable).active, None, "a password never travels readable");
    }
}
