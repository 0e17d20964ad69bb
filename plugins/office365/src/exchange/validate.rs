//! Checks each account by itself: whether it signs in to Exchange, and whether it can open a mailbox of the set.

use std::time::Duration;

use futures::future::join_all;
use larder_sdk::{Finding, FindingLevel};
use url::Url;

use super::{Exchange, client::Client, discover::first_named, requests};
use crate::{
    auth::unreachable,
    codes::{self, Code},
    error::{Explanation, finding_of, good},
    http::{Expects, Request},
    options::{Access, Cloud, Fidelity, Service},
    pool::AccountId,
    validate::refusal,
};

/// Longest time one account's check takes.
const CHECK_MAX: Duration = Duration::from_mins(1);
/// When Microsoft switches EWS off in its cloud, for all: 2027-04-01.
const EWS_RETIRED: i64 = 1_806_537_600;

/// See [`Exchange::validate`].
pub(super) async fn validate(exchange: &Exchange) -> Vec<Finding> {
    let accounts = exchange.pool.accounts(Service::Exchange);
    let first = accounts.first().copied();
    let checked = accounts.into_iter().map(|account| async move {
        let check = tokio::time::timeout(CHECK_MAX, check(exchange, account));
        check.await.unwrap_or_else(|_| {
            let why = Explanation::of(codes::NO_ANSWER).saying("Exchange");
            why.finding(FindingLevel::Error, exchange.pool.shown(account))
        })
    });
    let mut findings = join_all(checked).await;
    if exchange.options.fidelity != Fidelity::Mime {
        findings.extend(without_export(exchange, first).await);
    }
    findings
}

/// A warning if the options want what the server does not have.
async fn without_export(exchange: &Exchange, account: Option<AccountId>) -> Option<Finding> {
    let mailbox = match exchange.options.access {
        Access::Own => Some(exchange.pool.user(account?).to_lowercase()),
        Access::Impersonation | Access::Delegate => first_named(exchange).await,
    };
    let client =
        Client::alone(&exchange.pool, &exchange.url, account?, mailbox.as_deref(), exchange.options.access);
    let there = tokio::time::timeout(CHECK_MAX, exchange.exporting.is_there(&client)).await;
    // What keeps the account from asking is told above.
    let Ok(Ok(false)) = there else { return None };
    Some(Explanation::of(codes::EXPORT_UNSUPPORTED).finding(FindingLevel::Warning, "exchange.fidelity"))
}

async fn check(exchange: &Exchange, account: AccountId) -> Finding {
    let subject = exchange.pool.shown(account);
    // First by itself and without patience: the pool would wait for what may pass.
    if let Err(why) = sign_in(exchange, account).await {
        return refusal(&exchange.pool, account, why);
    }
    let mailbox = match exchange.options.access {
        Access::Own => Some(exchange.pool.user(account).to_lowercase()),
        Access::Impersonation | Access::Delegate => first_named(exchange).await,
    };
    let Some(mailbox) = mailbox else {
        return good(subject, codes::SIGNED_IN.code, codes::SIGNED_IN.sentence);
    };
    let client =
        Client::alone(&exchange.pool, &exchange.url, account, Some(&mailbox), exchange.options.access);
    match client.call_one(&requests::get_folder(&[client.known("msgfolderroot")])).await {
        Ok(_) => {
            let message = format!("signs in to Exchange and opens {mailbox}");
            good(subject, codes::MAILBOX_OPENED.code, message)
        }
        Err(failure) => finding_of(
            &failure.error(&format!("opening {mailbox}")),
            FindingLevel::Error,
            subject,
            codes::MAILBOX_REFUSED.code,
        ),
    }
}

/// Asks for the service's page, which every server gives to those it lets in, in one form or another.
async fn sign_in(exchange: &Exchange, account: AccountId) -> Result<(), Explanation> {
    let pool = &exchange.pool;
    let signing = pool.sign_in(account).session(Service::Exchange, &exchange.url).await;
    let session = signing.map_err(crate::auth::Refusal::explanation)?;
    let request = Request::get(exchange.url.clone(), Expects::Any);
    let response = session.send(pool.http(), request).await.map_err(|error| unreachable(&error))?;
    match response.status() {
        401 => Err(session.refused(Service::Exchange, &response)),
        403 => Err(Explanation::of(switched_off(response.url())).saying(response.url())),
        407 => Err(Explanation::of(codes::PROXY_REFUSED).saying(response.url())),
        _ => Ok(()),
    }
}

/// What a 403 means: in Microsoft's cloud EWS goes for good on a day that is known.
pub(super) fn switched_off(url: &str) -> &'static Code {
    switched_off_at(url, jiff::Timestamp::now().as_second())
}

fn switched_off_at(url: &str, now: i64) -> &'static Code {
    let url = Url::parse(url).ok();
    let online = url.as_ref().and_then(Url::host_str).is_some_and(Cloud::is_exchange_online);
    if online && now >= EWS_RETIRED { codes::EWS_RETIRED } else { codes::EWS_SWITCHED_OFF }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ews_ends_on_a_day_and_in_the_cloud_alone() {
        let at = |url: &str, now| switched_off_at(url, now).code;
        let online = "https://outlook.office365.com/EWS/Exchange.asmx";
        assert_eq!(at(online, EWS_RETIRED - 1), "ews-switched-off");
        assert_eq!(at(online, EWS_RETIRED), "ews-retired");
        assert_eq!(at("https://mail.contoso.com/EWS/Exchange.asmx", i64::MAX), "ews-switched-off");
        let day: jiff::Timestamp = "2027-04-01T00:00:00Z".parse().unwrap();
        assert_eq!(day.as_second(), EWS_RETIRED);
    }
}
