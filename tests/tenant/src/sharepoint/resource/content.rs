//! Content behind `$value`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::node::Node;
use crate::content::{BodyKind, FileBody};
use crate::counters::ContentKind;
use crate::sharepoint::model::{World, version_label};

/// Bytes to send, with what counters and faults know them by.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) body: FileBody,
    pub(crate) kind: ContentKind,
    /// The id counted: the file's unique id, or the item's with the attachment's name.
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) etag: String,
}

/// A file as it is given out where rights are managed: other bytes and another length each time.
fn protected(body: &FileBody) -> FileBody {
    static TIMES: AtomicU64 = AtomicU64::new(1);
    let times = TIMES.fetch_add(1, Ordering::Relaxed);
    FileBody::generated(BodyKind::Packed, times, body.length() + 4096 + times % 7)
}

/// The content at `node`, if it has any.
pub(crate) fn content_of(world: &World, node: &Node) -> Option<Content> {
    match node {
        Node::File(at) => {
            let (list, item) = (world.list_of(at)?, world.item(at)?);
            let body = item.body()?.clone();
            Some(Content {
                body: if list.protected { protected(&body) } else { body },
                kind: ContentKind::File,
                id: item.unique_id.to_string(),
                path: list.path_of(item),
                etag: item.etag_text(),
            })
        }
        Node::FileVersion(at, id) => {
            let (list, item) = (world.list_of(at)?, world.item(at)?);
            let old = item.history.iter().find(|old| old.ui_version == *id)?;
            Some(Content {
                body: old.body.clone(),
                kind: ContentKind::File,
                id: format!("{}/{}", item.unique_id, version_label(*id)),
                path: format!("{}/{}", list.path_of(item), version_label(*id)),
                etag: format!("\"{{{}}},{id}\"", item.unique_id),
            })
        }
        Node::Attachment(at, name) => {
            let (list, item) = (world.list_of(at)?, world.item(at)?);
            Some(Content {
                body: item.attachment(name)?.body.clone(),
                kind: ContentKind::Attachment,
                id: format!("{}/{name}", item.unique_id),
                path: format!("{}/Attachments/{}/{name}", list.root, at.id),
                etag: item.etag_text(),
            })
        }
        _ => None,
    }
}
