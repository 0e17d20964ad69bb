//! What `validate` says of accounts at Exchange, where a refusal is often no more than a 401.

use larder_sdk::{FindingLevel, Source as _};
use larder_tenant::{
    TenantOptions,
    account::{AccountState, Refusal},
    exchange::Switches,
};
use serde_json::json;

use crate::{keeper::Keeper, support::Bench};

const USER: &str = "backup1@contoso.example";

async fn one_account() -> Bench {
    let mut bench = Bench::start(TenantOptions { accounts: 1, ..TenantOptions::default() }).await;
    let account = bench.tenant.shared().accounts.get(USER).unwrap();
    bench.set_accounts(
        json!([{"user": USER, "password": {"env": "app"}}]),
        &[("app", &account.app_password), ("normal", &account.password)],
    );
    bench.options["exchange"] = json!({"mailboxes": ["ann@contoso.example"]});
    bench
}

impl Bench {
    async fn code(&self) -> String {
        let findings = self.source().validate().await.unwrap();
        assert_eq!(
            findings[0].level == FindingLevel::Good,
            findings[0].code == "mailbox-opened",
            "{findings:?}"
        );
        findings[0].code.clone()
    }

    fn switch(&self, change: impl FnOnce(&mut Switches)) {
        let mut world = self.tenant.exchange().lock().unwrap();
        let mut switches = Switches::default();
        change(&mut switches);
        world.set_switches(switches);
    }
}

/// S2-1: the 401 of an MFA account with its normal password is recognised, and says what to use.
#[tokio::test(flavor = "multi_thread")]
async fn s2_1_a_401_with_a_normal_password_asks_for_an_app_password() {
    let mut bench = one_account().await;
    bench.options["accounts"][0]["password"] = json!({"env": "normal"});
    let findings = bench.source().validate().await.unwrap();
    assert_eq!(findings[0].code, "mfa-or-password");
    assert!(findings[0].message.contains("the request failed with 401 Unauthorized"), "{findings:?}");
    let hint = findings[0].hint.as_deref().unwrap();
    assert!(
        hint.contains("use an app password") && hint.contains("docs/office365.md#mfa-or-password"),
        "{hint}"
    );
}

/// S2-2: one app password in two programs at once, and neither warns of anything.
#[tokio::test(flavor = "multi_thread")]
async fn s2_2_one_app_password_serves_two_programs() {
    let bench = one_account().await;
    let (first, second) = (bench.source(), bench.source());
    let (mut one, mut two) = (Keeper::default(), Keeper::default());
    let (ran, too) = futures::join!(one.run(&first), two.run(&second));
    ran.and(too).unwrap();
    let counted = |keeper: &Keeper| keeper.holdings.len();
    assert_eq!((counted(&one), counted(&two)), (1, 1));
}

/// auth.md 8 and 9.
#[tokio::test(flavor = "multi_thread")]
async fn each_answer_of_exchange_has_its_code() {
    let mut bench = one_account().await;
    let shared = std::sync::Arc::clone(bench.tenant.shared());
    let accounts = &shared.accounts;
    assert_eq!(bench.code().await, "mailbox-opened");
    accounts.update(USER, |account| account.state = AccountState::Refused(Refusal::WrongPassword));
    assert_eq!(bench.code().await, "app-password-refused");
    accounts.update(USER, |account| account.state = AccountState::Active);
    accounts.update(USER, |account| account.impersonation = false);
    assert_eq!(bench.code().await, "ews-impersonate-user-denied");
    accounts.update(USER, |account| account.impersonation = true);
    bench.switch(|switches| switches.basic = false);
    assert_eq!(bench.code().await, "basic-off");
    bench.switch(|switches| switches.enabled = false);
    assert_eq!(bench.code().await, "ews-switched-off");
    bench.switch(|_| {});
    bench.options["endpoints"]["exchange"] = json!("http://127.0.0.1:1/EWS/Exchange.asmx");
    assert_eq!(bench.code().await, "unreachable");
}
