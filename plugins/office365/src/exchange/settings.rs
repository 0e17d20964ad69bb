//! What a mailbox has beside folders and items: inbox rules, the automatic reply, categories, delegates, and who may do what in its folders. Each is
//! a JSON document in a folder of its own. Servers tell no changes of them, so all are asked for in each run, which is a handful
//! of requests; what is as it was is not stored again.

use std::collections::BTreeSet;

use larder_sdk::{
    Event, Item, ItemId, Kind, LogLevel, Name, Offer, Result, ScopeId, StreamInfo, Tag, Unread,
};
use serde_json::{Map, Value, json};

use super::{
    answer::Message,
    base64,
    client::{Asked, Failure},
    context::Context,
    faults::{Advice, Problem},
    offer,
    outbox::Outbox,
    rebuild::tree,
    requests::{self, Call, FolderRef},
    xml::Element,
};

/// The scope of settings; no tree of folders has it.
pub(super) const SCOPE: &str = "hierarchy settings";
/// The id of their folder.
const FOLDER: &str = "settings";
const FOLDER_NAME: &str = "Mailbox Settings";
/// Folders whose permissions one request asks for.
const BATCH: usize = 50;
/// Folders whose permissions are kept.
const FOLDERS_MAX: usize = 10_000;

/// One document: its id, its name, and what it is called in messages.
struct Setting {
    id: &'static str,
    name: &'static str,
    what: &'static str,
}

const RULES: Setting = Setting { id: "settings/rules", name: "Inbox Rules.json", what: "the inbox rules" };
const REPLY: Setting =
    Setting { id: "settings/out-of-office", name: "Out of Office.json", what: "the automatic reply" };
const CATEGORIES: Setting =
    Setting { id: "settings/categories", name: "Categories.json", what: "the categories" };
const DELEGATES: Setting =
    Setting { id: "settings/delegates", name: "Delegates.json", what: "the delegates" };
const PERMISSIONS: Setting =
    Setting { id: "settings/permissions", name: "Folder Permissions.json", what: "the folders' permissions" };

/// Tells of all of them. `folders` are the ids of the mailbox's folders.
pub(super) async fn tell(context: &Context, folders: &BTreeSet<String>, outbox: &mut Outbox) -> Result<()> {
    let folder = Item {
        id: FOLDER.into(),
        parent: ItemId::default(),
        name: FOLDER_NAME.into(),
        kind: Kind::FOLDER,
        folder: true,
        tag: Tag::default(),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: Vec::new(),
    };
    outbox.push(Event::Offer(Offer { scope: SCOPE.into(), item: folder, carry: None })).await?;
    let address = context.address.as_str();
    let direct = [
        (&RULES, requests::get_inbox_rules(address)),
        (&REPLY, requests::get_out_of_office(address)),
        (&CATEGORIES, requests::get_categories(context.client.known("calendar"))),
    ];
    for (setting, call) in direct {
        let read = ask(context, &call).await.map(|answer| document(setting, &answer));
        tell_one(context, setting, read, outbox).await?;
    }
    let read = context
        .client
        .call(&requests::get_delegates(address))
        .await
        .and_then(|messages| delegates(&messages));
    tell_one(context, &DELEGATES, read, outbox).await?;
    let ids: Vec<&String> = folders.iter().take(FOLDERS_MAX).collect();
    let read = permissions(context, &ids).await;
    tell_one(context, &PERMISSIONS, read, outbox).await?;
    outbox.flush().await
}

async fn ask(context: &Context, call: &Call) -> Asked<Element> {
    let answer = context.client.call_one(call).await?.element;
    // One operation puts the outcome one level deeper.
    match answer.child("ResponseMessage") {
        Some(message) if message.attribute("ResponseClass").is_some_and(|class| class == "Error") => {
            Err(Problem::of_message(message).into())
        }
        _ => Ok(answer),
    }
}

/// Offers a document; what this mailbox or this account does not have is left out, and stays as it was last seen.
async fn tell_one(
    context: &Context,
    setting: &Setting,
    read: Asked<Value>,
    outbox: &mut Outbox,
) -> Result<()> {
    let failure = match read {
        Ok(document) => return outbox.push(offer_of(setting, &document)).await,
        Err(failure) => failure,
    };
    let missing = matches!(&failure, Failure::Refused(problem)
        if problem.means_absent() || matches!(problem.advice(), Advice::Bug | Advice::ItemDamaged | Advice::NoMailbox));
    let error = failure.error(setting.what);
    if missing {
        context.log(LogLevel::Debug, &format!("not read: {error}"));
        return Ok(());
    }
    outbox
        .push(Event::Unread(Unread {
            scope: SCOPE.into(),
            id: setting.id.into(),
            parent: FOLDER.into(),
            name: setting.name.into(),
            error,
        }))
        .await
}

