//! Checks of a set before it runs: what each account can do, and what of the options is not built.

use std::{sync::Arc, time::SystemTime};

use futures::future::join_all;
use larder_sdk::{Finding, FindingLevel};

use crate::{
    auth::{Realm, Way, federated},
    codes,
    error::Explanation,
    options::{ExchangeOptions, Hosts, Service},
    pool::{AccountId, Pool},
    sharepoint,
};

/// What the login host knows of the accounts' domains, and what an application's certificate says. Good news is left out: sign-in says
/// more.
pub(crate) async fn accounts(pool: &Arc<Pool>) -> Vec<Finding> {
    let mut accounts = pool.accounts(Service::SharePoint);
    accounts.extend(pool.accounts(Service::Exchange));
    accounts.sort_unstable();
    accounts.dedup();
    let asked = accounts.into_iter().map(|account| account_findings(pool, account));
    join_all(asked).await.into_iter().flatten().collect()
}

async fn account_findings(pool: &Arc<Pool>, account: AccountId) -> Option<Finding> {
    let (subject, sign_in) = (pool.shown(account), pool.sign_in(account));
    match sign_in.way() {
        Way::Oauth(application) => {
            let why = application.certificate_ends(SystemTime::now())?;
            let expired = why.code == codes::OAUTH_CERTIFICATE_EXPIRED.code;
            let level = if expired { FindingLevel::Error } else { FindingLevel::Warning };
            Some(why.finding(level, subject))
        }
        // On premises nobody asks the cloud; and the cloud is asked for SharePoint alone.
        Way::Office365(_) | Way::Adfs(_) if pool.accounts(Service::SharePoint).contains(&account) => {
            match sign_in.realm().await {
                Ok(Realm::Unknown) => {
                    Some(Explanation::of(codes::NO_TENANT).finding(FindingLevel::Error, subject))
                }
                Ok(Realm::Federated(federation)) if matches!(sign_in.way(), Way::Office365(_)) => {
                    Some(federated(federation.host.as_deref()).finding(FindingLevel::Warning, subject))
                }
                // A login host that cannot be reached fails sign-in as well, with the same words.
                Ok(Realm::Managed | Realm::Federated(_)) | Err(_) => None,
            }
        }
        _ => None,
    }
}

/// Whether each account signs in to SharePoint.
pub(crate) async fn sharepoint(pool: &Arc<Pool>, hosts: &Hosts) -> Vec<Finding> {
    let accounts = pool.accounts(Service::SharePoint);
    let checks = accounts.into_iter().map(|account| sharepoint::check(pool, hosts, account));
    join_all(checks).await
}

/// What of Exchange's options has no effect yet.
pub(crate) fn exchange(options: &ExchangeOptions) -> Vec<Finding> {
    let message = "public folders are not read yet";
    let hint = "write public_folders = false to silence this";
    let finding =
        options.public_folders.then(|| unbuilt(Service::Exchange, "public-folders-not-read", message, hint));
    finding.into_iter().collect()
}

fn unbuilt(service: Service, code: &str, message: &str, hint: &str) -> Finding {
    Finding {
        level: FindingLevel::Warning,
        subject: service.as_str().to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    }
}
