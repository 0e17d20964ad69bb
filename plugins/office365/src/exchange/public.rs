//! Public folders: one tree for the whole organisation, with rules of its own. It has no sync states and is listed level by level, and so are the items of
//! each of its folders; what has the version it had is not asked for again. Content may lie in another mailbox than the tree, which
//! each folder names and requests must be sent to.

use std::collections::{HashSet, VecDeque};

use larder_sdk::{Error, ErrorKind, Event, Item, ItemId, LogLevel, Offer, Result, ScopeId};
use tokio::sync::mpsc;

use super::{
    base64,
    client::{Asked, Client, Failure},
    context::Context,
    cursor::Place,
    export::Fidelity,
    faults::Advice,
    folders::{PUBLIC_ROOT, PUBLIC_SCOPE, Trees},
    ids::Ids,
    item::{id_of, is_version, with_read_flag},
    items::Wanted,
    offer::{self, At},
    outbox::{Outbox, Said},
    owed,
    page::is_mail,
    properties::{boolean, extended, tag_of},
    requests::{self, FolderRef, Paging},
    sync::{is_folders_own, tell_items},
    xml::Element,
};

/// Stands in a container's id where mailboxes have their address, which is in lower case.
pub(super) const ADDRESS: &str = "Public Folders";
/// Folders that are listed by one request.
const PARENTS: usize = 20;
/// Folders of the whole tree.
const FOLDERS_MAX: usize = 200_000;
/// Pages of one folder's listing.
const PAGES_MAX: usize = 100_000;
/// Rows at the end of a page that the next one begins with: so that what is deleted meanwhile pushes nothing past the border unseen.
const OVERLAP: usize = 10;
/// Letters of a GUID.
const GUID_LETTERS: usize = 36;

/// A folder of the tree.
struct Folder {
    id: String,
    item: Item,
    /// The mailbox its content lies in.
    replica: Option<String>,
}

/// Tells of all of it.
pub(super) async fn tell(context: &Context, way: &mpsc::Sender<Said>) -> Result<()> {
    let mut outbox = Outbox::new(way);
    let root = context.client.call_one(&requests::get_folder(&[FolderRef::Known(PUBLIC_ROOT, None)])).await;
    let root = root.map_err(|failure| failure.error(&context.address))?;
    let trees = Trees::public(&root.element);
    owed::tell(context, &trees, &mut outbox).await?;
    let folders = tell_tree(context, &trees, &mut outbox).await?;
    for folder in folders {
        let client = match &folder.replica {
            Some(replica) => context.client.routed(replica),
            None => context.client.clone(),
        };
        let scope = ScopeId::from(folder.id.as_str());
        let at = At { context, client: &client, scope: &scope, folder: &folder.id };
        match tell_folder(at, &mut outbox).await {
            Ok(()) => {}
            Err(failure) if is_folders_own(&failure) => {
                let error = failure.error(&format!("public folder {}", folder.item.name.display()));
                outbox
                    .push(offer::unread_folder(context, PUBLIC_SCOPE.into(), &folder.id, error).await)
                    .await?;
            }
            Err(failure) => return Err(failure.error(&context.address)),
        }
    }
    outbox.flush().await
}

