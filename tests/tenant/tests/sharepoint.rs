//! The tenant's sign-in and `SharePoint` over the wire, as a backup meets them.

use larder_tenant::account::{AccountState, Refusal};
use larder_tenant::fault::{FaultKind, FaultRule};
use larder_tenant::gate::{Service, Throttle};
use larder_tenant::sharepoint::{ExpiredTokens, Switches};
use larder_tenant::{Tenant, TenantOptions};
use reqwest::header::{ACCEPT, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

const BARE: &str = "application/json;odata=nometadata";
const VERBOSE: &str = "application/json;odata=verbose";

struct Session {
    client: Client,
    base: String,
    cookie: String,
}

fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

fn envelope(user: &str, password: &str) -> String {
    let password = password.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/02/trust/RST/Issue</a:Action><a:To s:mustUnderstand="1">https://login/extSTS.srf</a:To><o:Security xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><o:UsernameToken><o:Username>{user}</o:Username><o:Password>{password}</o:Password></o:UsernameToken></o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t="http://schemas.xmlsoap.org/ws/2005/02/trust"><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>https://contoso.sharepoint.com</a:Address></a:EndpointReference></p:AppliesTo><t:RequestType>http://schemas.xmlsoap.org/ws/2005/02/trust/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>"#
    )
}

async fn token_answer(tenant: &Tenant, user: &str, password: &str) -> String {
    let url = format!("{}/extSTS.srf", tenant.endpoints().login);
    client()
        .post(url)
        .body(envelope(user, password))
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body")
}

async fn token(tenant: &Tenant, number: u32) -> String {
    let account = tenant.shared().accounts.get(&user(number)).expect("the account");
    let answer = token_answer(tenant, &account.user, &account.app_password).await;
    let start = answer.find("\"Compact0\">").expect("a token") + 11;
    let end = answer[start..].find("</").expect("its end") + start;
    answer[start..end].replace("&amp;", "&")
}

fn user(number: u32) -> String {
    format!("backup{number}@contoso.example")
}

async fn redeem(base: &str, token: String) -> Response {
    let url = format!("{base}/_forms/default.aspx?wa=wsignin1.0");
    client().post(url).body(token).send().await.expect("an answer")
}

fn cookies(answer: &Response) -> String {
    let values = answer.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.filter_map(|value| value.split(';').next()).collect::<Vec<_>>().join("; ")
}

async fn sign_in(tenant: &Tenant, number: u32, base: &str) -> Session {
    let answer = redeem(base, token(tenant, number).await).await;
    let cookie = cookies(&answer);
    assert!(cookie.contains("FedAuth=") && cookie.contains("rtFa="), "{cookie}");
    Session { client: client(), base: base.to_string(), cookie }
}

impl Session {
    async fn get(&self, path: &str) -> Response {
        self.get_with(path, &[]).await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.get(url).header(COOKIE, &self.cookie).header(ACCEPT, BARE);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        read(answer).await
    }

    async fn post(&self, path: &str, digest: Option<&str>, body: Value) -> Response {
        let mut request = self
            .client
            .post(format!("{}{path}", self.base))
            .header(COOKIE, &self.cookie)
            .header(ACCEPT, BARE)
            .header("content-type", BARE)
            .body(body.to_string());
        if let Some(digest) = digest {
            request = request.header("x-requestdigest", digest);
        }
        request.send().await.expect("an answer")
    }

    async fn digest(&self, web: &str) -> String {
        let info = read(self.post(&format!("{web}/_api/contextinfo"), None, Value::Null).await).await;
        info["FormDigestValue"].as_str().expect("a digest").to_string()
    }
}

async fn read(answer: Response) -> Value {
    let text = answer.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

async fn started() -> Tenant {
    Tenant::start(TenantOptions::default()).await.expect("a tenant")
}

fn files_of<'a>(manifest: &'a [Value], site: &str) -> Vec<&'a Value> {
    manifest.iter().filter(|line| line["site"] == site && line["kind"] == "file").collect()
}

