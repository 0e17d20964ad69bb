//! A security token for a SharePoint host's cookies.

use url::Url;

use super::{Refusal, refusal};
use crate::http::{Expects, Http, HttpError, Request, Response};

/// Cookies that make a session; either of the first two is enough.
const WANTED: [&str; 3] = ["FedAuth", "SPOIDCRL", "rtFa"];
/// The sign-in page serves cookies to browsers.
const BROWSER: &str = "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Win64; x64; Trident/5.0)";

/// How a host offers the second way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) endpoint: Url,
    /// What the token must be for.
    pub(super) applies_to: String,
    pub(super) policy: String,
}

/// The usual way: the token is posted to the sign-in page, which answers with `FedAuth` and `rtFa`.
pub(super) async fn fed_auth(http: &Http, origin: &str, token: &str) -> Result<Option<String>, Refusal> {
    let url = parse(&format!("{origin}/_forms/default.aspx?wa=wsignin1.0"))?;
    let request = Request::post(url, Expects::Any, token.to_owned())
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("User-Agent", BROWSER);
    tried(http.send(request).await)
}

/// Asks whether the host offers the second way.
pub(super) async fn idcrl_offer(http: &Http, origin: &str) -> Result<Option<Offer>, Refusal> {
    let request = Request::get(parse(&format!("{origin}/_vti_bin/idcrl.svc/"))?, Expects::Any)
        .header("X-IDCRL_ACCEPTED", "t");
    let response = http.send(request).await.map_err(unavailable)?;
    let asked = response.headers("www-authenticate");
    let text = asked.iter().find_map(|value| value.trim().strip_prefix("IDCRL ")).or_else(|| {
        response.header("x-idcrl_auth_params_v1").map(|value| value.trim_start_matches("IDCRL "))
    });
    Ok(text.and_then(|text| offer(origin, text)))
}

/// The second way: the token as a header, answered with `SPOIDCRL`.
pub(super) async fn idcrl(http: &Http, offer: &Offer, token: &str) -> Result<Option<String>, Refusal> {
    let request = Request::get(offer.endpoint.clone(), Expects::Any)
        .header("Authorization", format!("BPOSIDCRL {token}"))
        .header("X-IDCRL_ACCEPTED", "t");
    tried(http.send(request).await)
}

/// True if an answer says that legacy authentication or the device is blocked.
pub(super) fn is_blocked(response: &Response) -> bool {
    response.header("x-msdavext_error").is_some_and(|text| text.trim_start().starts_with("917656"))
}

pub(super) fn offer(origin: &str, text: &str) -> Option<Offer> {
    let value = |name: &str| {
        let start = text.find(&format!("{name}=\""))? + name.len() + 2;
        text[start..].split('"').next().filter(|value| !value.is_empty())
    };
    Some(Offer {
        endpoint: Url::parse(origin).ok()?.join(value("EndPoint").unwrap_or("/_vti_bin/idcrl.svc/")).ok()?,
        applies_to: value("RootDomain")?.to_owned(),
        policy: value("Policy").unwrap_or("MBI").to_owned(),
    })
}

/// Success is a cookie, the `Cookie` header's value, never printed; the status decides nothing, except that the host may be too busy to
/// tell.
fn tried(answer: Result<Response, HttpError>) -> Result<Option<String>, Refusal> {
    let response = answer.map_err(unavailable)?;
    let cookies = pick(&response.headers("set-cookie"));
    match (response.status(), response.header("retry-after").and_then(|text| text.trim().parse().ok())) {
        (429 | 503, Some(seconds)) => Err(Refusal::Throttled(std::time::Duration::from_secs(seconds))),
        (500..=599, _) if cookies.is_none() => Err(Refusal::Account(refusal::unavailable(&format!(
            "{} answered {}",
            response.url(),
            response.status()
        )))),
        _ => Ok(cookies),
    }
}

/// The `Cookie` header made of an answer's `Set-Cookie` headers; `None` without a session among them.
pub(super) fn pick(set_cookies: &[&str]) -> Option<String> {
    let pair = |name: &str| {
        set_cookies.iter().find_map(|header| {
            let (found, value) = header.split(';').next()?.trim().split_once('=')?;
            let plain = !value.is_empty() && !value.contains(|char: char| char.is_control());
            (found.eq_ignore_ascii_case(name) && plain).then(|| format!("{name}={value}"))
        })
    };
    let found: Vec<String> = WANTED.iter().filter_map(|name| pair(name)).collect();
    found.iter().any(|cookie| !cookie.starts_with("rtFa=")).then(|| found.join("; "))
}

fn parse(url: &str) -> Result<Url, Refusal> {
    Url::parse(url).map_err(|error| Refusal::Account(refusal::unavailable(&error.to_string())))
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function to map errors with")]
fn unavailable(error: HttpError) -> Refusal {
    Refusal::Account(refusal::unreachable(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_cookie_is_success() {
        let both = pick(&["rtFa=A; domain=x; path=/; HttpOnly", "FedAuth=77u/B==; expires=never", "other=1"]);
        assert_eq!(both.as_deref(), Some("FedAuth=77u/B==; rtFa=A"));
        assert_eq!(pick(&["SPOIDCRL=77u/C; path=/; secure"]).as_deref(), Some("SPOIDCRL=77u/C"));
        assert_eq!(pick(&["rtFa=A", "FedAuth=; expires=past"]), None);
        assert_eq!(pick(&[]), None);
    }

    #[test]
    fn the_second_way_is_offered_in_a_header() {
        let text =
            r#"Type="BPOSIDCRL", EndPoint="/_vti_bin/idcrl.svc/", RootDomain="sharepoint.com", Policy="MBI""#;
        let offer = offer("https://contoso.sharepoint.com", text).unwrap();
        assert_eq!(offer.endpoint.as_str(), "https://contoso.sharepoint.com/_vti_bin/idcrl.svc/");
        assert_eq!((offer.applies_to.as_str(), offer.policy.as_str()), ("sharepoint.com", "MBI"));
        assert!(super::offer("https://c", "Type=\"x\"").is_none());
    }
}
