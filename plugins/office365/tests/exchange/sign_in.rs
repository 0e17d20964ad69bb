//! Mailboxes read by an application's tokens.

use larder_sdk::Source as _;
use larder_tenant::{
    TenantOptions,
    application::{Application, SelfSigned},
};
use serde_json::{Value, json};

use crate::{keeper::Keeper, support::Bench};

const APP: &str = "00000000-0000-4000-8000-0000000000aa";

fn by_secret() -> Value {
    json!([{"authentication": "oauth", "client_id": APP, "client_secret": {"env": "secret"}}])
}

/// An Exchange that takes no password, as the cloud's, and an application with a secret and a certificate.
async fn bench() -> Bench {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.tenant.exchange().lock().unwrap().set_switches(larder_tenant::exchange::Switches {
        basic: false,
        ..larder_tenant::exchange::Switches::default()
    });
    let certificate = SelfSigned::shared().unwrap();
    let application = Application::new(APP).with_secret("s3cr3t+&").with_certificate(certificate);
    bench.tenant.applications().register(application);
    bench.set_accounts(by_secret(), &[("secret", "s3cr3t+&"), ("pem", &certificate.pem())]);
    // An application has no address book of its own: it asks as the mailbox that is named.
    bench.options["exchange"] = json!({"mailboxes": ["ann@contoso.example", "*@contoso.example"]});
    bench
}

/// auth.md 7: app-only must impersonate, with X-AnchorMailbox; the tenant refuses what lacks either.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_reads_every_mailbox() {
    let mut bench = bench().await;
    for accounts in
        [by_secret(), json!([{"authentication": "oauth", "client_id": APP, "certificate": {"env": "pem"}}])]
    {
        bench.set_accounts(accounts, &[]);
        let mut keeper = Keeper::default();
        keeper.run(&bench.source()).await.unwrap();
        assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    }
    assert_eq!(bench.tenant.counters().sign_ins[APP], 2, "one token for each run");
}

/// Expiry in mid-run: the next request is answered 401, and the item in hand is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_run_out_are_renewed_and_nothing_is_lost() {
    let bench = bench().await;
    let source = bench.source();
    let mut keeper = Keeper::default();
    let expire = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let asked = bench.tenant.counters().total_requests();
            if asked >= 40 {
                bench.tenant.applications().expire_tokens();
                return;
            }
        }
    };
    let (ran, ()) = futures::join!(keeper.run(&source), expire);
    ran.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    assert!(
        (1..=2).contains(&bench.tenant.counters().sign_ins[APP]),
        "one renewal serves all who wait for it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_an_address_or_a_right_is_told_so() {
    let mut bench = bench().await;
    bench.options["exchange"] = json!({"mailboxes": ["*@contoso.example"]});
    let error = bench.source().discover().await.unwrap_err();
    assert_eq!(error.code(), Some("oauth-needs-address"), "{error}");
    bench.options["exchange"] = json!({"mailboxes": ["ann@contoso.example"]});
    let findings = bench.source().validate().await.unwrap();
    assert_eq!(findings[0].code, "mailbox-opened", "{findings:?}");
    assert!(bench.tenant.applications().update(APP, |application| application.exchange = false));
    let findings = bench.source().validate().await.unwrap();
    assert_eq!(findings[0].code, "ews-impersonate-user-denied", "{findings:?}");
}
