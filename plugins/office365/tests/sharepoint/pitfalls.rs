//! What implementers get wrong: each test names the row of the list of pitfalls, or the section, that it stands for.

use larder_sdk::{Cursor, Kind, ReaderServices as _, Value as Meta};
use larder_tenant::TenantOptions;
use larder_tenant::fault::{FaultKind, FaultRule};
use larder_tenant::gate::Service;
use larder_tenant::sharepoint::{Edit, Switches};
use serde_json::{Value, json};

use crate::{keeper::Keeper, support::Bench};

const LIBRARY: &str = "/sites/a/Shared Documents";

async fn site_a() -> Bench {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.options["sharepoint"]["sites"] = json!(["/sites/a"]);
    bench
}

fn of_site_a(bench: &Bench) -> Vec<Value> {
    bench.manifest().into_iter().filter(|line| line["site"] == "/sites/a").collect()
}

async fn agrees(keeper: &mut Keeper, bench: &Bench) {
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&of_site_a(bench)), Vec::<String>::new());
    assert_eq!(keeper.owed(), Vec::<String>::new());
}

fn large_file(bench: &Bench) -> Value {
    let files = of_site_a(bench).into_iter().filter(|line| line["kind"] == "file");
    files.max_by_key(|line| line["size"].as_u64()).unwrap()
}

fn on_file(file: &Value, kind: FaultKind, times: u64) -> FaultRule {
    let mut rule = FaultRule::new(kind);
    (rule.service, rule.times) = (Some(Service::SharePoint), Some(times));
    rule.item = file["unique_id"].as_str().map(str::to_owned);
    rule
}

/// Pitfall 8: an answer of the change log has a thousand entries; all are read, and the last token is kept.
#[tokio::test(flavor = "multi_thread")]
async fn p8_a_long_log_is_read_to_its_end() {
    let bench = site_a().await;
    let mut keeper = Keeper::default();
    agrees(&mut keeper, &bench).await;
    assert!(bench.tenant.edit(LIBRARY, Edit::Folders(2300)));
    bench.tenant.shared().counters.reset();
    agrees(&mut keeper, &bench).await;
    let counters = bench.tenant.counters();
    assert_eq!(
        counters.operation(Service::SharePoint, "post lists.getchanges"),
        4 + 4,
        "1000, 1000, 300 and none; and none of each of the other lists"
    );
    assert_eq!(
        counters.operation(Service::SharePoint, "lists.items"),
        2300,
        "each by itself, and no listing"
    );
    bench.tenant.shared().counters.reset();
    agrees(&mut keeper, &bench).await;
    assert_eq!(bench.tenant.counters().operation(Service::SharePoint, "lists.items"), 0);
}

/// Pitfall 9 and section 3: more than 5,000 rows are listed by number and unfiltered, so the threshold does not matter.
#[tokio::test(flavor = "multi_thread")]
async fn p9_the_threshold_of_5000_does_not_matter() {
    let bench = site_a().await;
    assert!(bench.tenant.edit(LIBRARY, Edit::Folders(5100)));
    let mut keeper = Keeper::default();
    agrees(&mut keeper, &bench).await;
}

/// Section 9, changes that the log lost: the count of items tells, and the list is listed once more, of which nothing is read again.
#[tokio::test(flavor = "multi_thread")]
async fn p9_what_the_log_lost_is_found_by_the_count() {
    let bench = site_a().await;
    let mut keeper = Keeper::default();
    agrees(&mut keeper, &bench).await;
    assert!(bench.tenant.edit(LIBRARY, Edit::LostFile));
    agrees(&mut keeper, &bench).await;
    assert_eq!(keeper.read, 1, "the file, and nothing else");
    bench.tenant.shared().counters.reset();
    agrees(&mut keeper, &bench).await;
    assert_eq!(
        bench.tenant.counters().operation(Service::SharePoint, "lists.items"),
        0,
        "and then it is known"
    );
}

/// Section 9: everything is listed now and then, whatever the log says, and nothing of it is read again.
#[tokio::test(flavor = "multi_thread")]
async fn p9_everything_is_listed_now_and_then() {
    let bench = site_a().await;
    let mut keeper = Keeper::default();
    agrees(&mut keeper, &bench).await;
    for holding in keeper.holdings.values() {
        for scope in holding.memory.scopes().unwrap() {
            let cursor = holding.memory.cursor(&scope).unwrap().unwrap();
            let mut position: Value = serde_json::from_slice(cursor.as_bytes()).unwrap();
            position["listed_at"] = json!(position["listed_at"].as_i64().unwrap() - 31 * 24 * 3600);
            holding.memory.settle(scope, Cursor::from(position.to_string()));
        }
    }
    bench.tenant.shared().counters.reset();
    agrees(&mut keeper, &bench).await;
    let counters = bench.tenant.counters();
    assert_eq!(keeper.read, 0);
    assert!(counters.operation(Service::SharePoint, "lists.items") >= 5);
    assert_eq!(
        counters.operation(Service::SharePoint, "file.versions"),
        0,
        "versions that are known are not asked for"
    );
}

/// Pitfall 10: a page may be short without being the last; only a missing link ends a list.
#[tokio::test(flavor = "multi_thread")]
async fn p10_a_short_page_is_not_the_last() {
    let bench = site_a().await;
    bench.tenant.set_sharepoint_switches(Switches { page_rows: Some(7), ..Switches::default() });
    agrees(&mut Keeper::default(), &bench).await;
}

