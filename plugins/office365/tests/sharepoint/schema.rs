//! What lists and sites are like, and how seldom it is asked for.

use larder_tenant::TenantOptions;
use larder_tenant::gate::Service;
use larder_tenant::sharepoint::{Edit, Switches};

use crate::{keeper::Keeper, support::Bench};

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_run_costs_under_three_requests_for_each_list() {
    let bench = Bench::start(TenantOptions::default()).await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();
    let lists =
        bench.manifest().iter().filter(|line| line["kind"] == "list" || line["kind"] == "library").count();

    let found = discovery_requests(&bench).await;
    bench.tenant.shared().counters.reset();
    keeper.run(&source).await.unwrap();
    let counters = bench.tenant.counters();
    let requests = counters.total_requests() - found;
    assert!(requests < 3 * lists as u64, "{requests} requests for {lists} lists: {:?}", counters.requests);
    for operation in
        ["lists.fields", "lists.views", "lists.contenttypes", "lists.items", "sitegroups", "file.versions"]
    {
        assert_eq!(counters.operation(Service::SharePoint, operation), 0, "{operation}");
    }
    assert_eq!(keeper.read, 0);
}

/// What finding the sites costs.
async fn discovery_requests(bench: &Bench) -> u64 {
    use larder_sdk::Source as _;
    bench.tenant.shared().counters.reset();
    bench.source().discover().await.unwrap();
    bench.tenant.counters().total_requests()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_column_is_read_of_its_list_alone_and_no_item_again() {
    let bench = Bench::start(TenantOptions::default()).await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();

    assert!(bench.tenant.edit("/sites/a/Lists/Tasks", Edit::Column));
    bench.tenant.shared().counters.reset();
    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    assert_eq!(keeper.read, 1, "the list's schema");
    let counters = bench.tenant.counters();
    assert_eq!(counters.operation(Service::SharePoint, "lists.fields"), 1);
    assert!(counters.items_fetched.is_empty(), "{:?}", counters.items_fetched);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recycle_bin_is_listed_where_it_is_wanted() {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.options["sharepoint"]["sites"] = serde_json::json!(["/sites/a"]);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let listed = |keeper: &Keeper| keeper.holdings.values().next().unwrap().document("recycle-bin.json");
    assert_eq!(listed(&keeper), None);

    bench.options["sharepoint"]["recycle_bin"] = true.into();
    bench.tenant.change(3, 300);
    keeper.run(&bench.source()).await.unwrap();
    let rows = listed(&keeper).unwrap();
    let rows = rows.as_array().unwrap();
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row["LeafName"].is_string() && row["DirName"].is_string())
    );

    bench.options["sharepoint"]["recycle_bin"] = false.into();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(listed(&keeper), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_joins_too_much_is_read_without_texts() {
    let bench = Bench::start(TenantOptions::default()).await;
    let texts = |keeper: &Keeper| {
        let kept = keeper.holdings.values().flat_map(|holding| holding.items.values());
        let items = kept.filter(|kept| kept.item.kind == larder_sdk::Kind::LIST_ITEM);
        let with = items.filter(|kept| {
            let content: serde_json::Value = serde_json::from_slice(&kept.streams[0].bytes).unwrap();
            content["FieldValuesAsText"].is_object()
        });
        with.count()
    };
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert!(texts(&keeper) > 100);

    bench.tenant.set_sharepoint_switches(Switches { joins: 3, ..Switches::default() });
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(texts(&keeper), 0);
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
}
