//! Items and transfers that go wrong.

use larder_tenant::TenantOptions;
use larder_tenant::counters::ContentKind;
use larder_tenant::fault::{FaultKind, FaultRule};
use larder_tenant::gate::Service;

use crate::{keeper::Keeper, support::Bench};

fn on_content(kind: FaultKind) -> FaultRule {
    let mut rule = FaultRule::new(kind);
    rule.service = Some(Service::SharePoint);
    rule
}

/// Bytes of a file and its versions.
fn bytes_of(line: &serde_json::Value) -> u64 {
    let versions = line["versions"].as_array().into_iter().flatten();
    let sizes = versions.chain([line]).filter_map(|one| one["size"].as_u64());
    sizes.sum()
}

/// Ids of the largest files of the manifest.
fn large_files(bench: &Bench, count: usize) -> Vec<(String, u64)> {
    let mut files: Vec<(String, u64)> = bench
        .manifest()
        .iter()
        .filter(|line| line["kind"] == "file")
        .map(|line| (line["unique_id"].as_str().unwrap().to_owned(), line["size"].as_u64().unwrap()))
        .collect();
    files.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    files.truncate(count);
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_and_short_transfers_are_taken_up_where_they_stopped() {
    for kind in [FaultKind::Drop, FaultKind::Truncate] {
        let bench = Bench::start(TenantOptions::default()).await;
        let large = large_files(&bench, 6);
        for (id, _) in &large {
            let mut rule = on_content(kind.clone());
            (rule.item, rule.times) = (Some(id.clone()), Some(2));
            bench.tenant.faults().add(rule);
        }
        let mut keeper = Keeper::default();
        keeper.run(&bench.source()).await.unwrap();
        assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
        let counters = bench.tenant.counters();
        assert_eq!(counters.faults, 12);
        let all: u64 = bench.manifest().iter().map(bytes_of).sum();
        let sent = counters.content_bytes[&ContentKind::File];
        // An answer counts in full when it begins: two that stop half-way cost 3/4 more when taken up, twice as much again when not.
        let slack: u64 = large.iter().map(|(_, size)| size).sum::<u64>() * 4 / 5;
        assert!(sent <= all + slack, "{kind:?}: {sent} bytes sent for {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fails_is_owed_and_read_once_it_can_be() {
    let bench = Bench::start(TenantOptions::default()).await;
    let source = bench.source();
    let bad = large_files(&bench, 3);
    for ((id, _), status) in bad.iter().zip([403, 423, 500]) {
        let mut rule = on_content(FaultKind::Item { status, code: String::new() });
        rule.item = Some(id.clone());
        bench.tenant.faults().add(rule);
    }
    let mut keeper = Keeper::default();
    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.owed().len(), 3, "{:?}", keeper.owed());
    assert_eq!(keeper.differences(&bench.manifest()).len(), 3);

    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.owed().len(), 3, "still owed");

    bench.tenant.faults().clear();
    bench.tenant.shared().counters.reset();
    keeper.run(&source).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    assert_eq!(bench.tenant.counters().items_fetched.len(), 3, "nothing else is fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_instead_of_a_file_is_never_stored() {
    let bench = Bench::start(TenantOptions::default()).await;
    let (id, _) = large_files(&bench, 1)[0].clone();
    let mut rule = on_content(FaultKind::LoginPage);
    rule.item = Some(id);
    bench.tenant.faults().add(rule);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed().len(), 1, "{:?}", keeper.owed());
    assert_eq!(keeper.differences(&bench.manifest()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_of_the_service_are_sat_out() {
    let bench = Bench::start(TenantOptions::default()).await;
    for (status, nth) in [(502, 10), (503, 20), (504, 30), (500, 40)] {
        let mut rule = on_content(FaultKind::Status { status, retry_after_seconds: None });
        (rule.nth, rule.times) = (Some(nth), Some(1));
        bench.tenant.faults().add(rule);
    }
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    assert_eq!(bench.tenant.counters().faults, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_passes_through_however_often_it_breaks() {
    const BYTES: u64 = 96 << 20;
    let mut bench =
        Bench::start(TenantOptions { big_file_bytes: Some(BYTES), ..TenantOptions::default() }).await;
    bench.options["sharepoint"]["sites"] = serde_json::json!(["/"]);
    let (id, size) = large_files(&bench, 1)[0].clone();
    assert_eq!(size, BYTES);
    let mut rule = on_content(FaultKind::Drop);
    (rule.item, rule.times) = (Some(id.clone()), Some(9));
    bench.tenant.faults().add(rule);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), Vec::<String>::new());
    let line = bench.manifest().into_iter().find(|line| line["unique_id"] == id.as_str()).unwrap();
    assert!(keeper.streams().any(|stream| stream.size == BYTES && stream.blake3 == line["blake3"]));
}
