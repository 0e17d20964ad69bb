//! Sites read by an application's tokens, and by accounts of a federated domain.

use larder_sdk::{FindingLevel, Source as _};
use larder_tenant::{
    TenantOptions,
    application::{Application, SelfSigned},
    fault::{FaultKind, FaultRule},
    federation::FederationState,
    gate::Service,
};
use serde_json::{Value, json};

use crate::{keeper::Keeper, support::Bench};

const APP: &str = "00000000-0000-4000-8000-0000000000aa";

fn by_certificate() -> Value {
    json!([{"authentication": "oauth", "client_id": APP, "certificate": {"env": "pem"}}])
}

/// A tenant whose SharePoint an application reads by certificate.
async fn with_certificate() -> Bench {
    let mut bench = Bench::start(TenantOptions::default()).await;
    let certificate = SelfSigned::shared().unwrap();
    bench.tenant.applications().register(Application::new(APP).with_certificate(certificate));
    bench.set_accounts(by_certificate(), &[("pem", &certificate.pem())]);
    bench
}

async fn reads_everything(bench: &Bench) -> Keeper {
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    keeper
}

/// auth.md 7: one resource per token, so one token per host, and each is asked for once.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_reads_everything_with_one_token_per_host() {
    let bench = with_certificate().await;
    let mut keeper = reads_everything(&bench).await;
    assert_eq!(bench.tenant.counters().sign_ins[APP], 3, "the main, the OneDrive and the admin host");
    bench.tenant.change(7, 20);
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
}

/// Expiry in mid-run: a 401 costs one renewal for each host, whoever meets it, and no item.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_run_out_are_renewed_once_and_nothing_is_lost() {
    let bench = with_certificate().await;
    for nth in [60, 160] {
        let mut expire = FaultRule::new(FaultKind::ExpireSession);
        (expire.service, expire.nth, expire.times) = (Some(Service::SharePoint), Some(nth), Some(1));
        bench.tenant.faults().add(expire);
    }
    reads_everything(&bench).await;
    let counters = bench.tenant.counters();
    assert_eq!(counters.faults, 2);
    assert!((4..=9).contains(&counters.sign_ins[APP]), "{}", counters.sign_ins[APP]);
}

