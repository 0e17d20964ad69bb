//! Checks one account by itself: whether it signs in to SharePoint, opens a site of the set, and is let into the admin centre.

use std::{sync::Arc, time::Duration};

use larder_sdk::{Error, ErrorKind, Finding, FindingLevel};

use super::{
    discover::{first_named, origin},
    web::{Form, Web},
};
use crate::{
    auth::Way,
    codes,
    error::{Explanation, finding_of, good},
    options::{Hosts, Service, SharePointOptions},
    pool::{AccountId, Caller, Pool},
    validate::refusal,
};

/// Longest time one account's check takes.
const CHECK_MAX: Duration = Duration::from_mins(1);

/// What is to be said of an account at SharePoint, the most important first.
pub(crate) async fn check(
    pool: &Arc<Pool>,
    hosts: &Hosts,
    options: &SharePointOptions,
    account: AccountId,
) -> Vec<Finding> {
    let checked = tokio::time::timeout(CHECK_MAX, checked(pool, hosts, options, account));
    checked.await.unwrap_or_else(|_| {
        let why = Explanation::of(codes::NO_ANSWER).saying("SharePoint");
        vec![why.finding(FindingLevel::Error, pool.shown(account))]
    })
}

async fn checked(
    pool: &Arc<Pool>,
    hosts: &Hosts,
    options: &SharePointOptions,
    account: AccountId,
) -> Vec<Finding> {
    let named = first_named(hosts, options);
    let host = if named.as_ref().is_some_and(|site| site.on_my) { &hosts.my } else { &hosts.sharepoint };
    // Signing in comes first and by itself: what is refused there has words of its own.
    if let Err(why) = pool.sign_in(account).session(Service::SharePoint, host).await {
        return vec![refusal(pool, account, why.explanation())];
    }
    let mut findings = vec![site(pool, host, named.map(|site| site.url), account).await];
    if findings[0].level != FindingLevel::Error && options.sites.iter().any(|glob| glob.contains(['*', '?']))
    {
        findings.extend(admin_centre(pool, hosts, account).await);
    }
    findings
}

fn web(pool: &Arc<Pool>, url: &str, account: AccountId) -> Web {
    Web::new(url, Caller::only(pool, Service::SharePoint, account))
}

/// Opens the first site that the set names, or the root.
async fn site(pool: &Arc<Pool>, host: &url::Url, named: Option<String>, account: AccountId) -> Finding {
    let subject = pool.shown(account);
    let url = named.clone().unwrap_or_else(|| origin(host));
    let asked = web(pool, &url, account).get("web?$select=Id,Title", Form::Bare).await;
    let Err(error) = asked else {
        let message = format!("signs in to SharePoint and reads {url}");
        return good(subject, codes::SHAREPOINT_OK.code, message);
    };
    let application = matches!(pool.sign_in(account).way(), Way::Oauth(_));
    let level = if named.is_some() { FindingLevel::Error } else { FindingLevel::Warning };
    match error.kind() {
        ErrorKind::Denied if application => {
            Explanation::of(codes::OAUTH_NOT_PERMITTED).saying(&url).finding(level, subject)
        }
        ErrorKind::Denied if named.is_some() => {
            Explanation::of(codes::SITE_DENIED).saying(&url).finding(level, subject)
        }
        ErrorKind::NotFound if named.is_some() => {
            Explanation::of(codes::SITE_GONE).saying(&url).finding(level, subject)
        }
        ErrorKind::Denied | ErrorKind::NotFound => {
            good(subject, codes::SHAREPOINT_SIGNED_IN.code, codes::SHAREPOINT_SIGNED_IN.sentence)
        }
        _ => finding_of(&error, FindingLevel::Error, subject, codes::SHAREPOINT_UNREACHABLE.code),
    }
}

/// The admin centre lists all sites to those it lets in; for others nothing is lost but that list.
async fn admin_centre(pool: &Arc<Pool>, hosts: &Hosts, account: AccountId) -> Option<Finding> {
    let asked = web(pool, &origin(&hosts.admin), account).get("web?$select=Id", Form::Bare).await;
    let refused = |error: &Error| matches!(error.kind(), ErrorKind::Denied | ErrorKind::Authentication);
    let closed = asked.is_err_and(|error| refused(&error));
    let code = codes::ADMIN_CENTRE_CLOSED;
    closed.then(|| good(pool.shown(account), code.code, code.sentence))
}
