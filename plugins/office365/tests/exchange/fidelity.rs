//! Items in the server's own form, and what MIME does not hold.

use larder_sdk::Source as _;
use larder_tenant::exchange::Switches;
use serde_json::{Value, json};

use crate::{keeper::Keeper, support::Bench};

const ANN: &str = "ann@contoso.example";

async fn bench(fidelity: &str) -> Bench {
    let mut bench = Bench::one_mailbox(ANN).await;
    bench.options["exchange"]["fidelity"] = json!(fidelity);
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_stream_stands_beside_the_mime_or_in_its_place() {
    let mut bench = bench("both").await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    assert_eq!(keeper.differences(&bench.manifest_of(ANN)), [""; 0]);
    let items = keeper.mail();
    // Exported streams of this server begin with its mark.
    assert!(items.iter().all(|kept| kept.beside["fts"].starts_with(b"FTX1")));

    bench.options["exchange"]["fidelity"] = json!("export");
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    let alone = keeper.mail();
    assert_eq!(alone.len(), items.len());
    for kept in alone {
        assert!(kept.item.name.as_bytes().ends_with(b".fts") && kept.beside.is_empty());
        let both = items.iter().find(|one| one.item.id == kept.item.id).unwrap();
        assert_eq!(blake3::hash(&both.beside["fts"]).to_hex().to_string(), kept.blake3);
    }
    let before = keeper.items().len();
    bench.options["exchange"]["fidelity"] = json!("mime");
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.items().len(), before, "another form is another content of the same item");
}

/// Pitfall 14: an export that ends in a remark is no export.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_export_is_owed_and_read_once_it_is_whole() {
    let mut bench = bench("mime").await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let items = keeper.items();
    let message = items.iter().find(|kept| kept.item.kind.as_str() == "message").unwrap();
    let id = message.item.id.clone();
    let switch = |bench: &Bench, truncated_export| {
        let world = bench.tenant.exchange();
        world.lock().unwrap().set_switches(Switches { truncated_export, ..Switches::default() });
    };
    switch(&bench, Some(id.display().into_owned()));
    bench.options["exchange"]["fidelity"] = json!("export");
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let owed = keeper.owed();
    assert!(owed.len() == 1 && owed[0].contains("cut the content short"), "{owed:?}");
    assert!(keeper.items().iter().all(|kept| kept.item.id != id), "a stream that was cut has been kept");
    switch(&bench, None);
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    assert!(keeper.items().iter().any(|kept| kept.item.id == id && kept.size > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_export_is_read_as_mime_and_validate_says_so() {
    let bench = bench("both").await;
    bench
        .tenant
        .exchange()
        .lock()
        .unwrap()
        .set_switches(Switches { export_items: false, ..Switches::default() });
    let findings = bench.source().validate().await.unwrap();
    assert!(findings.iter().any(|finding| finding.code == "export-unsupported"), "{findings:#?}");
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    assert_eq!(keeper.differences(&bench.manifest_of(ANN)), [""; 0]);
    assert!(keeper.items().iter().all(|kept| !kept.beside.contains_key("fts")));
}

/// Pitfall 18: MIME of events and contacts is not all there is of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_mime_does_not_hold_is_kept_beside_it() {
    let bench = bench("mime").await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let items = keeper.items();
    for (kind, element) in [("event", "CalendarItem"), ("contact", "Contact"), ("task", "Task")] {
        let of_kind: Vec<_> = items
            .iter()
            .filter(|kept| kept.item.kind.as_str() == kind && kept.item.tag.display().starts_with("mime"))
            .collect();
        assert!(!of_kind.is_empty(), "no {kind}");
        for kept in of_kind {
            let details: Value = serde_json::from_slice(&kept.beside["json"]).unwrap();
            assert_eq!(details["item"]["name"], element);
        }
    }
    assert!(
        items
            .iter()
            .filter(|kept| kept
                .item
                .meta
                .contains(&("item_class".into(), larder_sdk::Value::Text("IPM.Note".into()))))
            .all(|kept| kept.beside.is_empty()),
        "plain mail needs none of it"
    );
}