#[tokio::test]
async fn refusals_carry_their_codes() {
    let tenant = started().await;
    let account = tenant.shared().accounts.get(&user(1)).expect("the account");
    let wrong = token_answer(&tenant, &account.user, "nonsense").await;
    assert!(wrong.contains("AADSTS50126"), "{wrong}");
    assert!(token_answer(&tenant, &account.user, &account.password).await.contains("AADSTS50076"));
    assert!(token_answer(&tenant, "nobody@contoso.example", "x").await.contains("AADSTS50034"));
    let states = [
        (Refusal::PolicyBlock, "AADSTS53003"),
        (Refusal::Locked, "AADSTS50053"),
        (Refusal::PasswordExpired, "AADSTS50055"),
        (Refusal::NoToken, "0x8004882c"),
    ];
    for (refusal, code) in states {
        tenant
            .shared()
            .accounts
            .update(&account.user, |account| account.state = AccountState::Refused(refusal));
        let answer = token_answer(&tenant, &account.user, &account.app_password).await;
        assert!(answer.contains(code) && !answer.contains("BinarySecurityToken"), "{answer}");
    }
}

#[tokio::test]
async fn a_token_without_a_cookie_when_legacy_sign_in_is_off() {
    let tenant = started().await;
    tenant.set_sharepoint_switches(Switches { legacy_auth: false, ..Switches::default() });
    let answer = redeem(&tenant.endpoints().sharepoint, token(&tenant, 1).await).await;
    assert_eq!(cookies(&answer), "");
    let why = answer.headers()["x-msdavext_error"].to_str().expect("a reason");
    assert!(why.starts_with("917656"), "{why}");
}

#[tokio::test]
async fn the_other_cookie_and_how_a_client_learns_of_it() {
    let tenant = started().await;
    let base = &tenant.endpoints().sharepoint;
    let asked = client()
        .get(format!("{base}/_api/web"))
        .header("x-idcrl_accepted", "t")
        .send()
        .await
        .expect("an answer");
    assert_eq!(asked.status(), StatusCode::UNAUTHORIZED);
    let challenge = asked.headers()["www-authenticate"].to_str().expect("a challenge");
    assert!(challenge.contains("EndPoint=\"/_vti_bin/idcrl.svc/\""), "{challenge}");
    let answer = client()
        .get(format!("{base}/_vti_bin/idcrl.svc/"))
        .header("x-idcrl_accepted", "t")
        .header("authorization", format!("BPOSIDCRL {}", token(&tenant, 1).await))
        .send()
        .await
        .expect("an answer");
    let session = Session { client: client(), base: base.clone(), cookie: cookies(&answer) };
    assert!(session.cookie.starts_with("SPOIDCRL="), "{}", session.cookie);
    assert_eq!(session.json("/_api/web").await["Title"], "Contoso");
}

#[tokio::test]
async fn dead_sessions_show_in_the_way_the_client_asked_for() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    assert_eq!(session.get("/_api/web").await.status(), StatusCode::OK);
    let elsewhere =
        Session { base: tenant.endpoints().my.clone(), client: client(), cookie: session.cookie.clone() };
    assert_eq!(
        elsewhere.get("/_api/web").await.status(),
        StatusCode::FORBIDDEN,
        "cookies are good for one host"
    );
    assert!(tenant.revoke(&user(1)));
    let dead = session.get("/_api/web").await;
    assert_eq!(dead.status(), StatusCode::FORBIDDEN);
    assert!(dead.headers().contains_key("x-forms_based_auth_required"));
    let quiet = session.get_with("/_api/web", &[("x-forms_based_auth_accepted", "f")]).await;
    assert_eq!(quiet.status(), StatusCode::UNAUTHORIZED);
    let browser = session.get_with("/_api/web", &[("user-agent", "Mozilla/5.0")]).await;
    assert_eq!(browser.status(), StatusCode::FOUND);
    let account = tenant.shared().accounts.get(&user(1)).expect("the account");
    assert!(token_answer(&tenant, &account.user, &account.app_password).await.contains("AADSTS50126"));
}

