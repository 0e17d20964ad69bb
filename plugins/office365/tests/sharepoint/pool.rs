//! The pool: throttles, accounts that fail, sessions that end.

use std::time::{Duration, Instant};

use larder_sdk::{ErrorKind, FindingLevel, Source as _};
use larder_tenant::TenantOptions;
use larder_tenant::account::{AccountState, Mfa, Refusal};
use larder_tenant::fault::{FaultKind, FaultRule};
use larder_tenant::gate::{Service, Throttle};
use serde_json::json;

use crate::{
    keeper::Keeper,
    support::{Bench, joined},
};

const PAUSE: Throttle = Throttle {
    per_second: Some(100.0),
    burst: 20,
    max_concurrent: Some(4),
    penalty_ms: 1000,
    grace_ms: 50,
    latency_ms: 5,
    status: 429,
};

#[tokio::test(flavor = "multi_thread")]
async fn no_request_comes_inside_a_back_off() {
    for status in [429, 503] {
        let bench = Bench::start(TenantOptions {
            throttle: Throttle { status, ..PAUSE },
            ..TenantOptions::default()
        })
        .await;
        let mut keeper = Keeper::default();
        keeper.run(&bench.source()).await.unwrap();
        assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
        let counters = bench.tenant.counters();
        assert!(counters.throttled.values().sum::<u64>() > 0, "the throttle was met");
        assert_eq!(counters.inside_backoff, std::collections::BTreeMap::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_shared_evenly() {
    let bench = Bench::start(TenantOptions::default()).await;
    Keeper::default().run(&bench.source()).await.unwrap();
    let counters = bench.tenant.counters();
    let counts: Vec<u64> = counters
        .requests
        .iter()
        .filter(|(user, _)| !user.is_empty())
        .map(|(_, services)| services[Service::SharePoint.name()].values().sum())
        .collect();
    let (least, most) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
    assert_eq!(counts.len(), 3);
    assert!(least * 10 >= most * 8, "{counts:?}");
}

/// Three accounts against one under the same throttle. The bound here is loose, for machines that are busy with other things; what
/// was measured is printed.
#[tokio::test(flavor = "multi_thread")]
async fn three_accounts_are_faster_than_one() {
    let mut took = Vec::new();
    for accounts in [1, 3] {
        let throttle = Throttle { per_second: Some(20.0), burst: 5, penalty_ms: 1000, ..PAUSE };
        let mut bench = Bench::start(TenantOptions { accounts, throttle, ..TenantOptions::default() }).await;
        bench.options["sharepoint"]["sites"] = json!(["/"]);
        let started = Instant::now();
        Keeper::default().run(&bench.source()).await.unwrap();
        took.push(started.elapsed());
        assert_eq!(bench.tenant.counters().inside_backoff, std::collections::BTreeMap::new());
    }
    let gain = took[0].as_secs_f64() / took[1].as_secs_f64();
    println!("one account {:?}, three {:?}: {gain:.2} times as fast", took[0], took[1]);
    assert!(gain > 2.0, "{gain:.2}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_revoked_in_mid_run_is_set_aside_and_the_others_finish() {
    let throttle = Throttle { latency_ms: 10, ..Throttle::default() };
    let bench = Bench::start(TenantOptions { throttle, ..TenantOptions::default() }).await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(bench.tenant.revoke("backup1@contoso.example"));
    };
    let (ran, ()) = futures::join!(keeper.run(&source), revoke);
    ran.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    let lines = bench.keys.lines();
    assert!(lines.iter().any(|line| line.contains("backup1@") && line.contains("set aside")), "{lines:?}");
    assert!(
        bench.tenant.counters().sign_ins["backup1@contoso.example"] <= 5,
        "a refused password is not tried in a loop"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_no_account_is_left_each_reason_is_told() {
    let mut bench = Bench::start(TenantOptions { accounts: 2, ..TenantOptions::default() }).await;
    bench.set_password("backup1@contoso.example", "wrong");
    bench.tenant.shared().accounts.update("backup2@contoso.example", |account| {
        account.state = AccountState::Refused(Refusal::PolicyBlock);
    });
    let error = bench.source().discover().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    for part in ["backup1@", "password is wrong", "backup2@", "access policies"] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    assert!(!error.message().contains("wrong\"") && error.hint().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn validate_tells_the_refusals_apart() {
    let mut bench = Bench::start(TenantOptions { accounts: 3, ..TenantOptions::default() }).await;
    let normal = bench.tenant.shared().accounts.get("backup2@contoso.example").unwrap().password;
    bench.set_password("backup2@contoso.example", &normal);
    bench.tenant.shared().accounts.update("backup3@contoso.example", |account| {
        account.mfa = Mfa::Enabled;
        account.state = AccountState::Refused(Refusal::NoToken);
    });
    let findings = bench.source().validate().await.unwrap();
    let of = |user: &str| findings.iter().find(|finding| finding.subject.starts_with(user)).unwrap();
    assert_eq!((of("backup1").level, of("backup1").code.as_str()), (FindingLevel::Good, "sharepoint-ok"));
    assert_eq!(
        (of("backup2").level, of("backup2").code.as_str()),
        (FindingLevel::Error, "mfa-not-app-password")
    );
    assert_eq!(of("backup3").code, "token-withheld");
    assert!(!format!("{findings:?}").contains(&normal), "no secret is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_end_in_mid_run_are_renewed_once_each() {
    let bench = Bench::start(TenantOptions::default()).await;
    let mut expire = FaultRule::new(FaultKind::ExpireSession);
    expire.service = Some(Service::SharePoint);
    (expire.nth, expire.times) = (Some(40), Some(2));
    bench.tenant.faults().add(expire);
    let mut login = FaultRule::new(FaultKind::LoginPage);
    login.service = Some(Service::SharePoint);
    (login.nth, login.times) = (Some(90), Some(1));
    bench.tenant.faults().add(login);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    let counters = bench.tenant.counters();
    assert_eq!(counters.faults, 3);
    let sign_ins: u64 = counters.sign_ins.values().sum();
    // Three accounts at three hosts, and a renewal per fault and host at most.
    assert!((10..=15).contains(&sign_ins), "{sign_ins} sign-ins");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_closed_to_one_account_is_read_by_another() {
    let bench = Bench::start(TenantOptions::default()).await;
    let found = bench.source().discover().await.unwrap();
    let sites = found.containers.iter().map(|container| joined(&container.path[1..]));
    let site = sites.into_iter().find(|path| path.starts_with("/sites/")).unwrap();
    for user in ["backup1@contoso.example", "backup2@contoso.example"] {
        bench.tenant.shared().accounts.update(user, |account| {
            account.denied_sites.insert(site.clone());
        });
    }
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());

    bench.tenant.shared().accounts.update("backup3@contoso.example", |account| {
        account.denied_sites.insert(site.clone());
    });
    let mut bench = bench;
    bench.options["sharepoint"]["sites"] = json!([site]);
    let found = bench.source().discover().await.unwrap();
    assert!(found.containers.is_empty());
    assert_eq!(found.findings[0].code, "site-denied");
}
