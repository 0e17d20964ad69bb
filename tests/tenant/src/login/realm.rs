//! Realm discovery: is a user's domain managed here, federated elsewhere, or unknown?

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::account::DOMAIN;
use crate::federation::{FEDERATED_DOMAIN, Federation, FederationState};
use crate::xml::escape;

const ISSUER: &str = "urn:federation:MicrosoftOnline";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Realm {
    Managed,
    Federated,
    Unknown,
}

impl Realm {
    fn of(user: &str) -> (Self, String) {
        let domain = user.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase()).unwrap_or_default();
        let realm = match domain.as_str() {
            DOMAIN => Self::Managed,
            FEDERATED_DOMAIN => Self::Federated,
            _ => Self::Unknown,
        };
        (realm, domain)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Managed => "Managed",
            Self::Federated => "Federated",
            Self::Unknown => "Unknown",
        }
    }
}

/// `GetUserRealm.srf`, in JSON or, with `xml=1` in the query or the form, in XML.
pub(crate) fn get_user_realm(federation: &Federation, query: &str, form: &str) -> Response {
    let pairs: Vec<(String, String)> = [query, form]
        .into_iter()
        .flat_map(|text| url::form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>())
        .collect();
    let value = |name: &str| pairs.iter().find(|(mine, _)| mine == name).map(|(_, value)| value.as_str());
    let Some(user) = value("login") else { return StatusCode::BAD_REQUEST.into_response() };
    let (realm, domain) = Realm::of(user);
    if value("xml") == Some("1") {
        as_xml(federation, user, realm, &domain)
    } else {
        as_json(federation, user, realm, &domain)
    }
}

/// The provider's page for people: one of Microsoft's make tells where its place for programs is.
fn page(federation: &Federation) -> &'static str {
    if federation.state() == FederationState::Passive { "/saml/sso" } else { "/adfs/ls/" }
}

fn in_json(answer: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], answer.to_string()).into_response()
}

fn as_json(federation: &Federation, user: &str, realm: Realm, domain: &str) -> Response {
    let mut answer = json!({
        "State": 4, "UserState": 1, "Login": user, "NameSpaceType": realm.name(), "DomainName": domain,
        "FederationBrandName": "Contoso", "CloudInstanceName": "microsoftonline.com", "CloudInstanceIssuerUri": ISSUER,
    });
    if realm == Realm::Federated {
        answer["State"] = json!(3);
        answer["UserState"] = json!(2);
        answer["AuthURL"] = json!(format!(
            "{}{}?wa=wsignin1.0&wtrealm={ISSUER}&wctx=",
            federation.origin(),
            page(federation)
        ));
    }
    in_json(&answer)
}

fn as_xml(federation: &Federation, user: &str, realm: Realm, domain: &str) -> Response {
    let (state, user_state) = if realm == Realm::Federated { (3, 2) } else { (4, 1) };
    let federated = realm == Realm::Federated;
    let origin = federation.origin();
    let provider = match (federated, federation.state()) {
        (false, _) => String::new(),
        (true, FederationState::Passive) => format!("<AuthURL>{origin}{}</AuthURL>", page(federation)),
        (true, _) => format!(
            "<STSAuthURL>{origin}/adfs/services/trust/2005/usernamemixed</STSAuthURL><AuthURL>{origin}{}</AuthURL>",
            page(federation)
        ),
    };
    let text = format!(
        "<RealmInfo Success=\"true\"><State>{state}</State><UserState>{user_state}</UserState><Login>{}</Login>\
         <NameSpaceType>{}</NameSpaceType><DomainName>{}</DomainName><IsFederatedNS>{federated}</IsFederatedNS>\
         {provider}<CloudInstanceName>microsoftonline.com</CloudInstanceName>\
         <CloudInstanceIssuerUri>{ISSUER}</CloudInstanceIssuerUri></RealmInfo>",
        escape(user),
        realm.name(),
        escape(domain),
    );
    ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], text).into_response()
}

/// `common/userrealm/USER`, the newer form; `user` is the last part of the path as it was sent.
pub(crate) fn user_realm(federation: &Federation, user: &str, query: &str) -> Response {
    if !url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "api-version") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let user = url::form_urlencoded::parse(user.replace('+', "%2B").as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        .unwrap_or_default();
    let (realm, domain) = Realm::of(&user);
    let mut answer = json!({
        "ver": "1.0", "account_type": realm.name(), "domain_name": domain,
        "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": ISSUER,
    });
    if realm == Realm::Federated {
        let base = format!("{}/adfs/services/trust", federation.origin());
        answer["federation_protocol"] = json!("WSTrust");
        answer["federation_metadata_url"] = json!(format!("{base}/mex"));
        answer["federation_active_auth_url"] = json!(format!("{base}/2005/usernamemixed"));
    }
    in_json(&answer)
}