#[tokio::test]
async fn the_forms_of_an_answer_and_pages() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let items = "/_api/web/lists/getbytitle('Tasks')/items?$select=Id,Title&$top=7";
    let verbose = read(session.get_with(items, &[]).await).await;
    assert_eq!(verbose["value"].as_array().map(Vec::len), Some(7));
    let url = format!("{}{items}", session.base);
    let answer =
        session.client.get(&url).header(COOKIE, &session.cookie).header(ACCEPT, VERBOSE).send().await;
    let verbose = read(answer.expect("an answer")).await;
    assert_eq!(verbose["d"]["results"].as_array().map(Vec::len), Some(7));
    assert!(verbose["d"]["__next"].as_str().is_some_and(|next| next.contains("p_ID%3D7")), "{verbose}");
    let minimal = "application/json;odata=minimalmetadata";
    let answer =
        session.client.get(&url).header(COOKIE, &session.cookie).header(ACCEPT, minimal).send().await;
    let minimal = read(answer.expect("an answer")).await;
    assert!(minimal["value"][0]["odata.etag"].is_string(), "{minimal}");
    let mut seen = Vec::new();
    let mut next = Some(items.to_string());
    while let Some(path) = next {
        let page = session.json(&path).await;
        seen.extend(page["value"].as_array().expect("rows").iter().map(|row| row["Id"].as_u64()));
        next = page["odata.nextLink"].as_str().map(|link| link.replacen(&session.base, "", 1));
    }
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(seen, once);
    assert_eq!(seen.len(), 60);
}

#[tokio::test]
async fn names_that_break_careless_clients() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let digest = session.digest("/sites/a").await;
    let name = "it's 100%#1 & +.txt";
    let encoded = "it''s%20100%25%231%20%26%20%2B.txt";
    let folder = "/sites/a/_api/web/GetFolderByServerRelativePath(decodedUrl='/sites/a/Shared%20Documents')";
    let path = format!("{folder}/Files/AddUsingPath(decodedUrl='{encoded}',overwrite=true)");
    let made = session.post(&path, Some(&digest), json!("x")).await;
    assert_eq!(made.status(), StatusCode::OK);
    assert_eq!(read(made).await["Name"], name);
    let file = format!("decodedUrl='/sites/a/Shared%20Documents/{encoded}'");
    let right = session.get(&format!("/sites/a/_api/web/GetFileByServerRelativePath({file})/$value")).await;
    assert_eq!(right.status(), StatusCode::OK);
    let aliased = format!(
        "/sites/a/_api/web/GetFileByServerRelativePath(decodedUrl=@f)/$value?@f='/sites/a/Shared%20Documents/{encoded}'"
    );
    assert_eq!(session.get(&aliased).await.status(), StatusCode::OK);
    let url = file.replace("decodedUrl=", "");
    let careless = session.get(&format!("/sites/a/_api/web/GetFileByServerRelativeUrl({url})/$value")).await;
    assert_ne!(careless.status(), StatusCode::OK, "the older call decodes twice");
    let foreign = "/sites/a/_api/web/GetFolderByServerRelativePath(decodedUrl='/sites/b/Shared%20Documents')";
    assert_eq!(session.get(foreign).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn ranges_and_spoiled_bodies() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let manifest = tenant.manifest().expect("a manifest");
    let files = files_of(&manifest, "/sites/a");
    let file =
        files.iter().find(|file| file["size"].as_u64().is_some_and(|size| size > 5000)).expect("a file");
    let id = file["unique_id"].as_str().expect("an id");
    let value = format!("/sites/a/_api/web/GetFileById('{id}')/$value");
    let whole = session.get(&value).await.bytes().await.expect("bytes");
    assert_eq!(blake3::hash(&whole).to_hex().as_str(), file["blake3"]);
    let part = session.get_with(&value, &[("range", "bytes=1000-1999")]).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    let range = part.headers()["content-range"].to_str().expect("a range").to_string();
    assert_eq!(range, format!("bytes 1000-1999/{}", whole.len()));
    assert_eq!(part.bytes().await.expect("bytes"), whole.slice(1000..2000));
    let again = session.get(&format!("/sites/a/_layouts/15/download.aspx?UniqueId={id}")).await;
    assert_eq!(again.bytes().await.expect("bytes"), whole);
    let empty = files.iter().find(|file| file["size"] == 0).expect("an empty file")["unique_id"].as_str();
    let empty = format!("/sites/a/_api/web/GetFileById('{}')/$value", empty.expect("an id"));
    let none = session.get_with(&empty, &[("range", "bytes=0-")]).await;
    assert_eq!(none.status(), StatusCode::RANGE_NOT_SATISFIABLE);

    let fault = |kind| FaultRule { item: Some(id.to_string()), times: Some(1), ..FaultRule::new(kind) };
    tenant.faults().add(fault(FaultKind::Truncate));
    assert_eq!(session.get(&value).await.bytes().await.expect("a short body").len(), whole.len() / 2);
    tenant.faults().add(fault(FaultKind::Drop));
    assert!(session.get(&value).await.bytes().await.is_err(), "the connection is cut");
    tenant.faults().add(fault(FaultKind::Item { status: 423, code: String::new() }));
    assert_eq!(session.get(&value).await.status(), StatusCode::LOCKED);
    assert_eq!(session.get(&value).await.status(), StatusCode::OK);
    assert_eq!(tenant.counters().items_fetched[id], 6);
}

