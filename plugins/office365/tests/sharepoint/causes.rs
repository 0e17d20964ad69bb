//! Each state of an account against the code that `validate` says.

use std::fmt::Write as _;

use larder_sdk::{ErrorKind, Finding, FindingLevel, Source as _};
use larder_tenant::{
    TenantOptions,
    account::{Account, AccountState, Mfa, Refusal},
    application::{Application, ApplicationState, SelfSigned},
    sharepoint::Switches,
};
use serde_json::json;

use crate::{keeper::Keeper, support::Bench};

const USER: &str = "backup1@contoso.example";
const APP: &str = "00000000-0000-4000-8000-0000000000aa";

/// Which of an account's passwords the config names.
#[derive(Clone, Copy, Debug)]
enum Given {
    App,
    Normal,
    Wrong,
    /// An app password, and not this account's.
    Other,
}

async fn one_account() -> Bench {
    let mut bench = Bench::start(TenantOptions { accounts: 1, ..TenantOptions::default() }).await;
    let other = Account::backup(7).app_password;
    let account = bench.tenant.shared().accounts.get(USER).unwrap();
    bench.set_accounts(
        json!([]),
        &[("App", &account.app_password), ("Normal", &account.password), ("Wrong", "no"), ("Other", &other)],
    );
    bench
}

impl Bench {
    fn give(&mut self, given: Given) {
        self.options["accounts"] = json!([{"user": USER, "password": {"env": format!("{given:?}")}}]);
    }

    fn set(&self, change: impl FnOnce(&mut Account)) {
        assert!(self.tenant.shared().accounts.update(USER, change));
    }

    async fn findings(&self) -> Vec<Finding> {
        let findings = self.source().validate().await.unwrap();
        for finding in findings.iter().filter(|finding| finding.level != FindingLevel::Good) {
            let hint = finding.hint.as_deref().unwrap_or_default();
            let page = format!("docs/office365.md#{}", finding.code);
            assert!(hint.contains(&page), "{finding:?} links its page");
        }
        findings
    }
}

