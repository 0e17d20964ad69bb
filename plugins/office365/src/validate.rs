//! Checks of a set before it runs: what each account can do.

use std::{sync::Arc, time::SystemTime};

use futures::future::join_all;
use larder_sdk::{Finding, FindingLevel};

use crate::{
    auth::{Realm, Way, federated},
    codes,
    error::Explanation,
    options::{Hosts, Service, SharePointOptions},
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

/// A refused sign-in as a finding. What may only be too new is no alarm yet.
pub(crate) fn refusal(pool: &Pool, account: AccountId, why: Explanation) -> Finding {
    let why = pool.judge(account, why);
    let new = why.code == codes::NOT_YET_IN_EFFECT.code;
    why.finding(if new { FindingLevel::Warning } else { FindingLevel::Error }, pool.shown(account))
}

/// Whether each account signs in to SharePoint and opens a site of the set.
pub(crate) async fn sharepoint(pool: &Arc<Pool>, hosts: &Hosts, options: &SharePointOptions) -> Vec<Finding> {
    let accounts = pool.accounts(Service::SharePoint);
    let checks = accounts.into_iter().map(|account| sharepoint::check(pool, hosts, options, account));
    join_all(checks).await.into_iter().flatten().collect()
}
