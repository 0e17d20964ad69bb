//! Checks each account by itself: whether it signs in to Exchange, and whether it can open a mailbox of the set.

use std::time::Duration;

use larder_sdk::{Error, ErrorKind, Finding, FindingLevel};

use super::{
    Exchange,
    client::{Asked, Client, Failure},
    discover::first_named,
    requests,
};
use crate::{
    error::{finding_of, good},
    options::{Access, Service},
    pool::AccountId,
};

/// Longest time one account's check takes.
const CHECK_MAX: Duration = Duration::from_mins(1);

/// See [`Exchange::validate`].
pub(super) async fn validate(exchange: &Exchange) -> Vec<Finding> {
    let accounts = exchange.pool.accounts(Service::Exchange);
    let mut findings = Vec::with_capacity(accounts.len());
    for account in &accounts {
        let check = tokio::time::timeout(CHECK_MAX, check(exchange, *account));
        findings.push(check.await.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Unavailable, "Exchange gave no answer in time");
            finding_of(&error, FindingLevel::Error, exchange.pool.shown(*account), "no-answer")
        }));
    }
    findings
}

async fn check(exchange: &Exchange, account: AccountId) -> Finding {
    let subject = exchange.pool.shown(account);
    let mailbox = match exchange.options.access {
        Access::Own => Some(exchange.pool.user(account).to_lowercase()),
        Access::Impersonation | Access::Delegate => first_named(exchange).await,
    };
    let Some(mailbox) = mailbox else {
        return match sign_in(exchange, account).await {
            Ok(()) => good(subject, "signed-in", "signs in to Exchange"),
            Err(failure) => {
                finding_of(&failure.error("Exchange"), FindingLevel::Error, subject, "exchange-refused")
            }
        };
    };
    let client =
        Client::alone(&exchange.pool, &exchange.url, account, Some(&mailbox), exchange.options.access);
    match client.call_one(&requests::get_folder(&[client.known("msgfolderroot")])).await {
        Ok(_) => good(subject, "mailbox-opened", format!("signs in to Exchange and opens {mailbox}")),
        Err(failure) => finding_of(
            &failure.error(&format!("opening {mailbox}")),
            FindingLevel::Error,
            subject,
            "mailbox-refused",
        ),
    }
}

/// The address book answers anybody who signs in.
async fn sign_in(exchange: &Exchange, account: AccountId) -> Asked<()> {
    let client = Client::alone(&exchange.pool, &exchange.url, account, None, Access::Own);
    match client.call_one(&requests::resolve_names(exchange.pool.user(account))).await {
        // Any answer of the server means that it let the account in.
        Ok(_) | Err(Failure::Refused(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}
