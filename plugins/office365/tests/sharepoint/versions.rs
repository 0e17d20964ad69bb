//! Earlier versions of files.

use larder_tenant::TenantOptions;
use larder_tenant::fault::{FaultKind, FaultRule};
use larder_tenant::gate::Service;
use larder_tenant::sharepoint::Edit;
use serde_json::{Value, json};

use crate::{
    keeper::{Keeper, Kept},
    support::Bench,
};

async fn of_one_site(versions: Value) -> Bench {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.options["sharepoint"] = json!({"sites": ["/sites/a"], "versions": versions});
    bench
}

/// A file of `/sites/a` with at least so many earlier versions.
fn file_with(bench: &Bench, versions: usize) -> Value {
    let fits = |line: &Value| {
        line["site"] == "/sites/a" && line["versions"].as_array().is_some_and(|all| all.len() >= versions)
    };
    bench.manifest().into_iter().find(fits).unwrap()
}

/// Contents of files and their versions that were sent. (List items come with the listing.)
fn fetched(bench: &Bench) -> Vec<String> {
    let files: Vec<String> = bench
        .manifest()
        .iter()
        .filter(|line| line["kind"] == "file")
        .map(|line| text(line, "unique_id"))
        .collect();
    let fetched = bench.tenant.counters().items_fetched.into_keys();
    fetched.filter(|id| files.iter().any(|file| id.starts_with(file.as_str()))).collect()
}

fn kept<'a>(keeper: &'a Keeper, line: &Value) -> &'a Kept {
    let id = larder_sdk::ItemId::from(line["unique_id"].as_str().unwrap());
    keeper.holdings.values().find_map(|holding| holding.items.get(&id)).unwrap()
}

fn versions_of(kept: &Kept) -> Vec<String> {
    let names = kept.streams.iter().map(|stream| stream.name.clone());
    names.filter(|name| name.starts_with("version/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_costs_its_content_and_the_one_before_and_no_other_version() {
    let bench = of_one_site(json!("all")).await;
    let source = bench.source();
    let file = file_with(&bench, 3);
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();
    assert_eq!(kept(&keeper, &file).version_differences(&file), Vec::<String>::new());

    assert!(bench.tenant.edit(file["path"].as_str().unwrap(), Edit::Content));
    bench.tenant.shared().counters.reset();
    keeper.run(&source).await.unwrap();
    let now = bench.manifest().into_iter().find(|line| line["unique_id"] == file["unique_id"]).unwrap();
    assert_eq!(kept(&keeper, &now).version_differences(&now), Vec::<String>::new());
    assert_eq!(kept(&keeper, &now).streams[0].blake3, now["blake3"]);
    let fetched = bench.tenant.counters().items_fetched;
    let label = now["versions"].as_array().unwrap().last().unwrap()["label"].as_str().unwrap().to_owned();
    let id = file["unique_id"].as_str().unwrap();
    let expected = [(id.to_owned(), 1), (format!("{id}/{label}"), 1)];
    assert_eq!(fetched.into_iter().collect::<Vec<_>>(), expected);

    // A change of columns makes no version, and moves neither.
    assert!(bench.tenant.edit(file["path"].as_str().unwrap(), Edit::Columns));
    bench.tenant.shared().counters.reset();
    keeper.run(&source).await.unwrap();
    assert!(bench.tenant.counters().items_fetched.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wider_option_reads_the_versions_and_no_content_again() {
    let mut bench = of_one_site(json!("latest")).await;
    let file = file_with(&bench, 3);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(bench.tenant.counters().operation(Service::SharePoint, "file.versions"), 0);
    assert!(versions_of(kept(&keeper, &file)).is_empty());

    bench.options["sharepoint"]["versions"] = json!(3);
    bench.tenant.shared().counters.reset();
    keeper.run(&bench.source()).await.unwrap();
    let all: Vec<String> =
        file["versions"].as_array().unwrap().iter().map(|one| text(one, "label")).collect();
    let newest: Vec<String> = all[all.len() - 2..].iter().map(|label| format!("version/{label}")).collect();
    assert_eq!(versions_of(kept(&keeper, &file)), newest, "the current one counts");
    let versions = fetched(&bench);
    assert!(!versions.is_empty() && versions.iter().all(|id| id.contains('/')), "{versions:?}");

    bench.options["sharepoint"]["versions"] = json!("latest");
    bench.tenant.shared().counters.reset();
    keeper.run(&bench.source()).await.unwrap();
    assert!(versions_of(kept(&keeper, &file)).is_empty());
    assert_eq!(fetched(&bench), Vec::<String>::new());
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_read_keeps_nothing_else_from_being_read() {
    let bench = of_one_site(json!("all")).await;
    let file = file_with(&bench, 2);
    let label = text(&file["versions"][0], "label");
    let mut rule = FaultRule::new(FaultKind::Item { status: 423, code: String::new() });
    (rule.service, rule.item) =
        (Some(Service::SharePoint), Some(format!("{}/{label}", text(&file, "unique_id"))));
    bench.tenant.faults().add(rule);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed().len(), 1);
    assert!(keeper.owed()[0].contains(&format!("version {label}")), "{:?}", keeper.owed());
    assert_eq!(kept(&keeper, &file).streams[0].blake3, file["blake3"], "the current one is there");

    bench.tenant.faults().clear();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
    assert_eq!(kept(&keeper, &file).version_differences(&file), Vec::<String>::new());
}

/// Section 7: versions are trimmed between listing and download; 404 is no error.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_went_meanwhile_is_no_debt() {
    let bench = of_one_site(json!("all")).await;
    let file = file_with(&bench, 2);
    let label = text(&file["versions"][0], "label");
    let mut rule = FaultRule::new(FaultKind::Item { status: 404, code: String::new() });
    (rule.service, rule.item) =
        (Some(Service::SharePoint), Some(format!("{}/{label}", text(&file, "unique_id"))));
    bench.tenant.faults().add(rule);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
    assert!(!versions_of(kept(&keeper, &file)).contains(&format!("version/{label}")));
    assert_eq!(versions_of(kept(&keeper, &file)).len(), file["versions"].as_array().unwrap().len() - 1);

    bench.tenant.faults().clear();
    assert!(bench.tenant.edit(&text(&file, "path"), Edit::Trim));
    assert!(bench.tenant.edit(&text(&file, "path"), Edit::Content));
    keeper.run(&bench.source()).await.unwrap();
    let now = bench.manifest().into_iter().find(|line| line["unique_id"] == file["unique_id"]).unwrap();
    assert_eq!(kept(&keeper, &now).version_differences(&now), Vec::<String>::new());
}

/// Section 7: drafts are minor versions, and a file that is checked out is read as it was checked in last.
#[tokio::test(flavor = "multi_thread")]
async fn drafts_and_checked_out_files_are_read() {
    let bench = of_one_site(json!("all")).await;
    let drafts = |line: &Value| {
        line["versions"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| !text(one, "label").ends_with(".0")))
    };
    let file = bench.manifest().into_iter().find(|line| line["site"] == "/sites/a" && drafts(line)).unwrap();
    assert!(bench.tenant.edit(&text(&file, "path"), Edit::CheckOut));
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
    let found = kept(&keeper, &file);
    assert_eq!(found.version_differences(&file), Vec::<String>::new());
    assert_eq!(found.streams[0].blake3, file["blake3"]);
}
