//! A message of 100 MB passes through without being held.

use larder_tenant::TenantOptions;

use crate::{keeper::Keeper, support::Bench};

/// Room for the tenant, the tests beside it and the stream, in bytes. The message in memory, or its base64, would not fit.
const GROWTH_MAX: u64 = 90 << 20;

fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_message_streams() {
    let options = TenantOptions { big_message_bytes: Some(100 << 20), ..TenantOptions::default() };
    let mut bench = Bench::start(options).await;
    bench.options["exchange"] = serde_json::json!({"mailboxes": ["ann@contoso.example"]});
    let before = peak_bytes();
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let after = peak_bytes();
    assert_eq!(keeper.owed(), [""; 0]);
    let largest = keeper.items().into_iter().map(|kept| kept.size).max().unwrap();
    assert!(largest >= 100 << 20, "the largest is {largest} bytes");
    if let (Some(before), Some(after)) = (before, after) {
        println!("peak memory before {} MiB, after {} MiB", before >> 20, after >> 20);
        assert!(after - before < GROWTH_MAX, "memory grew from {before} to {after} bytes");
    }
    let manifest = bench.manifest();
    let ann: Vec<_> = manifest.into_iter().filter(|line| line["mailbox"] == "ann@contoso.example").collect();
    assert_eq!(keeper.differences(&ann), [""; 0]);
}