/// auth.md 3.3 and 9, S0-4, S0-6, S4-1, S3-2: one row for each cause that the protocol lets us tell apart.
#[tokio::test(flavor = "multi_thread")]
async fn each_state_of_an_account_has_its_code() {
    use AccountState::{Active, Refused, Revoked};
    let rows = [
        // S4-1: disabled, enabled, enforced, with either password.
        (Mfa::Disabled, Active, Given::Normal, "sharepoint-ok"),
        (Mfa::Enabled, Active, Given::Normal, "mfa-enrol"),
        (Mfa::Enabled, Active, Given::App, "app-password-refused"),
        (Mfa::Enforced, Active, Given::Normal, "mfa-not-app-password"),
        (Mfa::Enforced, Active, Given::App, "sharepoint-ok"),
        (Mfa::Enforced, Active, Given::Wrong, "wrong-password"),
        // S0-2: an app password belongs to one account.
        (Mfa::Enforced, Active, Given::Other, "app-password-refused"),
        (Mfa::Enforced, Revoked, Given::App, "app-password-refused"),
        // S0-6: what an account with an admin role gets.
        (Mfa::Enforced, Refused(Refusal::WrongPassword), Given::App, "app-password-refused"),
        (Mfa::Enforced, Refused(Refusal::MfaRequired), Given::App, "mfa-not-app-password"),
        // S0-4
        (Mfa::Enforced, Refused(Refusal::ThirdPartyMfa), Given::App, "third-party-mfa"),
        (Mfa::Enforced, Refused(Refusal::PolicyBlock), Given::App, "policy-block"),
        (Mfa::Enforced, Refused(Refusal::Locked), Given::App, "locked"),
        (Mfa::Enforced, Refused(Refusal::PasswordExpired), Given::App, "expired"),
        (Mfa::Enforced, Refused(Refusal::Disabled), Given::App, "disabled"),
        (Mfa::Enforced, Refused(Refusal::NoUser), Given::App, "no-user"),
        (Mfa::Enforced, Refused(Refusal::TooManySignIns), Given::App, "login-throttled"),
        (Mfa::Enforced, Refused(Refusal::NoToken), Given::App, "token-withheld"),
    ];
    let mut bench = one_account().await;
    for (mfa, state, given, code) in rows {
        bench.set(|account| (account.mfa, account.state) = (mfa, state));
        bench.give(given);
        let findings = bench.findings().await;
        assert_eq!(findings[0].code, code, "{mfa:?} {state:?} {given:?}: {findings:?}");
        let good = code == "sharepoint-ok";
        assert_eq!(findings[0].level == FindingLevel::Good, good, "{findings:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_or_domain_that_is_not_there_is_told_before_the_password() {
    let mut bench = one_account().await;
    bench.options["accounts"] = json!([{"user": "a@nowhere.example", "password": {"env": "App"}}]);
    let codes: Vec<String> = bench.findings().await.into_iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["no-tenant", "no-user"]);
}

/// auth.md 1.2, 9: a token is given and no cookie. The second way is tried before that is said.
#[tokio::test(flavor = "multi_thread")]
async fn legacy_authentication_that_is_off_is_no_wrong_password() {
    let mut bench = one_account().await;
    bench.give(Given::App);
    bench.tenant.set_sharepoint_switches(Switches { legacy_auth: false, ..Switches::default() });
    let findings = bench.findings().await;
    assert_eq!(findings[0].code, "legacy-auth-off");
    assert!(findings[0].hint.as_ref().unwrap().contains("OAuth with a certificate"));
}

/// S2-4: the tree of reasons why no app password is offered, its five steps in their order. S2-3: how long its name is.
#[tokio::test(flavor = "multi_thread")]
async fn s2_4_the_five_steps_come_in_order() {
    let mut bench = one_account().await;
    bench.give(Given::Normal);
    let findings = bench.findings().await;
    let hint = findings[0].hint.as_deref().unwrap();
    let steps = [
        "(1) allow users to create app passwords",
        "(2) if MFA per user is disabled",
        "(3) if it is enabled and still not usable, enforce",
        "(4) wait: changes take up to several days",
        "(5) sign the account out everywhere",
    ];
    let places: Vec<usize> =
        steps.iter().map(|step| hint.find(step).unwrap_or_else(|| panic!("{step}: {hint}"))).collect();
    assert!(places.is_sorted(), "{hint}");
    assert!(hint.contains("at least 8 characters"), "S2-3");
    assert!(findings[0].message.contains("normal password"));
}

/// S3-2: three answers, three messages, each with all its remedies; S3-3 is among those of the second.
#[tokio::test(flavor = "multi_thread")]
async fn s3_2_three_messages_with_their_remedies() {
    let mut bench = one_account().await;
    bench.give(Given::App);
    bench.set(|account| account.state = AccountState::Refused(Refusal::PolicyBlock));
    let blocked = bench.findings().await.remove(0);
    for part in ["switch the policy", "exclude the account", "this machine's address"] {
        assert!(blocked.hint.as_ref().unwrap().contains(part), "{part}: {blocked:?}");
    }
    bench.set(|account| account.state = AccountState::Active);
    bench.give(Given::Normal);
    let mfa = bench.findings().await.remove(0);
    for part in ["make an app password", "switch MFA off", "Conditional Access", "exclude the account"] {
        assert!(mfa.hint.as_ref().unwrap().contains(part), "{part}: {mfa:?}");
    }
    // The message between them is Exchange's, which answers 401 to both causes.
    bench.options["exchange"] = json!({"mailboxes": ["ann@contoso.example"]});
    let findings = bench.findings().await;
    let either = findings.iter().find(|finding| finding.code == "mfa-or-password").unwrap();
    for part in ["use an app password", "switch MFA off", "check user and password", "passes in a browser"] {
        assert!(either.hint.as_ref().unwrap().contains(part), "{part}: {either:?}");
    }
}

/// S4-2: what was changed a moment ago is waited for within the grace that the config gives, and told as that.
#[tokio::test(flavor = "multi_thread")]
async fn s4_2_a_new_credential_is_given_time_to_take_effect() {
    let mut bench = one_account().await;
    bench.give(Given::App);
    bench.options["accounts"][0]["grace_seconds"] = json!(30);
    bench.set(|account| account.state = AccountState::Spreading { refusals: 3 });
    let findings = bench.findings().await;
    assert_eq!((findings[0].code.as_str(), findings[0].level), ("not-yet-in-effect", FindingLevel::Warning));
    assert!(findings[0].message.contains("minutes, sometimes days"), "{findings:?}");

    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
    let lines = bench.keys.lines();
    assert!(lines.iter().any(|line| line.contains("sometimes days, to take effect")), "{lines:?}");

    // Without grace it is an error at once, and no loop of wrong passwords.
    bench.set(|account| account.state = AccountState::Spreading { refusals: 3 });
    bench.options["accounts"][0]["grace_seconds"] = json!(0);
    let before = bench.tenant.counters().sign_ins[USER];
    let error = bench.source().discover().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Authentication, Some("app-password-refused")));
    assert_eq!(bench.tenant.counters().sign_ins[USER] - before, 1);
}

