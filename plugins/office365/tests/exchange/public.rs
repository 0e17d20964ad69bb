//! Public folders, which have no sync states.

use larder_sdk::Source as _;
use larder_tenant::TenantOptions;
use serde_json::json;

use crate::{
    keeper::Keeper,
    support::{Bench, PUBLIC},
};

async fn bench() -> Bench {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.options["exchange"] = json!({"mailboxes": ["ann@contoso.example"], "public_folders": true});
    bench
}

fn differences(keeper: &Keeper, bench: &Bench) -> Vec<String> {
    let mut lines = bench.manifest_of(PUBLIC);
    lines.extend(bench.manifest_of("ann@contoso.example"));
    keeper.differences(&lines)
}

/// Pitfall 10: neither a sync nor a deep listing is asked of public folders; the tenant refuses both.
#[tokio::test(flavor = "multi_thread")]
async fn public_folders_are_read_and_read_again_by_version() {
    let bench = bench().await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    assert!(bench.manifest_of(PUBLIC).len() > 15);
    assert_eq!(differences(&keeper, &bench), [""; 0]);

    let before = bench.tenant.counters();
    keeper.run(&bench.source()).await.unwrap();
    assert!(keeper.read().is_empty());
    assert_eq!(bench.requests_since(&before, "GetItem"), 0, "nothing had changed");
    assert_eq!(bench.requests_since(&before, "FindItem"), 5, "one listing for each folder");

    for seed in 1..=4 {
        bench.tenant.change(seed, 100);
        keeper.run(&bench.source()).await.unwrap();
        assert_eq!(keeper.owed(), [""; 0]);
        assert_eq!(differences(&keeper, &bench), [""; 0], "after changes {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_found_only_if_wanted_and_there() {
    let mut bench = bench().await;
    let found = async |bench: &Bench| {
        let found = bench.source().discover().await.unwrap();
        found.containers.iter().map(|container| container.path[1].display().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(&bench).await, ["ann@contoso.example", PUBLIC]);

    bench.options["exchange"]["public_folders"] = json!(false);
    assert_eq!(found(&bench).await, ["ann@contoso.example"]);
    let findings = bench.source().validate().await.unwrap();
    assert!(findings.iter().all(|finding| finding.code != "public-folders-not-read"));
}