async fn changes(session: &Session, list: &str, token: &str) -> Vec<Value> {
    let query = json!({"query": {
        "Item": true, "Add": true, "Update": true, "DeleteObject": true, "Rename": true, "Move": true,
        "SystemUpdate": true, "ChangeTokenStart": {"StringValue": token}, "FetchLimit": "1000",
    }});
    let answer = session.post(&format!("{list}/getchanges"), None, query).await;
    assert_eq!(answer.status(), StatusCode::OK);
    read(answer).await["value"].as_array().expect("rows").clone()
}

#[tokio::test]
async fn the_change_log_tells_what_happened_since_a_token() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let list = "/sites/a/_api/web/lists/getbytitle('Documents')";
    let token_of = async || {
        let list = session.json(&format!("{list}?$select=CurrentChangeToken")).await;
        list["CurrentChangeToken"]["StringValue"].as_str().expect("a token").to_string()
    };
    let first = token_of().await;
    assert_eq!(changes(&session, list, &first).await, Vec::<Value>::new());
    tenant.change(7, 200);
    let seen = changes(&session, list, &first).await;
    assert!(!seen.is_empty());
    let newest = seen[seen.len() - 1]["ChangeToken"]["StringValue"].as_str().expect("a token");
    assert_eq!(
        changes(&session, list, newest).await,
        Vec::<Value>::new(),
        "the last token is where the log ends"
    );
    let half = seen[seen.len() / 2]["ChangeToken"]["StringValue"].as_str().expect("a token");
    assert_eq!(changes(&session, list, half).await, seen[seen.len() / 2 + 1..]);
    let foreign = "1;3;00000000-0000-4000-8000-000000000001;639036288000000000;1";
    let query = json!({"query": {"Item": true, "Add": true, "ChangeTokenStart": {"StringValue": foreign}}});
    let refused = session.post(&format!("{list}/getchanges"), None, query).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_token_older_than_sixty_days_is_answered_with_silence_or_an_error() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let list = "/sites/a/_api/web/lists/getbytitle('Documents')";
    let state = session.json(&format!("{list}?$select=CurrentChangeToken")).await;
    let token = state["CurrentChangeToken"]["StringValue"].as_str().expect("a token").to_string();
    tenant.shared().clock.advance_ms(61 * 24 * 3600 * 1000);
    tenant.change(7, 200);
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    assert_eq!(
        changes(&session, list, &token).await,
        Vec::<Value>::new(),
        "nothing, though much has changed"
    );
    tenant.set_sharepoint_switches(Switches { expired_tokens: ExpiredTokens::Error, ..Switches::default() });
    let query = json!({"query": {"Item": true, "Add": true, "ChangeTokenStart": {"StringValue": token}}});
    let refused = session.post(&format!("{list}/getchanges"), None, query).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert!(
        read(refused).await["odata.error"]["code"]
            .as_str()
            .is_some_and(|code| code.starts_with("-2146232832"))
    );
}

#[tokio::test]
async fn writes_need_a_fresh_digest_of_their_site() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let items = "/sites/b/_api/web/lists/getbytitle('Inventory')/items";
    let body = json!({"Title": "one"});
    let code = async |answer: Response| {
        let status = answer.status();
        (status, read(answer).await["odata.error"]["code"].as_str().unwrap_or_default().to_string())
    };
    let stale = (StatusCode::FORBIDDEN, "-2130575251, Microsoft.SharePoint.SPException".to_string());
    assert_eq!(code(session.post(items, None, body.clone()).await).await, stale);
    let foreign = session.digest("/sites/a").await;
    assert_eq!(code(session.post(items, Some(&foreign), body.clone()).await).await, stale);
    let digest = session.digest("/sites/b").await;
    assert_eq!(session.post(items, Some(&digest), body.clone()).await.status(), StatusCode::CREATED);
    let typed = json!({"__metadata": {"type": "SP.ListItem"}, "Title": "two"});
    assert_eq!(session.post(items, Some(&digest), typed).await.status(), StatusCode::BAD_REQUEST);
    tenant.shared().clock.advance_ms(1_801_000);
    assert_eq!(code(session.post(items, Some(&digest), body).await).await, stale);
}

