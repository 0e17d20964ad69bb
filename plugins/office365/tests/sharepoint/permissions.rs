//! Who may do what.

use larder_tenant::TenantOptions;
use larder_tenant::gate::Service;
use larder_tenant::sharepoint::{Edit, Switches};
use serde_json::{Value, json};

use crate::{keeper::Keeper, support::Bench};

fn asked(bench: &Bench) -> u64 {
    let operations = ["roleassignments", "lists.roleassignments", "lists.items.roleassignments"];
    operations.iter().map(|name| bench.tenant.counters().operation(Service::SharePoint, name)).sum()
}

fn some_file(bench: &Bench, unique: bool) -> Value {
    let fits = |line: &Value| {
        line["site"] == "/sites/a" && line["kind"] == "file" && line["permissions"].is_null() != unique
    };
    bench.manifest().into_iter().find(fits).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_has_permissions_of_its_own_is_asked_and_only_when_they_change() {
    let bench = Bench::start(TenantOptions::default()).await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    let unique = bench.manifest().iter().filter(|line| line["permissions"].is_object()).count() as u64;
    // The root of the OneDrive host holds nothing and has no line.
    assert_eq!(asked(&bench), unique + 1);

    for (unique, edit) in [(false, Edit::Permissions), (true, Edit::Permissions), (true, Edit::Inherit)] {
        let file = some_file(&bench, unique);
        assert!(bench.tenant.edit(file["path"].as_str().unwrap(), edit));
        bench.tenant.shared().counters.reset();
        keeper.run(&source).await.unwrap();
        assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new(), "{edit:?}");
        assert!(bench.tenant.counters().items_fetched.is_empty(), "{edit:?}: no content is read for it");
        assert_eq!(asked(&bench), u64::from(edit == Edit::Permissions), "{edit:?}");
    }
    assert!(bench.tenant.edit("/sites/a/Shared Documents", Edit::Permissions));
    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
}

/// S0-7: an account that may only read can back up; what it may not see is said once and is no debt.
#[tokio::test(flavor = "multi_thread")]
async fn s0_7_an_account_that_may_only_read_backs_up_without_permissions() {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.options["sharepoint"]["sites"] = json!(["/sites/a"]);
    bench.tenant.set_sharepoint_switches(Switches { enumerate_permissions: false, ..Switches::default() });
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
    let lines = bench.keys.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("permissions are left out")).count(), 1, "{lines:?}");
    let manifest: Vec<Value> = bench
        .manifest()
        .into_iter()
        .filter(|line| line["site"] == "/sites/a" && line["kind"] == "file")
        .collect();
    let missing: Vec<String> = keeper
        .differences(&manifest)
        .into_iter()
        .filter(|what| what.contains("content") || what.contains("missing"))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    // Once a list refuses, its other items are not asked for: three accounts each say no to the web, the lists and one item of each.
    assert!(asked(&bench) <= 3 * (1 + 5 + 5), "{}", asked(&bench));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_left_out_where_they_are_not_wanted() {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.options["sharepoint"] = json!({"sites": ["/sites/a"], "permissions": false});
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let counters = bench.tenant.counters();
    assert_eq!((asked(&bench), counters.operation(Service::SharePoint, "sitegroups")), (0, 0));
    assert!(!keeper.streams().any(|stream| stream.name == "permissions.json"));
}
