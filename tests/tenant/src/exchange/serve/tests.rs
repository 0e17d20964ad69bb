use super::*;
use crate::account::Accounts;
use crate::content::{Rng, Size};
use crate::exchange::Switches;
use crate::fault::FaultRule;
use crate::gate::Throttle;

const ANN: &str = "<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>ann@contoso.example\
                   </t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>";
const INBOX: &str = "<t:DistinguishedFolderId Id=\"inbox\"/>";

fn server() -> Server {
    let shared = Arc::new(Shared::new(Accounts::new([Account::backup(1), Account::backup(2)]), 1));
    Server { shared, world: Arc::new(Mutex::new(World::generate(1, Size::Small))) }
}

fn http(method: Method, user: u32, body: String) -> Request {
    let account = Account::backup(user);
    let token = STANDARD.encode(format!("{}:{}", account.user, account.app_password));
    Request::builder()
        .method(method)
        .uri("/EWS/Exchange.asmx")
        .header(header::AUTHORIZATION, format!("Basic {token}"))
        .header(header::CONTENT_TYPE, "text/xml; charset=utf-8")
        .body(Body::from(body))
        .expect("a request")
}

fn envelope(header: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\" \
         xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\">\
         <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

async fn read(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let told =
        response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("a whole body");
    assert!(told.is_none_or(|told: usize| told == bytes.len()), "the length told is the length sent");
    (status, String::from_utf8(bytes.to_vec()).expect("UTF-8"))
}

async fn ask(server: &Server, body: &str) -> (StatusCode, String) {
    read(handle(State(server.clone()), http(Method::POST, 1, envelope(ANN, body))).await).await
}

/// The values of all attributes or elements that `before` and `after` enclose.
fn all<'t>(text: &'t str, before: &str, after: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

fn codes(text: &str) -> Vec<&str> {
    all(text, "<m:ResponseCode>", "<")
}

fn sync(folder: &str, state: &str, changes_max: u32) -> String {
    let state = if state.is_empty() { String::new() } else { format!("<m:SyncState>{state}</m:SyncState>") };
    format!(
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>\
         <m:SyncFolderId>{folder}</m:SyncFolderId>{state}<m:MaxChangesReturned>{changes_max}</m:MaxChangesReturned>\
         </m:SyncFolderItems>"
    )
}

fn get_items(shape: &str, ids: &[&str]) -> String {
    let ids = ids.iter().map(|id| format!("<t:ItemId Id=\"{id}\"/>")).collect::<Vec<_>>().concat();
    format!(
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{shape}</m:ItemShape><m:ItemIds>{ids}</m:ItemIds></m:GetItem>"
    )
}

async fn ids(server: &Server, folder: &str) -> Vec<String> {
    let (_, text) = ask(server, &sync(folder, "", 512)).await;
    all(&text, "<t:ItemId Id=\"", "\"").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn sign_in_switches_and_methods_decide_before_the_request_is_read() {
    let server = server();
    let mut request = http(Method::POST, 1, String::new());
    request.headers_mut().remove(header::AUTHORIZATION);
    let response = handle(State(server.clone()), request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    let status = |request| async { handle(State(server.clone()), request).await.status() };
    assert_eq!(status(http(Method::GET, 1, String::new())).await, StatusCode::METHOD_NOT_ALLOWED);
    let mut wrong = http(Method::POST, 1, String::new());
    wrong.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/soap+xml"));
    assert_eq!(status(wrong).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    server.lock().set_switches(Switches { enabled: false, ..Switches::default() });
    assert_eq!(status(http(Method::POST, 1, String::new())).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn impersonation_needs_the_right_and_a_primary_address() {
    let server = server();
    server.shared.accounts.update("backup2@contoso.example", |account| account.impersonation = false);
    let get = "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>\
               <t:DistinguishedFolderId Id=\"inbox\"/></m:FolderIds></m:GetFolder>";
    let code = async |user, header: &str| {
        let (status, text) =
            read(handle(State(server.clone()), http(Method::POST, user, envelope(header, get))).await).await;
        let code = all(&text, "ResponseCode", "<").concat();
        assert_eq!(status == StatusCode::OK, code.contains("NoError") || header.is_empty(), "{text}");
        code
    };
    assert!(code(1, ANN).await.contains("NoError"));
    assert!(code(2, ANN).await.contains("ErrorImpersonateUserDenied"));
    assert!(code(1, &ANN.replace("ann@", "nobody@")).await.contains("ErrorNonExistentMailbox"));
    assert!(code(1, &ANN.replace("ann@", "ann.archer@")).await.contains("ErrorNonPrimarySmtpAddress"));
    assert!(code(1, "").await.contains("ErrorMissingEmailAddress"));
    server
        .shared
        .faults
        .add(FaultRule { item: Some("ann@contoso.example".into()), ..FaultRule::new(FaultKind::Vanish) });
    assert!(code(1, ANN).await.contains("ErrorNonExistentMailbox"));
}

#[tokio::test]
async fn each_item_succeeds_or_fails_in_its_place() {
    let server = server();
    let ids = ids(&server, INBOX).await;
    let swapped: String = ids[0]
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let (_, folder) = ask(&server, &sync(INBOX, "", 1)).await;
    assert!(folder.contains("IncludesLastItemInRange>false"));
    let (status, text) = ask(&server, &get_items("", &[&ids[0], &swapped, "AAAA", &ids[1]])).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(codes(&text), ["NoError", "ErrorInvalidIdMalformed", "ErrorInvalidIdMalformed", "NoError"]);
    server.shared.faults.add(FaultRule {
        item: Some(ids[1].clone()),
        ..FaultRule::new(FaultKind::Item { status: 500, code: "ErrorCorruptData".into() })
    });
    let (_, text) = ask(&server, &get_items("", &[&ids[0], &ids[1], &ids[2]])).await;
    assert_eq!(codes(&text), ["NoError", "ErrorCorruptData", "NoError"]);
    server.shared.faults.clear();
    server.shared.faults.add(FaultRule {
        item: Some(ids[1].clone()),
        ..FaultRule::new(FaultKind::Item { status: 500, code: "ErrorBatchProcessingStopped".into() })
    });
    let (_, text) = ask(&server, &get_items("", &[&ids[0], &ids[1], &ids[2]])).await;
    assert_eq!(all(&text, "ResponseClass=\"", "\""), ["Success", "Warning", "Warning"]);
}

#[tokio::test]
async fn properties_of_another_kind_and_missing_mime_are_refused() {
    let server = server();
    let read = "<t:AdditionalProperties><t:FieldURI FieldURI=\"message:IsRead\"/></t:AdditionalProperties>";
    let mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>";
    for (folder, shape, wanted) in [
        ("inbox", read, "NoError"),
        ("calendar", read, "ErrorInvalidPropertyRequest"),
        ("contacts", read, "ErrorInvalidPropertyRequest"),
        ("calendar", mime, "NoError"),
        ("contacts", mime, "NoError"),
        ("tasks", mime, "ErrorUnsupportedMimeConversion"),
    ] {
        let ids = ids(&server, &INBOX.replace("inbox", folder)).await;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (_, text) = ask(&server, &get_items(shape, &ids)).await;
        assert!(codes(&text).contains(&wanted), "{folder}: {:?}", codes(&text));
    }
}

#[tokio::test]
async fn sync_pages_reach_the_manifest_and_states_can_expire() {
    let server = server();
    let (mut state, mut count) = (String::new(), 0);
    loop {
        let (_, text) = ask(&server, &sync(INBOX, &state, 5)).await;
        count += all(&text, "<t:Create>", "</t:Create>").len();
        state = all(&text, "<m:SyncState>", "<").concat();
        if text.contains("IncludesLastItemInRange>true") {
            break;
        }
    }
    let lines = server.lock().manifest_lines();
    let inbox = |line: &&serde_json::Value| {
        line["mailbox"] == "ann@contoso.example"
            && line["path"] == serde_json::json!(["Inbox"])
            && line["kind"] != "folder"
    };
    assert_eq!(count, lines.iter().filter(inbox).count());
    let (_, text) = ask(&server, &sync("<t:DistinguishedFolderId Id=\"drafts\"/>", &state, 5)).await;
    assert_eq!(codes(&text), ["ErrorInvalidSyncStateData"]);
    server.lock().expire_sync_states();
    let (_, text) = ask(&server, &sync(INBOX, &state, 5)).await;
    assert_eq!(codes(&text), ["ErrorInvalidSyncStateData"]);
    assert!(text.contains("<m:SyncState/>"));
}

#[tokio::test]
async fn throttling_tells_how_long_to_stay_away() {
    let server = server();
    let throttle = Throttle { per_second: Some(0.001), burst: 1, penalty_ms: 60_000, ..Throttle::default() };
    server.shared.gate.set_throttle(None, Service::Exchange, throttle);
    assert_eq!(ask(&server, &sync(INBOX, "", 5)).await.0, StatusCode::OK);
    let (status, text) = ask(&server, &sync(INBOX, "", 5)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        text.contains("ErrorServerBusy") && text.contains("<t:Value Name=\"BackOffMilliseconds\">60000<"),
        "{text}"
    );
    server.shared.gate.set_throttle(
        None,
        Service::Exchange,
        Throttle { max_concurrent: Some(1), ..Throttle::default() },
    );
    let open = handle(State(server.clone()), http(Method::POST, 1, envelope(ANN, &sync(INBOX, "", 5)))).await;
    let (_, text) = ask(&server, &sync(INBOX, "", 5)).await;
    assert!(text.contains("ErrorExceededConnectionCount"), "an unread answer holds its connection: {text}");
    drop(open);
}

#[tokio::test]
async fn bodies_break_as_asked() {
    let server = server();
    let rule = |kind| FaultRule { times: Some(1), ..FaultRule::new(kind) };
    server.shared.faults.add(rule(FaultKind::Truncate));
    let (status, text) = ask(&server, &sync(INBOX, "", 512)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(!text.contains("</s:Envelope>") && text.len() > 100);
    server.shared.faults.add(rule(FaultKind::Drop));
    let response =
        handle(State(server.clone()), http(Method::POST, 1, envelope(ANN, &sync(INBOX, "", 512)))).await;
    assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());
    server.shared.faults.add(rule(FaultKind::LoginPage));
    assert!(ask(&server, &sync(INBOX, "", 5)).await.1.starts_with("<!DOCTYPE html>"));
    server.shared.faults.add(rule(FaultKind::Status { status: 503, retry_after_seconds: Some(2) }));
    assert_eq!(ask(&server, &sync(INBOX, "", 5)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    server.shared.faults.add(rule(FaultKind::SyncStateRefused));
    let state = all(&ask(&server, &sync(INBOX, "", 5)).await.1, "<m:SyncState>", "<").concat();
    server.shared.faults.add(rule(FaultKind::SyncStateRefused));
    let (_, text) = ask(&server, &sync(INBOX, &state, 5)).await;
    assert_eq!(codes(&text), ["ErrorInvalidSyncStateData"]);
}

#[tokio::test]
async fn without_export_the_operation_does_not_exist() {
    let server = server();
    let ids = ids(&server, INBOX).await;
    let export =
        format!("<m:ExportItems><m:ItemIds><t:ItemId Id=\"{}\"/></m:ItemIds></m:ExportItems>", ids[0]);
    assert_eq!(codes(&ask(&server, &export).await.1), ["NoError"]);
    server.lock().set_switches(Switches { export_items: false, ..Switches::default() });
    let (status, text) = ask(&server, &export).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("Unknown request 'ExportItems'.") && !text.contains("<detail>"));
}

#[tokio::test]
async fn a_big_message_is_streamed_whole() {
    let server = server();
    server.lock().add_big_message(8_000_000);
    let ids = ids(&server, INBOX).await;
    let (_, text) =
        ask(&server, &get_items("<t:IncludeMimeContent>true</t:IncludeMimeContent>", &[&ids[0]])).await;
    let encoded = all(&text, "<t:MimeContent CharacterSet=\"UTF-8\">", "<").concat();
    let mime = STANDARD.decode(encoded).expect("base64");
    let lines = server.lock().manifest_lines();
    let line = lines.iter().find(|line| line["size"] == mime.len()).expect("in the manifest");
    assert_eq!(line["blake3"], blake3::hash(&mime).to_hex().as_str());
    assert!(mime.len() > 7_900_000);
    let bytes = STANDARD.decode(&ids[0]).expect("base64");
    let entry_id = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(server.shared.counters.snapshot().items_fetched[&entry_id], 1);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_changes() {
    let worlds = [World::generate(7, Size::Small), World::generate(7, Size::Small)];
    let lines = worlds.map(|mut world| {
        assert_eq!(world.change(&mut Rng::new(3), 200), 200);
        world.manifest_lines()
    });
    assert_eq!(lines[0], lines[1]);
    assert!(lines[0].len() > 350, "{}", lines[0].len());
}

#[tokio::test]
async fn folders_are_found_by_page_and_a_deleted_one_cannot_be_followed() {
    let server = server();
    let find = |traversal: &str, offset: usize| {
        format!(
            "<m:FindFolder Traversal=\"{traversal}\"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>\
             <m:IndexedPageFolderView MaxEntriesReturned=\"4\" Offset=\"{offset}\" BasePoint=\"Beginning\"/>\
             <m:ParentFolderIds><t:DistinguishedFolderId Id=\"msgfolderroot\"/></m:ParentFolderIds></m:FindFolder>"
        )
    };
    let (mut names, mut offset) = (Vec::new(), 0);
    loop {
        let (_, text) = ask(&server, &find("Deep", offset)).await;
        names.extend(all(&text, "<t:DisplayName>", "<").into_iter().map(str::to_owned));
        offset = all(&text, "IndexedPagingOffset=\"", "\"").concat().parse().expect("a number");
        if text.contains("IncludesLastItemInRange=\"true\"") {
            break;
        }
    }
    let lines = server.lock().manifest_lines();
    let folder =
        |line: &&serde_json::Value| line["mailbox"] == "ann@contoso.example" && line["kind"] == "folder";
    assert_eq!(names.len(), lines.iter().filter(folder).count());
    assert!(names.contains(&"Größe &amp; &lt;Weite&gt; 文件".to_owned()), "{names:?}");
    let (_, text) = ask(&server, &find("Shallow", 8)).await;
    let archive = all(&text, "<t:FolderId Id=\"", "\"").pop().expect("a folder").to_owned();
    let delete = format!(
        "<m:DeleteFolder DeleteType=\"HardDelete\"><m:FolderIds><t:FolderId Id=\"{archive}\"/></m:FolderIds></m:DeleteFolder>"
    );
    let refused = ask(&server, &delete).await.1;
    assert_eq!(codes(&refused), ["ErrorDeleteDistinguishedFolder"]);
    let create = "<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id=\"inbox\"/></m:ParentFolderId>\
                  <m:Folders><t:Folder><t:DisplayName>New</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>";
    let new = all(&ask(&server, create).await.1, "<t:FolderId Id=\"", "\"").concat();
    assert_eq!(codes(&ask(&server, create).await.1), ["ErrorFolderExists"]);
    assert_eq!(codes(&ask(&server, &delete.replace(&archive, &new)).await.1), ["NoError"]);
    let (_, text) = ask(&server, &sync(&format!("<t:FolderId Id=\"{new}\"/>"), "", 5)).await;
    assert_eq!(codes(&text), ["ErrorSyncFolderNotFound"]);
}

#[tokio::test]
async fn meetings_and_messages_never_go_out() {
    let server = server();
    let create = "<m:CreateItem MessageDisposition=\"SendAndSaveCopy\"><m:Items><t:Message><t:Subject>x</t:Subject>\
                  </t:Message></m:Items></m:CreateItem>";
    assert!(ask(&server, create).await.1.contains("ErrorSendAsDenied"));
    let undecided = create.replace(" MessageDisposition=\"SendAndSaveCopy\"", "");
    assert!(ask(&server, &undecided).await.1.contains("ErrorMessageDispositionRequired"));
    let read_only = create
        .replace("SendAndSaveCopy", "SaveOnly")
        .replace("</t:Subject>", "</t:Subject><t:Size>1</t:Size>");
    assert_eq!(codes(&ask(&server, &read_only).await.1), ["ErrorInvalidPropertySet"]);
}
