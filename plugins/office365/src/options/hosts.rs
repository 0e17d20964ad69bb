//! Where the services are: Microsoft's hosts for a cloud and tenant, each of which the config may replace.

use larder_sdk::{Error, ErrorKind, Result};
use url::{Host, Url};

use super::{Cloud, Options};

/// Addresses of the services, checked: https, or plain http on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    pub(crate) login: Url,
    pub(crate) sharepoint: Url,
    /// The host of personal (OneDrive) sites.
    pub(crate) my: Url,
    pub(crate) admin: Url,
    /// The full address of Exchange Web Services.
    pub(crate) exchange: Url,
    /// True if everything is on this machine, so that no proxy stands between.
    pub(crate) loopback: bool,
}

/// What is known of a cloud: login host, SharePoint suffix, Exchange host, and the suffix of tenant names.
struct CloudHosts {
    login: &'static str,
    sharepoint_suffix: &'static str,
    exchange: &'static str,
    tenant_suffix: &'static str,
}

impl Cloud {
    fn hosts(self) -> CloudHosts {
        let (login, sharepoint_suffix, exchange, tenant_suffix) = match self {
            Self::Worldwide => {
                ("login.microsoftonline.com", "sharepoint.com", "outlook.office365.com", ".onmicrosoft.com")
            }
            Self::GccHigh => {
                ("login.microsoftonline.us", "sharepoint.us", "outlook.office365.us", ".onmicrosoft.us")
            }
            Self::Dod => {
                ("login.microsoftonline.us", "sharepoint-mil.us", "webmail.apps.mil", ".onmicrosoft.us")
            }
            Self::China => {
                ("login.chinacloudapi.cn", "sharepoint.cn", "partner.outlook.cn", ".partner.onmschina.cn")
            }
        };
        CloudHosts { login, sharepoint_suffix, exchange, tenant_suffix }
    }
}

impl Hosts {
    /// The addresses for a set's options.
    pub(crate) fn of(options: &Options) -> Result<Self> {
        let cloud = options.cloud.hosts();
        let given = &options.endpoints;
        let short = short_name(&options.tenant, cloud.tenant_suffix);
        let derived = |key: &str, part: &str| match short {
            Some(short) => Ok(format!("https://{short}{part}.{}", cloud.sharepoint_suffix)),
            None => Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "tenant {:?} does not tell the SharePoint host: write it as NAME{} or set endpoints.{key}",
                    options.tenant, cloud.tenant_suffix
                ),
            )),
        };
        let or_derived = |key: &str, given: Option<&String>, part: &str| {
            given.cloned().map_or_else(|| derived(key, part), Ok).and_then(|text| checked(key, &text))
        };
        let or_cloud = |key: &str, given: Option<&String>, host: &str, path: &str| {
            checked(key, &given.cloned().unwrap_or_else(|| format!("https://{host}{path}")))
        };
        let admin = options.admin_url.as_ref().or(given.admin.as_ref());
        if let Some(graph) = &given.graph {
            checked("graph", graph)?;
        }
        let mut hosts = Self {
            login: or_cloud("login", given.login.as_ref(), cloud.login, "")?,
            sharepoint: or_derived("sharepoint", given.sharepoint.as_ref(), "")?,
            my: or_derived("my", given.my.as_ref(), "-my")?,
            admin: or_derived("admin", admin, "-admin")?,
            exchange: or_cloud("exchange", given.exchange.as_ref(), cloud.exchange, "/EWS/Exchange.asmx")?,
            loopback: false,
        };
        if hosts.exchange.path() == "/" {
            hosts.exchange.set_path("/EWS/Exchange.asmx");
        }
        hosts.loopback = [&hosts.login, &hosts.sharepoint, &hosts.my, &hosts.admin, &hosts.exchange]
            .into_iter()
            .all(is_loopback);
        Ok(hosts)
    }
}

/// `contoso` of `contoso.onmicrosoft.com`, or a name without a dot as it is.
fn short_name<'a>(tenant: &'a str, suffix: &str) -> Option<&'a str> {
    let short = tenant.strip_suffix(suffix).unwrap_or(tenant);
    (!short.is_empty() && short.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .then_some(short)
}

fn checked(key: &str, text: &str) -> Result<Url> {
    let wrong = |why: &str| Error::new(ErrorKind::Configuration, format!("endpoints.{key} {text:?} {why}"));
    let url = Url::parse(text).map_err(|error| wrong("is no URL").with_source(error))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        "http" => {
            return Err(wrong(
                "is plain http, which is allowed on loopback only: passwords would travel readable",
            ));
        }
        _ => return Err(wrong("is neither https nor http")),
    }
    if url.host().is_none() || url.query().is_some() || !url.username().is_empty() || url.password().is_some()
    {
        return Err(wrong("must hold a host and at most a path"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(tenant: &str, extra: &str) -> Result<Hosts> {
        let json =
            format!(r#"{{"tenant":"{tenant}","accounts":[{{"user":"a","password":{{"env":"P"}}}}]{extra}}}"#);
        Hosts::of(&Options::parse(&json)?)
    }

    #[test]
    fn hosts_follow_from_cloud_and_tenant() {
        let here = hosts("contoso.onmicrosoft.com", "").unwrap();
        assert_eq!(here.sharepoint.as_str(), "https://contoso.sharepoint.com/");
        assert_eq!(here.my.as_str(), "https://contoso-my.sharepoint.com/");
        assert_eq!(here.admin.as_str(), "https://contoso-admin.sharepoint.com/");
        assert_eq!(here.exchange.as_str(), "https://outlook.office365.com/EWS/Exchange.asmx");
        let china = hosts("contoso.partner.onmschina.cn", r#","cloud":"china""#).unwrap();
        assert_eq!(china.sharepoint.as_str(), "https://contoso.sharepoint.cn/");
        assert_eq!(china.login.as_str(), "https://login.chinacloudapi.cn/");
    }

    #[test]
    fn plain_http_only_on_loopback() {
        let local = r#","endpoints":{"login":"http://127.0.0.1:1","sharepoint":"http://[::1]:2","my":"http://localhost:3",
            "admin":"http://127.0.0.1:4","exchange":"http://127.0.0.1:5"}"#;
        let here = hosts("contoso", local).unwrap();
        assert!(here.loopback);
        assert_eq!(here.exchange.as_str(), "http://127.0.0.1:5/EWS/Exchange.asmx");
        let error = hosts("contoso", r#","endpoints":{"login":"http://example.com"}"#).unwrap_err();
        assert!(error.message().contains("endpoints.login"), "{error}");
        assert!(hosts("contoso.example", "").unwrap_err().message().contains("endpoints.sharepoint"));
    }
}
