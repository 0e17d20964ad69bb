//! What is read: all of it first, then only what changed.

use larder_sdk::{FindingLevel, Source as _, testing::conformance::check_source};
use larder_tenant::TenantOptions;
use larder_tenant::counters::ContentKind;
use larder_tenant::fault::{FaultKind, FaultRule};
use larder_tenant::gate::Service;
use serde_json::json;

use crate::{
    keeper::Keeper,
    support::{Bench, joined},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_equals_the_manifest() {
    let bench = Bench::start(TenantOptions::default()).await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();
    let manifest = bench.manifest();
    assert!(manifest.len() > 300, "{} lines", manifest.len());
    assert_eq!(keeper.differences(&manifest), Vec::<String>::new());
    assert_eq!(keeper.owed(), Vec::<String>::new());
    assert!(bench.keys.lines().is_empty(), "{:?}", bench.keys.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn later_runs_fetch_only_what_changed() {
    let bench = Bench::start(TenantOptions::default()).await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();

    bench.tenant.shared().counters.reset();
    keeper.run(&source).await.unwrap();
    let counters = bench.tenant.counters();
    assert_eq!(counters.items_fetched.len(), 0, "nothing changed: {:?}", counters.items_fetched);
    assert_eq!(keeper.read, 0);

    for seed in 0..3 {
        let before = bench.manifest();
        // Two changes within a second that undo each other are a change all the same.
        bench.tenant.shared().clock.advance_ms(60_000);
        bench.tenant.change(seed, 200);
        let after = bench.manifest();
        bench.tenant.shared().counters.reset();
        keeper.run(&source).await.unwrap();
        assert_eq!(keeper.differences(&after), Vec::<String>::new(), "seed {seed}");
        assert_eq!(keeper.owed(), Vec::<String>::new());
        let counters = bench.tenant.counters();
        for id in counters.items_fetched.keys() {
            // An attachment is counted as its item's id and its name.
            let id = id.split('/').next().unwrap();
            let same =
                |lines: &[serde_json::Value]| lines.iter().find(|line| line["unique_id"] == id).cloned();
            assert_ne!(same(&before), same(&after), "seed {seed}: {id} was fetched and did not change");
        }
        assert!(counters.content_bytes.get(&ContentKind::File).copied().unwrap_or(0) > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_or_too_old_means_a_full_listing_and_no_content() {
    let bench = Bench::start(TenantOptions::default()).await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();

    bench.tenant.change(5, 40);
    let mut refused = FaultRule::new(FaultKind::ChangeTokenRefused);
    refused.service = Some(Service::SharePoint);
    bench.tenant.faults().add(refused);
    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    bench.tenant.faults().clear();

    bench.tenant.change(6, 40);
    bench.tenant.shared().clock.advance_ms(61 * 24 * 3600 * 1000);
    bench.tenant.shared().counters.reset();
    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    let requests = bench.tenant.counters();
    for operation in ["post lists.getchanges", "post getchanges"] {
        assert_eq!(requests.operation(Service::SharePoint, operation), 0, "an old token is not asked with");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_are_found_by_glob_and_by_name() {
    let mut bench = Bench::start(TenantOptions::default()).await;
    let all = bench.source().discover().await.unwrap();
    let paths: Vec<String> = all.containers.iter().map(path_of).collect();
    assert!(paths.iter().any(|path| path == "/sharepoint/@root"), "{paths:?}");
    assert!(paths.iter().any(|path| path.starts_with("/sharepoint/personal/")), "{paths:?}");
    let some = paths.iter().find(|path| path.starts_with("/sharepoint/sites/")).unwrap();
    let some = some.trim_start_matches("/sharepoint").to_owned();

    bench.options["sharepoint"]["sites"] = json!([some, "/sites/never-was"]);
    let found = bench.source().discover().await.unwrap();
    assert!(
        found
            .containers
            .iter()
            .all(|container| path_of(container).starts_with(&format!("/sharepoint{some}")))
    );
    assert!(!found.containers.is_empty());
    let gone: Vec<_> = found.findings.iter().filter(|finding| finding.level == FindingLevel::Error).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].code.as_str(), gone[0].subject.ends_with("/sites/never-was")), ("site-gone", true));

    bench.options["sharepoint"]["sites"] = json!(["*"]);
    bench.options["sharepoint"]["exclude"] = json!([some, format!("{some}/*")]);
    let rest = bench.source().discover().await.unwrap();
    assert!(!rest.containers.is_empty());
    assert!(
        !rest
            .containers
            .iter()
            .any(|container| path_of(container).starts_with(&format!("/sharepoint{some}")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_search_hides_an_administrator_finds() {
    let bench = Bench::start(TenantOptions::default()).await;
    let accounts = &bench.tenant.shared().accounts;
    for account in accounts.all() {
        accounts.update(&account.user, |account| {
            account.denied_sites.insert("/sites/a".to_owned());
        });
    }
    let told = |found: &larder_sdk::Discovery| {
        found.findings.iter().map(|finding| finding.code.clone()).collect::<Vec<_>>()
    };
    let found = bench.source().discover().await.unwrap();
    assert_eq!(told(&found), Vec::<String>::new(), "search does not show it");
    accounts.update("backup2@contoso.example", |account| account.tenant_admin = true);
    let found = bench.source().discover().await.unwrap();
    assert_eq!(told(&found), ["site-denied"]);
}

fn path_of(container: &larder_sdk::Container) -> String {
    joined(&container.path)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_keeps_its_contract() {
    let bench = Bench::start(TenantOptions::default()).await;
    let report = check_source(&bench.source()).await.unwrap();
    assert!(report.containers > 3 && report.items > 50 && report.streams > 20, "{report:?}");
}
