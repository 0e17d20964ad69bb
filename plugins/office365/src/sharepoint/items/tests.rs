use serde_json::json;

use super::*;
use crate::sharepoint::lists;

fn list(library: bool) -> List {
    lists::example("0a7a1f00-0000-4000-8000-000000000001", "/sites/a/L", library)
}

fn events(row: Json, library: bool, parent: &str) -> Vec<Event> {
    Row::new(row).unwrap().events(&list(library), ItemId::from(parent), Extras::default())
}

fn offer(events: Vec<Event>) -> Offer {
    match events.into_iter().next() {
        Some(Event::Offer(offer)) => offer,
        other => panic!("{other:?}"),
    }
}

fn file_row() -> Json {
    json!({
        "odata.etag": "\"{X},9\"", "ID": 5, "FSObjType": 0, "FileRef": "/sites/a/L/x/it's 1.txt", "FileLeafRef": "it's 1.txt",
        "FileDirRef": "/sites/a/L/x", "UniqueId": "0A7A1F00-0000-4000-8000-00000000000B", "Modified": "2026-01-10T08:00:00Z",
        "Note": "n", "Nothing": null, "File": {"Length": "12", "ContentTag": "{0A},3,7", "ETag": "\"{0A},9\""},
    })
}

#[test]
fn a_file_has_its_own_id_and_a_tag_of_its_content() {
    let offer = offer(events(file_row(), true, "p"));
    let item = &offer.item;
    assert_eq!(item.id, ItemId::from("0a7a1f00-0000-4000-8000-00000000000b"));
    assert_eq!((item.name.display().as_ref(), item.parent.display().as_ref()), ("it's 1.txt", "p"));
    assert_eq!(item.tag, Tag::from("c{0A},3|12"), "metadata alone does not move it");
    assert_eq!(item.streams, [StreamInfo::content("", Some(12))]);
    assert!(item.meta.iter().any(|(name, value)| name == "Note" && *value == Value::Text("n".into())));
    assert!(
        !item.meta.iter().any(|(name, _)| name == "Nothing" || name == "File" || name.starts_with("odata"))
    );
}

#[test]
fn a_list_item_is_json_with_attachments() {
    let row = json!({
        "odata.etag": "\"9\"", "ID": 7, "FSObjType": "0", "FileRef": "/sites/a/L/7_.000", "FileLeafRef": "7_.000",
        "FileDirRef": "/sites/a/L", "Modified": "2026-01-10T08:00:00Z", "Title": "t", "B": 1, "A": 2.5,
        "X@odata.navigationLinkUrl": "u",
        "AttachmentFiles": [{"FileName": "a.txt", "ServerRelativeUrl": "/sites/a/L/Attachments/7/a.txt"}],
    });
    let offer = offer(events(row, false, "p"));
    assert_eq!(offer.item.id, ItemId::from("0a7a1f00-0000-4000-8000-000000000001/7"));
    assert_eq!(list_item_number(&offer.item.id), Some(7));
    assert_eq!(offer.item.name, Name::from("7_.000.json"));
    assert_eq!(offer.item.tag, Tag::from("9|2026-01-10T08:00:00Z"));
    let names: Vec<&str> = offer.item.streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["content", "attachment/a.txt"]);
    let carry = offer.carry.unwrap();
    let Some(Carry { of: Of::ListItem { content, attachments }, .. }) = carry.downcast_ref() else {
        panic!("no list item")
    };
    assert_eq!(attachments.as_slice(), ["/sites/a/L/Attachments/7/a.txt"]);
    let text = std::str::from_utf8(content).unwrap();
    assert!(text.find("\"A\": 2.5").unwrap() < text.find("\"B\": 1").unwrap(), "{text}");
    assert!(!text.contains("odata") && !text.contains("AttachmentFiles"));
}

#[test]
fn a_file_that_is_not_shown_is_owed_and_a_row_without_number_is_none() {
    let mut row = file_row();
    row["File"] = Json::Null;
    let said = events(row, true, "");
    assert!(matches!(&said[..], [Event::Unread(unread)] if unread.error.kind() == ErrorKind::Denied));
    assert!(Row::new(json!({"Title": "x"})).is_err());
}

#[test]
fn tags_fall_back_to_what_there_is() {
    assert_eq!(file_tag("", "\"{AB},4\"", Some(3)), Tag::from("eab,4|3"));
    assert!(file_tag("", "", None).is_empty());
}

#[test]
fn metadata_is_bounded() {
    let mut row = file_row();
    for number in 0..100 {
        row[format!("F{number:03}")] = json!("x".repeat(10_000));
    }
    row["Huge"] = json!("x".repeat(100_000));
    let item = offer(events(row, true, "")).item;
    let bytes: usize = item.meta.iter().map(|(name, value)| name.len() + value_bytes(value)).sum();
    assert!(bytes <= META_BYTES_MAX && !item.meta.iter().any(|(name, _)| name == "Huge"));
}
