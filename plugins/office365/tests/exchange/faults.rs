//! What goes wrong at the server costs what it must and no more.

use std::time::Duration;

use larder_sdk::{ErrorKind, FindingLevel, Source as _};
use larder_tenant::{
    TenantOptions,
    fault::FaultKind,
    gate::{Service, Throttle},
};
use serde_json::json;

use crate::{keeper::Keeper, support::Bench};

const ANN: &str = "ann@contoso.example";

fn item(code: &str) -> FaultKind {
    FaultKind::Item { status: 500, code: code.to_owned() }
}

fn of_ann(bench: &Bench) -> Vec<serde_json::Value> {
    bench.manifest().into_iter().filter(|line| line["mailbox"] == ANN).collect()
}

/// An id of a message in the mailbox, found by reading it once.
async fn some_message(bench: &Bench) -> String {
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let message = keeper.items().into_iter().find(|kept| kept.item.kind.as_str() == "message").unwrap();
    message.item.id.display().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_is_owed_and_read_once_it_can_be() {
    let bench = Bench::one_mailbox(ANN).await;
    let bad = some_message(&bench).await;
    bench.fault("GetItem", item("ErrorCorruptData"), |rule| rule.item = Some(bad.clone()));
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let owed = keeper.owed();
    assert!(owed.len() == 1 && owed[0].contains("ErrorCorruptData"), "{owed:?}");
    let missing = keeper.differences(&of_ann(&bench));
    assert_eq!(missing.len(), 1, "{missing:?}");

    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.holdings.values().next().unwrap().owed()[0].tries, 2, "tried again, and owed still");

    bench.tenant.faults().clear();
    let before = bench.tenant.counters();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    assert_eq!(keeper.differences(&of_ann(&bench)), [""; 0]);
    assert!(keeper.read().len() == 1 && bench.requests_since(&before, "GetItem") <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_sync_states_cost_a_listing_and_no_content() {
    let bench = Bench::one_mailbox(ANN).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    bench.tenant.exchange().lock().unwrap().expire_sync_states();
    bench.tenant.change(9, 60);
    let before: u64 = bench.tenant.counters().items_fetched.values().sum();
    keeper.run(&bench.source()).await.unwrap();
    assert!(keeper.begun() > 5);
    let sent = bench.tenant.counters().items_fetched.values().sum::<u64>() - before;
    assert!(sent <= 30, "{sent} contents were sent again");
    assert_eq!(keeper.differences(&of_ann(&bench)), [""; 0]);
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.begun(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_goes_out_inside_a_back_off() {
    let throttle =
        Throttle { per_second: Some(60.0), burst: 15, penalty_ms: 700, grace_ms: 100, ..Throttle::default() };
    let mut bench = Bench::start(TenantOptions { throttle, ..TenantOptions::default() }).await;
    bench.options["exchange"] = json!({"mailboxes": [ANN, "bob@contoso.example"]});
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let counters = bench.tenant.counters();
    assert!(counters.throttled.values().sum::<u64>() > 0, "the throttle never struck");
    assert_eq!(counters.inside_backoff.values().sum::<u64>(), 0);
    assert_eq!(keeper.owed(), [""; 0]);
    assert!(
        keeper
            .differences(&bench.manifest())
            .iter()
            .all(|line| !line.contains("ann@") && !line.contains("bob@"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_answers_are_asked_for_again() {
    let bench = Bench::one_mailbox(ANN).await;
    for (nth, kind) in [(2, FaultKind::Drop), (5, FaultKind::Truncate), (9, FaultKind::LoginPage)] {
        for operation in ["GetItem", "SyncFolderItems", "SyncFolderHierarchy"] {
            bench.fault(operation, kind.clone(), |rule| (rule.nth, rule.times) = (Some(nth), Some(1)));
        }
    }
    bench.fault("GetItem", FaultKind::Status { status: 503, retry_after_seconds: Some(1) }, |rule| {
        (rule.nth, rule.times) = (Some(12), Some(1));
    });
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    assert_eq!(keeper.differences(&of_ann(&bench)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_cannot_be_opened_says_why() {
    let bench = Bench::one_mailbox("nobody@contoso.example").await;
    let mut keeper = Keeper::default();
    let error = keeper.run(&bench.source()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert!(error.message().contains("nobody@contoso.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_without_the_right_are_passed_over() {
    let bench = Bench::one_mailbox(ANN).await;
    for number in [1, 2] {
        bench
            .tenant
            .shared()
            .accounts
            .update(&format!("backup{number}@contoso.example"), |account| account.impersonation = false);
    }
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&of_ann(&bench)), [""; 0]);

    let findings = bench.source().validate().await.unwrap();
    let refused: Vec<_> = findings.iter().filter(|finding| finding.level == FindingLevel::Error).collect();
    assert!(
        refused.len() == 2 && refused.iter().all(|finding| finding.code == "ews-impersonate-user-denied"),
        "{findings:#?}"
    );

    bench.tenant.shared().accounts.update("backup3@contoso.example", |account| account.impersonation = false);
    let error = Keeper::default().run(&bench.source()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Denied, Some("ews-impersonate-user-denied")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_mailbox_server_is_waited_for() {
    let bench = Bench::one_mailbox(ANN).await;
    bench.fault("GetFolder", FaultKind::Status { status: 503, retry_after_seconds: None }, |rule| {
        rule.times = Some(2);
    });
    let before = std::time::Instant::now();
    Keeper::default().run(&bench.source()).await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(500));
    assert!(bench.tenant.counters().operation(Service::Exchange, "GetFolder") >= 3);
}