fn offer_of(setting: &Setting, document: &Value) -> Event {
    let content = serde_json::to_vec_pretty(document).unwrap_or_default();
    let item = Item {
        id: setting.id.into(),
        parent: FOLDER.into(),
        name: Name::from(setting.name),
        kind: Kind::new("settings"),
        folder: false,
        tag: Tag::from(format!("{:032x}", digest(&content))),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: vec![StreamInfo::content("application/json", Some(content.len() as u64))],
    };
    offer::offer_ready(ScopeId::from(SCOPE), item, content.into())
}

/// What is kept of an answer, without what differs from one to the next though nothing has changed.
fn document(setting: &Setting, answer: &Element) -> Value {
    if setting.id == CATEGORIES.id {
        let coded = answer.find("XmlData").map(|data| data.text.as_str()).unwrap_or_default();
        let text = base64::decode(coded).map(|xml| String::from_utf8_lossy(&xml).into_owned());
        return json!({ "xml": text });
    }
    let mut kept = Map::new();
    for child in &answer.children {
        if matches!(
            child.name.as_str(),
            "ResponseCode" | "ResponseMessage" | "DescriptiveLinkKey" | "MessageText"
        ) {
            continue;
        }
        let mut child = child.clone();
        let scheduled = child.text_of("OofState").is_none_or(|state| state == "Scheduled");
        // The times of a reply that follows no schedule are those of the answer.
        child.children.retain(|part| scheduled || part.name != "Duration");
        kept.insert(child.name.clone(), tree(&child));
    }
    Value::Object(kept)
}

/// The delegates, one a message.
fn delegates(messages: &[Message]) -> Asked<Value> {
    if let [Message { usable: false, problem: Some(problem), .. }] = messages {
        return Err(problem.clone().into());
    }
    let users = messages.iter().filter_map(|message| message.element.child("DelegateUser"));
    Ok(json!({ "delegates": users.map(tree).collect::<Vec<_>>() }))
}

/// Who may do what in the folders. Folders that do not tell are passed over.
async fn permissions(context: &Context, folders: &[&String]) -> Asked<Value> {
    let mut told = Vec::new();
    for batch in folders.chunks(BATCH) {
        let ids: Vec<FolderRef<'_>> = batch.iter().map(|id| FolderRef::Id(id)).collect();
        let messages = match context.client.call(&requests::get_permissions(&ids)).await {
            Ok(messages) => messages,
            // Of one folder alone, a refusal is that of the whole request.
            Err(Failure::Refused(problem)) if problem.means_absent() => continue,
            Err(failure) => return Err(failure),
        };
        for (id, message) in batch.iter().zip(messages) {
            let folder = message.element.child("Folders").and_then(|folders| folders.children.first());
            let Some(folder) = folder.filter(|_| message.usable) else { continue };
            if let Some(set) = folder.child("PermissionSet") {
                told.push(json!({
                    "folder": id,
                    "name": folder.text_of("DisplayName").unwrap_or_default(),
                    "permissions": tree(set),
                }));
            }
        }
    }
    Ok(json!({ "folders": told }))
}

/// FNV-1a of 128 bits: the same in every build, which is what a tag needs.
fn digest(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(digest(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(digest(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn times_of_a_reply_that_is_off_are_not_kept() {
        let answer = |state: &str, start: &str| {
            tree_of(&format!(
                "<R><ResponseMessage ResponseClass=\"Success\"/><OofSettings><OofState>{state}</OofState><Duration>\
                 <StartTime>{start}</StartTime></Duration></OofSettings></R>"
            ))
        };
        assert_eq!(document(&REPLY, &answer("Disabled", "1")), document(&REPLY, &answer("Disabled", "2")));
        assert_ne!(document(&REPLY, &answer("Scheduled", "1")), document(&REPLY, &answer("Scheduled", "2")));
    }

    #[test]
    fn categories_are_the_text_itself() {
        let coded = base64::encode(b"<categories/>");
        let answer =
            tree_of(&format!("<M><UserConfiguration><XmlData>{coded}</XmlData></UserConfiguration></M>"));
        assert_eq!(document(&CATEGORIES, &answer), json!({ "xml": "<categories/>" }));
    }
}
