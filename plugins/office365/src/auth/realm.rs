//! What the login host knows of a user's domain: managed by the cloud, federated, or unknown there.

use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::xml;
use crate::http::{Expects, Http, HttpError, Request};

/// Where a domain's accounts are signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Realm {
    Managed,
    /// By an identity provider of its own; app passwords are still checked by the cloud.
    Federated {
        /// The provider's host, if told.
        provider: Option<String>,
    },
    /// In no tenant of this cloud.
    Unknown,
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "NameSpaceType")]
    name_space: Option<String>,
    #[serde(rename = "AuthURL")]
    auth_url: Option<String>,
}

/// Asks for a user's realm. An answer that cannot be understood counts as managed: sign-in itself then tells more.
pub(super) async fn realm(http: &Http, login: &Url, user: &str) -> Result<Realm, HttpError> {
    let mut url = login.clone();
    url.set_path("/GetUserRealm.srf");
    let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("login", user).finish();
    let request =
        Request::post(url, Expects::Any, form).header("Content-Type", "application/x-www-form-urlencoded");
    Ok(parse(&http.send(request).await?.text().await?).unwrap_or(Realm::Managed))
}

/// Reads either form of the answer.
pub(super) fn parse(answer: &str) -> Option<Realm> {
    let told = if let Ok(told) = serde_json::from_str::<Told>(answer) {
        told
    } else {
        let texts = xml::texts(answer)?;
        let text = |name: &str| texts.iter().find(|(local, _)| local == name).map(|(_, text)| text.clone());
        Told { name_space: text("NameSpaceType"), auth_url: text("STSAuthURL").or_else(|| text("AuthURL")) }
    };
    match told.name_space?.as_str() {
        "Managed" => Some(Realm::Managed),
        "Federated" => {
            let provider = told.auth_url.and_then(|url| Url::parse(&url).ok());
            Some(Realm::Federated { provider: provider.and_then(|url| url.host_str().map(str::to_owned)) })
        }
        "Unknown" => Some(Realm::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let json =
            r#"{"State":3,"NameSpaceType":"Federated","AuthURL":"https://sts.fabrikam.com/adfs/ls/?x=1"}"#;
        let federated = Realm::Federated { provider: Some("sts.fabrikam.com".to_owned()) };
        assert_eq!(parse(json), Some(federated.clone()));
        let xml = "<RealmInfo Success=\"true\"><NameSpaceType>Federated</NameSpaceType>\
            <STSAuthURL>https://sts.fabrikam.com/adfs/services/trust/2005/usernamemixed</STSAuthURL></RealmInfo>";
        assert_eq!(parse(xml), Some(federated));
        assert_eq!(parse(r#"{"NameSpaceType":"Managed"}"#), Some(Realm::Managed));
        assert_eq!(parse(r#"{"NameSpaceType":"Unknown"}"#), Some(Realm::Unknown));
        assert_eq!(parse("<html>"), None);
    }
}
