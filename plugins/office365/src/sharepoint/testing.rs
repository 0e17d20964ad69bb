//! Decoders of what SharePoint's REST service answers.

use larder_sdk::{Cursor, ItemId};
use serde_json::Value as Json;

use super::{
    changes::{self, Position, Since},
    discover, fault,
    items::{Extras, Row},
    json,
    lists::{self, List},
    web::absolute,
};
use crate::testing::{Decoder, keeps_the_rules};

const SITE: &str = r#"{"Id":"0A7A1F00-0000-4000-8000-000000000001","Url":"https://contoso.sharepoint.com/sites/a/sub",
"ServerRelativeUrl":"/sites/a/sub","Title":"Sub","Language":1033,"WebTemplate":"STS","Created":"2026-03-01T08:00:00Z"}"#;

const LISTS: &str = r#"{"odata.nextLink":"https://contoso.sharepoint.com/_api/web/lists?$skiptoken=1","value":[
{"Id":"0A7A1F00-0000-4000-8000-000000000002","Title":"Documents","Hidden":false,"BaseTemplate":101,"BaseType":1,"ItemCount":7,
"EnableAttachments":false,"Created":"2026-03-01T08:00:00Z","CurrentChangeToken":{"StringValue":"1;3;x;639036288000000000;4711"},
"RootFolder":{"ServerRelativeUrl":"/sites/a/Shared Documents","UniqueId":"0a7a1f00-0000-4000-8000-000000000003"}}]}"#;

const ROWS: [&str; 2] = [
    r#"{"value":[{"odata.etag":"\"1\"","ID":5,"FSObjType":0,"UniqueId":"{0A7A1F00-0000-4000-8000-000000000005}","FileRef":"/sites/a/L/5_.000",
"FileLeafRef":"5_.000","FileDirRef":"/sites/a/L","Title":"five","Modified":"2026-03-01T08:00:00Z","Number":1.5,"Many":["a",null,true],
"Deep":{"a":{"b":[1]}},"AttachmentFiles":[{"FileName":"a.txt","ServerRelativePath":{"DecodedUrl":"/sites/a/L/Attachments/5/a.txt"}},
{"FileName":"b","ServerRelativeUrl":"/sites/a/L/Attachments/5/b"}]}]}"#,
    r#"{"d":{"__next":"https://contoso.sharepoint.com/next","results":[{"__metadata":{"type":"SP.Data"},"ID":"7","FSObjType":"0",
"UniqueId":"0a7a1f00-0000-4000-8000-000000000007","FileRef":"/sites/a/Shared Documents/x/mail.eml","FileLeafRef":"mail.eml",
"FileDirRef":"/sites/a/Shared Documents/x","Modified":"2026-03-01T08:00:00Z","File":{"Length":"12345","ETag":"\"{0A7A1F00},2\"",
"ContentTag":"{0A7A1F00},2,3","TimeLastModified":"2026-03-01T08:00:00Z","UIVersionLabel":"3.0"}},{"ID":8,"FSObjType":1,
"UniqueId":"0a7a1f00-0000-4000-8000-000000000008","FileRef":"/sites/a/Shared Documents/x","FileLeafRef":"x"}]}}"#,
];

const CHANGES: &str = r#"{"d":{"results":[{"__metadata":{"type":"SP.ChangeItem"},"ChangeType":2,"ItemId":5,
"UniqueId":"0A7A1F00-0000-4000-8000-00000000000B","ChangeToken":{"StringValue":"1;3;x;639036288000000000;4712"}},
{"__metadata":{"type":"SP.ChangeItem"},"ChangeType":3,"ItemId":6},{"__metadata":{"type":"SP.ChangeList"},"ChangeType":2},
{"__metadata":{"type":"SP.ChangeFile"},"ChangeType":1}]}}"#;

const FOUND: &str = r#"{"PrimaryQueryResult":{"RelevantResults":{"Table":{"Rows":[{"Cells":[{"Key":"Path","Value":"https://contoso.sharepoint.com/sites/a"},
{"Key":"DocId","Value":"17"}]},{"Cells":{"results":[{"Key":"Path","Value":"https://contoso.sharepoint.com"}]}}]}}}}"#;

const FAULTS: [&str; 2] = [
    r#"{"odata.error":{"code":"-2130575338, Microsoft.SharePoint.SPException","message":{"lang":"en","value":"gone"}}}"#,
    r#"{"error":{"code":"-2147024891, System.UnauthorizedAccessException","message":"no"},"error_description":"no"}"#,
];

/// All of them.
pub(crate) fn decoders() -> Vec<Decoder> {
    vec![
        Decoder::new("SharePoint: site", &[SITE], |bytes| {
            let Some(site) = parsed(bytes) else { return false };
            discover::container("https://contoso.sharepoint.com/sites/a", "@root", &site, &site).is_ok()
        }),
        Decoder::new("SharePoint: lists", &[LISTS], |bytes| {
            let Some(rows) = rows(bytes) else { return false };
            let wanted = rows.iter().filter(|row| lists::is_wanted(row));
            for list in wanted.filter_map(lists::parse) {
                for event in super::reading::list_events(&list, Extras::default()) {
                    keeps_the_rules(event);
                }
            }
            true
        }),
        Decoder::new("SharePoint: rows", &ROWS, |bytes| {
            let Some(rows) = rows(bytes) else { return false };
            for list in [of("a list", false), of("Shared Documents", true)] {
                for row in rows.iter().filter_map(|row| Row::new(row.clone()).ok()) {
                    for event in row.events(&list, ItemId::from("parent"), Extras::default()) {
                        keeps_the_rules(event);
                    }
                }
            }
            true
        }),
        Decoder::new("SharePoint: change log", &[CHANGES], |bytes| {
            let Some(rows) = rows(bytes) else { return false };
            let mut since = Since::default();
            let told = rows.iter().all(|entry| changes::note(&mut since, entry, 4711));
            assert!(since.touched.len() <= rows.len());
            told
        }),
        Decoder::new("SharePoint: search", &[FOUND], |bytes| {
            parsed(bytes).is_some_and(|answer| !discover::search_rows(&answer).is_empty())
        }),
        Decoder::new("SharePoint: faults", &FAULTS, |bytes| {
            let (number, said) = fault::parse(bytes);
            assert!(said.chars().count() <= 200);
            let _ = fault::classify(500, number);
            number.is_some()
        }),
        Decoder::new(
            "cursor of a list",
            &[
                r#"{"token":"1;3;0a7a1f00-0000-4000-8000-000000000001;639036288000000000;4711","at":1700000000}"#,
            ],
            |bytes| {
                let Some(position) = Position::read(&Cursor::new(bytes)) else { return false };
                assert_eq!(Position::read(&position.cursor()).as_ref(), Some(&position));
                // Whatever stands in it, it can be compared.
                let current = position.is_current(&position.token);
                !current || position.is_fresh(&position.token, position.at)
            },
        ),
    ]
}

fn parsed(bytes: &[u8]) -> Option<Json> {
    serde_json::from_slice(bytes).ok()
}

fn rows(bytes: &[u8]) -> Option<Vec<Json>> {
    let (rows, next) = json::rows(parsed(bytes)?)?;
    // The next page's address is used only if it is one.
    drop(next.as_deref().map(absolute));
    Some(rows)
}

fn of(leaf: &str, library: bool) -> List {
    lists::example("0a7a1f00-0000-4000-8000-000000000001", &format!("/sites/a/{leaf}"), library)
}
