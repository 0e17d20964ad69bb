//! Content behind `$value`.

use super::node::Node;
use crate::content::FileBody;
use crate::counters::ContentKind;
use crate::sharepoint::model::World;

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

/// The content at `node`, if it has any.
pub(crate) fn content_of(world: &World, node: &Node) -> Option<Content> {
    match node {
        Node::File(at) => {
            let (list, item) = (world.list_of(at)?, world.item(at)?);
            Some(Content {
                body: item.body()?.clone(),
                kind: ContentKind::File,
                id: item.unique_id.to_string(),
                path: list.path_of(item),
                etag: item.etag_text(),
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
