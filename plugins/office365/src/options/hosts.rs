//! Where the services are: Microsoft's hosts for a cloud and tenant, each of which the config may replace.

use larder_sdk::{Error, ErrorKind, Result};
use url::{Host, Url};

use super::{Cloud, Options};

/// Addresses of the services, checked: https, or plain http on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    pub(crate) login: Url,
    /// The tenant as the login host names it: `contoso.onmicrosoft.com`, or its id.
    pub(crate) authority: String,
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
    const ALL: [Self; 4] = [Self::Worldwide, Self::GccHigh, Self::Dod, Self::China];

    /// True if a host is Exchange Online's, in any cloud: there nobody signs in with a password.
    pub(crate) fn is_exchange_online(host: &str) -> bool {
        Self::ALL.iter().any(|cloud| host.eq_ignore_ascii_case(cloud.hosts().exchange))
    }

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
            authority: authority(&options.tenant, cloud.tenant_suffix)?,
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

/// A name without a dot is the first part of the tenant's own domain; ids and domains are what they are.
fn authority(tenant: &str, suffix: &str) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if tenant.is_empty() || !tenant.bytes().all(plain) {
        return Err(Error::new(
            ErrorKind::Configuration,
            format!("tenant {tenant:?} is neither a domain nor an id: write it as NAME{suffix}"),
        ));
    }
    let is_id = tenant.len() == 36 && tenant.split('-').count() == 5;
    Ok(if tenant.contains('.') || is_id { tenant.to_owned() } else { format!("{tenant}{suffix}") })
}

fn checked(key: &str, text: &str) -> Result<Url> {
    let wrong = |why: &str| Error::new(ErrorKind::Configuration, format!("endpoints.{key} {text:?} {why}"));
    let url = Url::parse(text).map_err(|error| wrong("is no URL").with_source(error))?;
    match url.scheme() {
        _ if is_private(&url) => {}
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

/// True if nobody on the way can read what is sent there.
pub(crate) fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
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

    /// The table of auth.md section 6.
    #[test]
    fn hosts_follow_from_cloud_and_tenant() {
        let clouds = [
            (
                "worldwide",
                "onmicrosoft.com",
                "login.microsoftonline.com",
                "sharepoint.com",
                "outlook.office365.com",
            ),
            (
                "gcc-high",
                "onmicrosoft.us",
                "login.microsoftonline.us",
                "sharepoint.us",
                "outlook.office365.us",
            ),
            ("dod", "onmicrosoft.us", "login.microsoftonline.us", "sharepoint-mil.us", "webmail.apps.mil"),
            (
                "china",
                "partner.onmschina.cn",
                "login.chinacloudapi.cn",
                "sharepoint.cn",
                "partner.outlook.cn",
            ),
        ];
        for (cloud, domain, login, sharepoint, exchange) in clouds {
            for tenant in [format!("contoso.{domain}"), "contoso".to_owned()] {
                let here = hosts(&tenant, &format!(r#","cloud":"{cloud}""#)).unwrap();
                assert_eq!(here.login.as_str(), format!("https://{login}/"));
                assert_eq!(here.authority, format!("contoso.{domain}"));
                assert_eq!(here.sharepoint.as_str(), format!("https://contoso.{sharepoint}/"));
                assert_eq!(here.my.as_str(), format!("https://contoso-my.{sharepoint}/"));
                assert_eq!(here.exchange.as_str(), format!("https://{exchange}/EWS/Exchange.asmx"));
                assert!(Cloud::is_exchange_online(exchange));
            }
        }
        assert!(!Cloud::is_exchange_online("mail.contoso.com"));
        assert!(hosts("contoso.onmicrosoft.com/x", "").is_err(), "it becomes part of an address");
    }

    /// The default is derived from the tenant; who knows better writes it, with MFA or without: a vanity host tells nothing.
    #[test]
    fn s3_5_the_admin_centre_is_derived_or_written() {
        let here = hosts("contoso.onmicrosoft.com", "").unwrap();
        assert_eq!(here.admin.as_str(), "https://contoso-admin.sharepoint.com/");
        let custom = hosts("contoso", r#","admin_url":"https://admin.contoso.example""#).unwrap();
        assert_eq!(custom.admin.as_str(), "https://admin.contoso.example/");
        let error = hosts("contoso.example", "").unwrap_err();
        assert!(error.message().contains("does not tell the SharePoint host"), "{error}");
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