#[tokio::test]
async fn throttled_requests_say_how_long_to_stay_away() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let limits =
        Throttle { per_second: Some(5.0), burst: 2, penalty_ms: 1200, grace_ms: 0, ..Throttle::default() };
    tenant.shared().gate.set_throttle(None, Service::SharePoint, limits);
    assert_eq!(session.get("/_api/web").await.status(), StatusCode::OK);
    assert_eq!(session.get("/_api/web").await.status(), StatusCode::OK);
    let refused = session.get("/_api/web").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(retry_after(refused.headers()), 2, "rounded up to whole seconds");
    session.get("/_api/web").await;
    assert_eq!(tenant.counters().inside_backoff[&user(1)], 1);
    assert_eq!(tenant.counters().throttled[&user(1)], 2);
}

fn retry_after(headers: &HeaderMap) -> u64 {
    headers["retry-after"].to_str().ok().and_then(|value| value.parse().ok()).expect("seconds")
}

#[tokio::test]
async fn a_vanished_or_closed_site() {
    let tenant = started().await;
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let find = "/_api/search/query?querytext='contentclass:STS_Site'&trimduplicates=false&rowlimit=500";
    let found = async || session.json(find).await.to_string();
    assert!(found().await.contains("/sites/a"));
    let vanish = FaultRule { item: Some("/sites/a".into()), ..FaultRule::new(FaultKind::Vanish) };
    tenant.faults().add(vanish);
    assert!(!found().await.contains("/sites/a"));
    assert_eq!(session.get("/sites/a/_api/web").await.status(), StatusCode::NOT_FOUND);
    tenant.faults().clear();
    tenant.shared().accounts.update(&user(1), |account| {
        account.denied_sites.insert("/sites/b".into());
    });
    assert_eq!(session.get("/sites/b/_api/web").await.status(), StatusCode::FORBIDDEN);
    assert!(!found().await.contains("/sites/b\""));
}

#[tokio::test]
async fn the_control_port_drives_the_tenant() {
    let tenant = started().await;
    let control = &tenant.endpoints().control;
    let post = async |path: &str, body: Value| {
        let url = format!("{control}/control/{path}");
        client().post(url).body(body.to_string()).send().await.expect("an answer").status()
    };
    let session = sign_in(&tenant, 1, &tenant.endpoints().sharepoint).await;
    let limits = json!({"service": "sharepoint", "per_second": 1, "burst": 1, "status": 503});
    assert_eq!(post("throttle", limits).await, StatusCode::NO_CONTENT);
    assert_eq!(session.get("/_api/web").await.status(), StatusCode::OK);
    assert_eq!(session.get("/_api/web").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(post("throttle", json!({})).await, StatusCode::NO_CONTENT);
    let fault =
        json!({"service": "sharepoint", "operation": "web", "times": 1, "kind": {"type": "login_page"}});
    assert_eq!(post("fault", fault).await, StatusCode::NO_CONTENT);
    assert_eq!(session.get("/_api/web").await.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(session.get("/_api/web").await.status(), StatusCode::OK);
    assert_eq!(post("fault", json!({"kind": {"type": "nonsense"}})).await, StatusCode::BAD_REQUEST);
    let lines = async || {
        let url = format!("{control}/control/manifest");
        client().get(url).send().await.expect("an answer").text().await.expect("lines")
    };
    let before = lines().await;
    assert_eq!(before, lines().await);
    assert_eq!(post("change", json!({"seed": 7, "count": 20})).await, StatusCode::NO_CONTENT);
    assert_ne!(before, lines().await);
    assert_eq!(post("revoke", json!({"user": user(1)})).await, StatusCode::NO_CONTENT);
    assert_eq!(session.get("/_api/web").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post("revoke", json!({"user": "nobody"})).await, StatusCode::NOT_FOUND);
}