/// Lists the folders, level by level. If some cannot be listed, nothing counts as gone.
async fn tell_tree(context: &Context, trees: &Trees, outbox: &mut Outbox) -> Result<Vec<Folder>> {
    let scope = ScopeId::from(PUBLIC_SCOPE);
    let mut folders: Vec<Folder> = Vec::new();
    let mut unread = Vec::new();
    let mut queue: VecDeque<(Option<String>, usize)> = VecDeque::from([(None, 0)]);
    while !queue.is_empty() {
        // Those of one offset go together; nearly all are at the first.
        let offset = queue[0].1;
        let together = queue.iter().take(PARENTS).take_while(|(_, at)| *at == offset).count();
        let batch: Vec<_> = queue.drain(..together).collect();
        let parents: Vec<FolderRef<'_>> = batch
            .iter()
            .map(|(id, _)| id.as_deref().map_or(FolderRef::Known(PUBLIC_ROOT, None), FolderRef::Id))
            .collect();
        let messages = context.client.call(&requests::find_folders(&parents, offset)).await;
        let messages = messages.map_err(|failure| failure.error(&context.address))?;
        for ((parent, _), message) in batch.into_iter().zip(messages) {
            if let Some(problem) = message.problem.filter(|_| !message.usable) {
                let error = problem.error(ADDRESS);
                match parent {
                    Some(id) => unread.push((id, error)),
                    None => return Err(error),
                }
                continue;
            }
            let before = folders.len();
            folders.extend(folders_of(context, trees, &message.element));
            if folders.len() > FOLDERS_MAX {
                let text = format!("{ADDRESS}: more than {FOLDERS_MAX} folders");
                return Err(Error::new(ErrorKind::Full, text).with_code("ews-too-many-folders"));
            }
            queue.extend(folders[before..].iter().map(|folder| (Some(folder.id.clone()), 0)));
            let paging = Paging::of(&message.element, offset, folders.len() - before);
            queue.extend(paging.next.map(|next| (parent, next)));
        }
    }
    if folders.is_empty() {
        context.log(
            LogLevel::Warning,
            "the tree is empty, as servers have been seen to show it to those who may not see it",
        );
    }
    let complete = unread.is_empty();
    if complete {
        outbox.push(Event::Begin(scope.clone())).await?;
    }
    for folder in &folders {
        let offer = Offer { scope: scope.clone(), item: folder.item.clone(), carry: None };
        outbox.push(Event::Offer(offer)).await?;
    }
    for (id, error) in unread {
        outbox.push(offer::unread_folder(context, scope.clone(), &id, error).await).await?;
    }
    if complete {
        outbox.push(Event::End(scope.clone())).await?;
        outbox.push(Event::Settled(scope, Place::nowhere().cursor())).await?;
        tell_gone(context, &folders, outbox).await?;
    }
    Ok(folders)
}

/// Scopes of folders that are not there any more.
async fn tell_gone(context: &Context, folders: &[Folder], outbox: &mut Outbox) -> Result<()> {
    let there: HashSet<&[u8]> = folders.iter().map(|folder| folder.id.as_bytes()).collect();
    for scope in context.host.scopes().await? {
        if scope.as_bytes() != PUBLIC_SCOPE.as_bytes() && !there.contains(scope.as_bytes()) {
            outbox.push(Event::ScopeGone(scope)).await?;
        }
    }
    Ok(())
}

fn folders_of(context: &Context, trees: &Trees, message: &Element) -> Vec<Folder> {
    let list = message.find("Folders").map(|list| list.children.as_slice()).unwrap_or_default();
    let folder = |element: &Element| {
        let item = trees.item(element)?;
        let id = element.child("FolderId").and_then(id_of)?.to_owned();
        Some(Folder { id, item, replica: replica(element, context.client.domain()) })
    };
    list.iter().filter_map(folder).collect()
}

/// The mailbox that a folder's content lies in: the GUID that `PR_REPLICA_LIST` begins with, in the domain of who asks.
fn replica(element: &Element, domain: Option<&str>) -> Option<String> {
    let value = extended(element, |uri| tag_of(uri) == Some(requests::REPLICA_LIST))?;
    let bytes = base64::decode(&value.text)?;
    let guid = std::str::from_utf8(bytes.get(..GUID_LETTERS)?).ok()?;
    let is_guid = guid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_guid.then(|| format!("{guid}@{}", domain.unwrap_or_default())).filter(|_| domain.is_some())
}