/// A token is renewed before its end: those of ten seconds are used for eight, and no request meets a 401.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_before_they_run_out() {
    let bench = with_certificate().await;
    bench.tenant.applications().set_token_seconds(0);
    let findings = bench.source().validate().await.unwrap();
    assert_eq!(
        findings[0].code, "oauth-token-refused",
        "a token that is dead on arrival is not asked for in a loop"
    );
    let after_validate = bench.tenant.counters().sign_ins[APP];
    assert!(after_validate <= 3, "{after_validate}");
    bench.tenant.applications().set_token_seconds(3599);
    reads_everything(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_host_with_passing_faults_costs_no_account() {
    let bench = with_certificate().await;
    let mut fault = FaultRule::new(FaultKind::Status { status: 503, retry_after_seconds: None });
    (fault.service, fault.operation, fault.times) = (Some(Service::Login), Some("token".into()), Some(2));
    bench.tenant.faults().add(fault);
    reads_everything(&bench).await;
}

/// auth.md 7: SharePoint refuses what a secret made; the words say so before anything runs.
#[tokio::test(flavor = "multi_thread")]
async fn sharepoint_takes_no_token_made_with_a_secret() {
    let mut bench = Bench::start(TenantOptions::default()).await;
    bench.tenant.applications().register(Application::new(APP).with_secret("s3cr3t+&"));
    bench.set_accounts(
        json!([{"authentication": "oauth", "client_id": APP, "client_secret": {"env": "secret"}}]),
        &[("secret", " s3cr3t+&\n")],
    );
    let findings = bench.source().validate().await.unwrap();
    assert_eq!((findings[0].code.as_str(), findings[0].level), ("oauth-secret-refused", FindingLevel::Error));
    let error = bench.source().discover().await.unwrap_err();
    assert_eq!(error.code(), Some("oauth-secret-refused"), "{error}");
}

/// S0-3, S2-4: the same account, with the app password at the cloud, with the normal one at the domain's own service.
#[tokio::test(flavor = "multi_thread")]
async fn s0_3_a_federated_account_reads_everything_with_either_password() {
    for (password, states) in
        [(true, &[FederationState::Off][..]), (false, &[FederationState::Serving, FederationState::Only2005])]
    {
        for state in states {
            let mut bench =
                Bench::start(TenantOptions { accounts: 1, federated: 1, ..TenantOptions::default() }).await;
            bench.tenant.set_federation(*state);
            let account = bench.tenant.shared().accounts.get("service1@fabrikam.example").unwrap();
            let secret = if password { &account.app_password } else { &account.password };
            bench.set_accounts(
                json!([{"user": account.user, "authentication": "adfs", "password": {"env": "federated"}}]),
                &[("federated", secret)],
            );
            reads_everything(&bench).await;
            let requests = &bench.tenant.counters().requests["service1@fabrikam.example"]["login"];
            let at_provider = requests.get("usernamemixed").copied().unwrap_or(0);
            if password {
                assert_eq!(at_provider, 0, "the cloud checks app passwords itself");
            } else {
                // The cloud refused the normal password once, and was not asked again: it counts towards a lockout.
                assert_eq!(requests["extSTS"], at_provider + 1, "{requests:?}");
            }
        }
    }
}

/// auth.md 4: what the federation service says is passed on byte for byte; one byte less and the cloud says 500069.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_federation_service_are_told_apart() {
    let mut bench =
        Bench::start(TenantOptions { accounts: 1, federated: 1, ..TenantOptions::default() }).await;
    let account = bench.tenant.shared().accounts.get("service1@fabrikam.example").unwrap();
    let account_of =
        |name: &str| json!([{"user": account.user, "authentication": "adfs", "password": {"env": name}}]);
    bench.set_accounts(account_of("right"), &[("right", &account.password), ("wrong", "not it")]);
    for (state, code) in [
        (FederationState::Off, "adfs-endpoint-off"),
        (FederationState::Fault, "adfs-fault"),
        (FederationState::Denies, "adfs-denied"),
        (FederationState::Passive, "adfs-no-endpoint"),
        (FederationState::Altered, "assertion-altered"),
        (FederationState::Serving, "sharepoint-ok"),
    ] {
        bench.tenant.set_federation(state);
        let findings = bench.source().validate().await.unwrap();
        assert_eq!(findings[0].code, code, "{state:?}: {findings:?}");
    }
    bench.set_accounts(account_of("wrong"), &[]);
    let before = bench.tenant.counters().requests[&account.user]["login"]["usernamemixed"];
    let findings = bench.source().validate().await.unwrap();
    assert_eq!(findings[0].code, "adfs-refused", "{findings:?}");
    let after = bench.tenant.counters().requests[&account.user]["login"]["usernamemixed"];
    assert_eq!(after - before, 1, "a wrong password is tried in one dialect, once");
}

/// S0-3: with the word `office365` the normal password goes to the cloud alone, and the warning says what to write.
#[tokio::test(flavor = "multi_thread")]
async fn s0_3_the_kind_that_was_chosen_is_kept_to() {
    let mut bench =
        Bench::start(TenantOptions { accounts: 1, federated: 1, ..TenantOptions::default() }).await;
    let account = bench.tenant.shared().accounts.get("service1@fabrikam.example").unwrap();
    bench.set_accounts(
        json!([{"user": account.user, "password": {"env": "normal"}}]),
        &[("normal", &account.password)],
    );
    let findings = bench.source().validate().await.unwrap();
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["federated", "wrong-password"]);
    assert!(findings[0].hint.as_ref().unwrap().contains("adfs"));
    assert!(!bench.tenant.counters().requests[&account.user]["login"].contains_key("usernamemixed"));
}
