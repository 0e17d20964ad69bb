//! Mail that is moved and folders that are renamed cost no content.

use larder_sdk::Source as _;
use serde_json::json;

use crate::{keeper::Keeper, support::Bench};

const ANN: &str = "ann@contoso.example";

/// Pitfall 19: ids change upon a move. The content of what was moved is not sent again, whichever folder is told of first.
#[tokio::test(flavor = "multi_thread")]
async fn moved_mail_is_known_again() {
    let bench = Bench::one_mailbox(ANN).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    for (from, to) in [("inbox", "Archive 2025"), ("Archive 2025", "Projects"), ("Projects", "inbox")] {
        let moved = bench.tenant.exchange().lock().unwrap().file_away(ANN, from, to);
        assert!(moved > 5);
        let before: u64 = bench.tenant.counters().items_fetched.values().sum();
        keeper.run(&bench.source()).await.unwrap();
        let sent = bench.tenant.counters().items_fetched.values().sum::<u64>() - before;
        assert_eq!((sent, keeper.read().len()), (0, 0), "{moved} items went from {from} to {to}");
        assert_eq!(keeper.differences(&bench.manifest_of(ANN)), [""; 0]);
    }
    // What was moved goes on being the same item: its next changes and its end are told by its new id.
    bench.tenant.change(3, 120);
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest_of(ANN)), [""; 0]);
}

/// Contacts are things that people go on editing: where a move counts as a change, they are read again.
#[tokio::test(flavor = "multi_thread")]
async fn moved_contacts_that_may_have_been_edited_are_read_again() {
    let bench = Bench::one_mailbox(ANN).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let moved = bench.tenant.exchange().lock().unwrap().file_away(ANN, "contacts", "Suppliers");
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.read().len(), moved);
    assert_eq!(keeper.differences(&bench.manifest_of(ANN)), [""; 0]);
}

/// Design: ids that another wire can be asked by. Here they are the server's own in another spelling.
#[tokio::test(flavor = "multi_thread")]
async fn items_go_by_their_entry_ids_with_their_search_keys_beside() {
    let bench = Bench::one_mailbox(ANN).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let mail = keeper.mail();
    assert!(mail.len() > 50);
    for kept in mail {
        let id = kept.item.id.display().into_owned();
        assert!(
            id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()),
            "{id}"
        );
        assert!(kept.item.meta.iter().any(|(name, _)| name == "search_key"), "{id} has no search key");
    }
}

/// The issue: under three requests for each folder in which nothing changed, and those of the address book and the tree.
#[tokio::test(flavor = "multi_thread")]
async fn runs_without_changes_stay_cheap() {
    let mut bench = Bench::one_mailbox(ANN).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    let folders = keeper.items().iter().filter(|kept| kept.item.folder).count() as u64;
    let all = |bench: &Bench| {
        [
            "GetItem",
            "ConvertId",
            "SyncFolderItems",
            "SyncFolderHierarchy",
            "GetFolder",
            "FindItem",
            "FindFolder",
        ]
        .map(|operation| bench.tenant.counters().operation(larder_tenant::gate::Service::Exchange, operation))
    };
    let before = all(&bench);
    keeper.run(&bench.source()).await.unwrap();
    let spent: Vec<u64> = all(&bench).iter().zip(before).map(|(after, before)| after - before).collect();
    println!("{spent:?} requests for {folders} folders without a change");
    assert_eq!((spent[0], spent[1]), (0, 0), "nothing is asked of items");
    assert!(spent[2] <= folders && spent.iter().sum::<u64>() < 3 * folders);

    bench.options["exchange"] = json!({"mailboxes": [ANN]});
    let container = bench.source().discover().await.unwrap().containers.remove(0);
    assert_eq!(container.id.display(), format!("exchange:{ANN}"));
}