/// Pitfall 12: the range is ignored and all of the file comes again.
#[tokio::test(flavor = "multi_thread")]
async fn p12_a_range_that_is_ignored_is_noticed() {
    let bench = site_a().await;
    let file = large_file(&bench);
    bench.tenant.faults().add(on_file(&file, FaultKind::Drop, 1));
    bench.tenant.faults().add(on_file(&file, FaultKind::RangeIgnored, 1));
    agrees(&mut Keeper::default(), &bench).await;
    assert_eq!(bench.tenant.counters().faults, 2);
}

/// Pitfall 12: a file that is replaced while it is read is never a mixture of both.
#[tokio::test(flavor = "multi_thread")]
async fn p12_a_file_that_changes_while_it_is_read_is_owed() {
    let bench = site_a().await;
    let file = large_file(&bench);
    bench.tenant.faults().add(on_file(&file, FaultKind::Replaced, 1));
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed().len(), 1);
    assert!(keeper.owed()[0].contains("changed while it was read"), "{:?}", keeper.owed());
    agrees(&mut keeper, &bench).await;
}

/// Pitfall 12 and section 17: malware in its place comes a refusal, or a page with status 200.
#[tokio::test(flavor = "multi_thread")]
async fn p12_malware_is_never_stored_and_stops_nothing() {
    for status in [403, 400, 200] {
        let bench = site_a().await;
        let file = large_file(&bench);
        bench.tenant.faults().add(on_file(&file, FaultKind::Infected { status }, u64::MAX));
        let mut keeper = Keeper::default();
        keeper.run(&bench.source()).await.unwrap();
        assert_eq!(keeper.owed().len(), 1, "{status}");
        assert!(keeper.owed()[0].contains("malware"), "{status}: {:?}", keeper.owed());
        assert_eq!(keeper.differences(&of_site_a(&bench)).len(), 1, "{status}: everything else is there");
        assert_eq!(bench.tenant.counters().faults, 1, "{status}: it is not tried again");
    }
}

/// Pitfall 13 and section 7: the length told of office documents may be wrong, or none.
#[tokio::test(flavor = "multi_thread")]
async fn p13_a_length_that_is_wrong_does_no_harm() {
    for office_lengths in [-1, 117, -3] {
        let bench = site_a().await;
        bench.tenant.set_sharepoint_switches(Switches { office_lengths, ..Switches::default() });
        agrees(&mut Keeper::default(), &bench).await;
    }
}

/// Pitfall 20 and section 17: of a library whose rights are managed every answer differs; each is taken as it is, and said to be such.
#[tokio::test(flavor = "multi_thread")]
async fn p20_files_with_managed_rights_are_kept_as_they_come() {
    let bench = site_a().await;
    assert!(bench.tenant.edit(LIBRARY, Edit::Protect));
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
    let kept = keeper.holdings.values().flat_map(|holding| holding.items.values());
    let marked = kept.filter(|kept| {
        kept.item.meta.iter().any(|(name, value)| *name == "IrmEnabled" && *value == Meta::Bool(true))
    });
    let files =
        of_site_a(&bench).iter().filter(|line| line["kind"] == "file" && line["list"] == "Documents").count();
    assert_eq!(marked.filter(|kept| kept.item.kind == Kind::FILE).count(), files);

    // Bytes of two answers are never put together.
    let bench = site_a().await;
    assert!(bench.tenant.edit(LIBRARY, Edit::Protect));
    let file = of_site_a(&bench)
        .into_iter()
        .filter(|line| line["list"] == "Documents")
        .max_by_key(|line| line["size"].as_u64());
    bench.tenant.faults().add(on_file(&file.unwrap(), FaultKind::Drop, 1));
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed().len(), 1);
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
}

/// Pitfall 20 and section 17: a notebook is a folder with files, and known as a notebook.
#[tokio::test(flavor = "multi_thread")]
async fn p20_a_notebook_is_a_folder_that_says_so() {
    let bench = site_a().await;
    let mut keeper = Keeper::default();
    agrees(&mut keeper, &bench).await;
    let kept = keeper.holdings.values().flat_map(|holding| holding.items.values());
    let notebooks: Vec<_> = kept
        .filter(|kept| {
            let notebook = Meta::Text("OneNote.Notebook".to_owned());
            kept.item.meta.iter().any(|(name, value)| *name == "ProgID" && *value == notebook)
        })
        .map(|kept| (kept.item.name.display().into_owned(), kept.item.folder))
        .collect();
    assert_eq!(notebooks, [("Notebook".to_owned(), true)]);
}

/// Pitfall 20 and section 17: a locked file is owed, and the rest goes on.
#[tokio::test(flavor = "multi_thread")]
async fn p20_a_locked_file_stops_nothing() {
    let bench = site_a().await;
    let file = large_file(&bench);
    bench.tenant.faults().add(on_file(&file, FaultKind::Item { status: 423, code: String::new() }, u64::MAX));
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert!(keeper.owed()[0].contains("locked") && keeper.owed().len() == 1, "{:?}", keeper.owed());
    assert_eq!(keeper.differences(&of_site_a(&bench)).len(), 1);
}