/// Lists a folder's items and tells of those that are new or have another version.
async fn tell_folder(at: At<'_>, outbox: &mut Outbox) -> Asked<()> {
    outbox.push(Event::Begin(at.scope.clone())).await?;
    let (mut offset, mut seen) = (0, HashSet::new());
    for _ in 0..PAGES_MAX {
        let message = at.client.call_one(&requests::find_items(at.folder, offset)).await?;
        let rows = message.element.find("Items").map(|list| list.children.as_slice()).unwrap_or_default();
        let mut queue = VecDeque::new();
        let mut on_page = HashSet::with_capacity(rows.len());
        for row in rows {
            let Some(id_element) = row.child("ItemId") else { continue };
            let Some(wire) = id_of(id_element) else { continue };
            on_page.insert(wire.to_owned());
            if seen.contains(wire) {
                continue;
            }
            // Servers convert ids of public folders wrongly.
            let ids = Ids::unconverted(wire);
            let version = id_element.attribute("ChangeKey").unwrap_or_default();
            match known(at, &ids.kept, version).await? {
                Some(item) => {
                    let item = match flag(row) {
                        Some(is_read) => with_read_flag(item, is_read),
                        None => item,
                    };
                    outbox.push(offer::offer_known(at, ids.wire, item)).await?;
                }
                None => queue.push_back(Wanted::new(ids, is_mail(&row.name))),
            }
        }
        tell_items(at, queue, outbox).await?;
        let Some(next) = Paging::of(&message.element, offset, rows.len()).next else {
            outbox.push(Event::End(at.scope.clone())).await?;
            outbox.push(Event::Settled(at.scope.clone(), Place::nowhere().cursor())).await?;
            return Ok(());
        };
        offset = if next > offset + OVERLAP { next - OVERLAP } else { next };
        seen = on_page;
    }
    let text = "the server goes on listing a public folder without an end";
    Err(Failure::Lost(Error::new(ErrorKind::CorruptItem, text).with_code("ews-folder-stuck")))
}

/// The read flag in a row.
fn flag(row: &Element) -> Option<bool> {
    boolean(&extended(row, |uri| tag_of(uri) == Some(requests::IS_READ))?.text)
}

/// What the host knows of an item, if that is its version, and content in the form wanted.
async fn known(at: At<'_>, id: &ItemId, version: &str) -> Result<Option<Item>> {
    if at.context.offered.has(id) {
        return Ok(None);
    }
    let fidelity: Fidelity = at.context.fidelity();
    let item = at.context.host.item(id).await?;
    Ok(item.filter(|item| {
        item.parent.as_bytes() == at.folder.as_bytes() && is_version(&item.tag, version, fidelity)
    }))
}

/// Whether there are public folders to read: `false` also where the server will not say why not.
pub(super) async fn are_there(client: &Client) -> Asked<bool> {
    match client.call_one(&requests::get_folder(&[FolderRef::Known(PUBLIC_ROOT, None)])).await {
        Ok(_) => Ok(true),
        Err(Failure::Refused(problem)) if problem.means_absent() || problem.advice() == Advice::NoMailbox => {
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn a_folder_names_the_mailbox_of_its_content() {
        let folder = |list: &[u8]| {
            tree_of(&format!(
                "<Folder><ExtendedProperty><ExtendedFieldURI PropertyTag=\"0x6698\" PropertyType=\"Binary\"/><Value>{}</Value>\
                 </ExtendedProperty></Folder>",
                base64::encode(list)
            ))
        };
        let guid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let list = format!("{guid}\0more");
        let found = replica(&folder(list.as_bytes()), Some("contoso.example"));
        assert_eq!(found.as_deref(), Some("0f8fad5b-d9cb-469f-a165-70867728950e@contoso.example"));
        assert_eq!(replica(&folder(list.as_bytes()), None), None);
        assert_eq!(replica(&folder(b"short"), Some("x")), None);
        assert_eq!(replica(&folder(&[0xFF; 40]), Some("x")), None);
        assert_eq!(replica(&folder("x\r\nX-Other: header, longer than a GUID".as_bytes()), Some("x")), None);
    }
}
