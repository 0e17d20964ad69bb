//! Whole mailboxes, and what changed in them.

use std::collections::BTreeSet;

use larder_sdk::{ItemId, Source as _};
use larder_tenant::TenantOptions;
use serde_json::json;

use crate::{keeper::Keeper, support::Bench};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_equals_the_manifest() {
    let bench = Bench::start(TenantOptions::default()).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    let manifest = bench.manifest();
    assert!(manifest.len() > 400, "{}", manifest.len());
    assert_eq!(keeper.differences(&manifest), [""; 0]);
    let names: Vec<String> =
        keeper.items().iter().map(|kept| kept.item.name.display().into_owned()).collect();
    for extension in [".eml", ".ics", ".vcf"] {
        assert!(names.iter().any(|name| name.ends_with(extension)), "nothing is called {extension}");
    }
    let fetched = bench.tenant.counters().items_fetched;
    assert!(fetched.values().all(|times| *times == 1), "an item's content was sent twice");
}

fn folders_of(keeper: &Keeper) -> BTreeSet<ItemId> {
    keeper.items().into_iter().filter(|kept| kept.item.folder).map(|kept| kept.item.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn later_runs_fetch_what_changed_and_nothing_else() {
    let bench = Bench::start(TenantOptions::default()).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();

    let before = bench.tenant.counters();
    keeper.run(&bench.source()).await.unwrap();
    assert!(keeper.read().is_empty() && keeper.begun() == 0);
    assert_eq!(bench.requests_since(&before, "GetItem"), 0, "nothing had changed");

    let mut folders = folders_of(&keeper);
    for seed in 1..=5 {
        bench.tenant.change(seed, 200);
        let before = bench.tenant.counters();
        keeper.run(&bench.source()).await.unwrap();
        assert_eq!(keeper.owed(), [""; 0]);
        assert_eq!(keeper.differences(&bench.manifest()), [""; 0], "after changes {seed}");
        let after = bench.tenant.counters();
        let sent: u64 =
            after.items_fetched.values().sum::<u64>() - before.items_fetched.values().sum::<u64>();
        assert!(sent <= 100, "{sent} contents for at most 100 changes of items");
        let now = folders_of(&keeper);
        assert_eq!(
            keeper.begun(),
            now.difference(&folders).count(),
            "only new folders are listed from nothing"
        );
        folders = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_first_listing_goes_on_from_its_page() {
    let bench = Bench::one_mailbox("ann@contoso.example").await;
    let source = bench.source();
    let container = source.discover().await.unwrap().containers.remove(0);
    let mut keeper = Keeper::default();
    for batches in 1..6 {
        let holding = keeper.holdings.entry(container.id.clone()).or_default().clone();
        holding.run_partly(&source, &container, batches).await;
    }
    keeper.run(&source).await.unwrap();
    let manifest = bench.manifest();
    let ann: Vec<_> = manifest.into_iter().filter(|line| line["mailbox"] == "ann@contoso.example").collect();
    assert_eq!(keeper.differences(&ann), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_are_found_by_address_glob_and_list() {
    let mut bench = Bench::start(TenantOptions::default()).await;
    let found = async |bench: &Bench| {
        let found = bench.source().discover().await.unwrap();
        found.containers.iter().map(|container| container.id.display().into_owned()).collect::<Vec<_>>()
    };
    let all = found(&bench).await;
    for person in ["ann", "bob", "carol", "dora", "eve"] {
        assert!(all.contains(&format!("exchange:{person}@contoso.example")), "{person} is not in {all:?}");
    }
    bench.options["exchange"] =
        json!({"mailboxes": ["C*@contoso.example", "Ann@Contoso.example", "hidden@contoso.example"]});
    assert_eq!(
        found(&bench).await,
        ["exchange:ann@contoso.example", "exchange:carol@contoso.example", "exchange:hidden@contoso.example"]
    );
    let list = std::env::temp_dir().join(format!("larder-mailboxes-{}", std::process::id()));
    std::fs::write(&list, "# people\n\neve@contoso.example\n").unwrap();
    bench.options["exchange"] = json!({"mailbox_list": list});
    assert_eq!(found(&bench).await, ["exchange:eve@contoso.example"]);
    std::fs::remove_file(list).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn access_may_be_by_delegation() {
    let mut bench = Bench::one_mailbox("bob@contoso.example").await;
    bench.options["exchange"]["access"] = json!("delegate");
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let bob: Vec<_> =
        bench.manifest().into_iter().filter(|line| line["mailbox"] == "bob@contoso.example").collect();
    assert_eq!(keeper.differences(&bob), [""; 0]);
}
