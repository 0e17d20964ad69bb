//! Rules, automatic reply, categories, delegates, permissions.

use larder_tenant::fault::FaultKind;

use crate::{keeper::Keeper, support::Bench};

const DORA: &str = "dora@contoso.example";

fn names(keeper: &Keeper) -> Vec<String> {
    let items = keeper.items().into_iter().filter(|kept| keeper.read().contains(&kept.item.id));
    items.map(|kept| kept.item.name.display().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_kept_as_documents_and_stored_again_only_when_changed() {
    let bench = Bench::one_mailbox(DORA).await;
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest_of(DORA)), [""; 0]);
    for line in bench.manifest_of(DORA).iter().filter(|line| line["kind"] == "settings") {
        let name = line["name"].as_str().unwrap();
        let text = keeper.text_of(name);
        for held in line["holds"].as_array().unwrap() {
            // Texts are JSON within JSON at most: no quote of theirs is in the way.
            assert!(text.contains(held.as_str().unwrap()), "{name} lacks {held}: {text}");
        }
    }
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(names(&keeper), [""; 0], "nothing had changed");
    bench.tenant.exchange().lock().unwrap().set_settings(DORA, "spring");
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(names(&keeper), ["Categories.json", "Out of Office.json", "Inbox Rules.json"]);
    assert!(keeper.text_of("Out of Office.json").contains("Away: spring"));
}

/// Pitfall 20: permissions that may not be read, and rules that the server does not have, stop nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_left_out_and_what_fails_is_owed() {
    let bench = Bench::one_mailbox(DORA).await;
    bench.fault("GetDelegate", FaultKind::LoginPage, |_| {});
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed().len(), 1, "{:?}", keeper.owed());
    let missing = keeper.differences(&bench.manifest_of(DORA));
    assert_eq!(missing, ["missing: dora@contoso.example settings Mailbox Settings/Delegates.json"]);
    bench.tenant.faults().clear();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.owed(), [""; 0]);
    assert_eq!(keeper.differences(&bench.manifest_of(DORA)), [""; 0]);
}