/// S1-3, S1-5: the secret changes where the config points, and nothing else does.
#[tokio::test(flavor = "multi_thread")]
async fn s1_3_credentials_rotate_in_place() {
    let mut bench = one_account().await;
    bench.give(Given::App);
    let mut keeper = Keeper::default();
    keeper.run(&bench.source()).await.unwrap();
    bench.set(|account| account.app_password = "qwertyuiopasdfgh".to_owned());
    bench.set_password("App", "qwer tyui opas dfgh");
    keeper.run(&bench.source()).await.unwrap();
    assert_eq!(keeper.read, 0, "nothing is read again");
    assert_eq!(keeper.differences(&bench.manifest()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_closed_or_gone_is_told_with_the_account() {
    let mut bench = one_account().await;
    bench.give(Given::App);
    let site = bench.manifest().iter().find_map(|line| {
        let path = line["path"].as_str()?.strip_prefix("/sites/")?.split('/').next()?.to_owned();
        Some(format!("/sites/{path}"))
    });
    let site = site.unwrap();
    for (wanted, closed, code) in [
        (site.as_str(), false, "sharepoint-ok"),
        (&site, true, "site-denied"),
        ("/sites/nowhere", false, "site-gone"),
    ] {
        bench.options["sharepoint"]["sites"] = json!([wanted]);
        bench.set(|account| account.denied_sites = closed.then(|| site.clone()).into_iter().collect());
        let findings = bench.findings().await;
        assert_eq!(findings[0].code, code, "{findings:?}");
    }
}

/// auth.md 9: the admin centre is closed to app passwords, which costs nothing but its list of sites.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_admin_centre_is_no_alarm() {
    let mut bench = one_account().await;
    bench.give(Given::App);
    let findings = bench.findings().await;
    let codes: Vec<(&str, FindingLevel)> =
        findings.iter().map(|finding| (finding.code.as_str(), finding.level)).collect();
    assert_eq!(codes, [("sharepoint-ok", FindingLevel::Good), ("admin-centre-closed", FindingLevel::Good)]);
    bench.set(|account| account.tenant_admin = true);
    assert_eq!(bench.findings().await.len(), 1);
}

/// auth.md 7, the list of error codes; and what a certificate says of itself.
#[tokio::test(flavor = "multi_thread")]
async fn each_state_of_an_application_has_its_code() {
    let mut bench = one_account().await;
    let (certificate, other) = (SelfSigned::shared().unwrap(), SelfSigned::until(2021).unwrap());
    bench.tenant.applications().register(Application::new(APP).with_certificate(certificate));
    bench.set_accounts(
        json!([{"authentication": "oauth", "client_id": APP, "certificate": {"env": "pem"}}]),
        &[("pem", &certificate.pem()), ("other", &other.pem()), ("secret", "not it")],
    );
    let applications = bench.tenant.applications();
    for (state, code) in [
        (ApplicationState::Active, "sharepoint-ok"),
        (ApplicationState::Unknown, "oauth-app-unknown"),
        (ApplicationState::Disabled, "oauth-app-disabled"),
        (ApplicationState::PolicyBlock, "policy-block"),
    ] {
        assert!(applications.update(APP, |application| application.state = state));
        assert_eq!(bench.findings().await[0].code, code);
    }
    assert!(applications.update(APP, |application| application.state = ApplicationState::Active));
    assert!(applications.update(APP, |application| application.sharepoint = false));
    assert_eq!(bench.findings().await[0].code, "oauth-not-permitted");
    bench.options["accounts"][0]["certificate"] = json!({"env": "other"});
    let codes: Vec<String> = bench.findings().await.into_iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["oauth-certificate-expired", "oauth-certificate-unknown"]);
    bench.options["accounts"] =
        json!([{"authentication": "oauth", "client_id": APP, "client_secret": {"env": "secret"}}]);
    assert_eq!(bench.findings().await[0].code, "oauth-secret-wrong");
    bench.options["tenant"] = json!("elsewhere");
    assert_eq!(bench.findings().await[0].code, "no-tenant");
}

/// S0-5: at the most verbose level, in findings, errors and what is printed for debugging, no secret and nothing made of one.
#[tokio::test(flavor = "multi_thread")]
async fn s0_5_no_secret_is_ever_told() {
    let mut bench =
        Bench::start(TenantOptions { accounts: 2, federated: 1, ..TenantOptions::default() }).await;
    let certificate = SelfSigned::shared().unwrap();
    bench.tenant.applications().register(Application::new(APP).with_certificate(certificate));
    let accounts = bench.tenant.shared().accounts.all();
    let normal =
        accounts.iter().find(|account| account.user.starts_with("service")).unwrap().password.clone();
    bench.set_accounts(
        json!([
            {"user": USER, "password": {"env": USER}},
            {"user": "backup2@contoso.example", "password": {"env": "wrong"}},
            {"user": "service1@fabrikam.example", "authentication": "adfs", "password": {"env": "normal"}},
            {"authentication": "oauth", "client_id": APP, "certificate": {"env": "pem"}, "services": ["sharepoint"]},
            {"user": "b@x", "label": "basic", "authentication": "basic", "password": {"env": "wrong"}, "services": ["exchange"]},
        ]),
        &[("wrong", "wrong-secret-password"), ("normal", &normal), ("pem", &certificate.pem())],
    );
    bench.options["exchange"] = json!({"mailboxes": ["ann@contoso.example"]});
    let source = bench.source();
    let mut told = format!("{:?}", source.validate().await.unwrap());
    let _ = write!(told, "{:?}", Keeper::default().run(&source).await);
    let _ = write!(told, "{:?}", source.discover().await.map(|found| found.findings));
    drop(source);
    told += &bench.keys.everything().join("\n");
    assert!(told.contains(APP) && told.contains("set aside"), "something was told: {told}");
    let key: Vec<&str> = certificate.key_pem().lines().filter(|line| !line.starts_with('-')).collect();
    let mut secrets = vec!["wrong-secret-password".to_owned(), normal, key[2].to_owned()];
    secrets.extend(accounts.iter().map(|account| account.app_password.clone()));
    // What the tenant gave and took: tokens, cookies, assertions, Basic's headers.
    secrets.extend(
        ["eyJ", "FedAuth=", "SPOIDCRL=", "t=EwD", "SignatureValue", "YmFja3Vw", "P@ss<"].map(str::to_owned),
    );
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret:?} is told");
    }
}
