//! Checks of a set before it runs: what each account can do, and what of the options is not built.

use std::sync::Arc;

use futures::future::join_all;
use larder_sdk::{Finding, FindingLevel};

use crate::{
    auth::{Realm, federated, no_tenant},
    options::{ExchangeOptions, Hosts, Service},
    pool::Pool,
    sharepoint,
};

/// What the login host knows of the accounts' domains. Good news is left out: sign-in says more.
pub(crate) async fn domains(pool: &Arc<Pool>) -> Vec<Finding> {
    let accounts = pool.accounts(Service::SharePoint);
    let asked = accounts.iter().map(|account| async move {
        let subject = pool.shown(*account);
        match pool.sign_in(*account).realm().await {
            Ok(Realm::Unknown) => Some(no_tenant().finding(FindingLevel::Error, subject)),
            Ok(Realm::Federated { provider }) => {
                Some(federated(provider.as_deref()).finding(FindingLevel::Warning, subject))
            }
            // A login host that cannot be reached fails sign-in as well, with the same words.
            Ok(Realm::Managed) | Err(_) => None,
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
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
