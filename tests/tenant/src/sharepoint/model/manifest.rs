//! What a right backup of SharePoint holds: one line per site, list, folder, file and list item.

use serde_json::{Value, json};

use super::{Item, ItemKind, List, World};
use crate::clock::iso_seconds;
use crate::content::{BodyError, FileBody};

/// One line, with the bodies whose digests it still lacks: working them out reads every byte, which must not happen
/// while the world is locked.
#[derive(Debug)]
pub(crate) struct Line {
    value: Value,
    body: Option<FileBody>,
    attachments: Vec<(String, FileBody)>,
}

impl Line {
    fn plain(value: Value) -> Self {
        Self { value, body: None, attachments: Vec::new() }
    }

    /// The finished line.
    pub(crate) fn finish(mut self) -> Result<Value, BodyError> {
        if let Some(body) = &self.body {
            self.value["blake3"] = json!(body.digest()?.to_hex().as_str());
        }
        if self.value["kind"] == "list_item" {
            let attachment = |(name, body): &(String, FileBody)| {
                Ok(json!({"name": name, "size": body.length(), "blake3": body.digest()?.to_hex().as_str()}))
            };
            let attachments =
                self.attachments.iter().map(attachment).collect::<Result<Vec<_>, BodyError>>()?;
            self.value["attachments"] = Value::Array(attachments);
        }
        Ok(self.value)
    }
}

impl World {
    /// Lines of all sites that hold something and are not hidden.
    pub(crate) fn manifest(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut webs: Vec<_> = self.webs.values().collect();
        webs.sort_by(|one, other| (one.host, &one.path).cmp(&(other.host, &other.path)));
        for web in webs {
            let lists: Vec<&List> = self.lists_of(&web.id).into_iter().filter(|list| !list.hidden).collect();
            if lists.is_empty() {
                continue;
            }
            let host = if web.host == super::Host::My { "my" } else { "sharepoint" };
            lines.push(Line::plain(json!({
                "service": "sharepoint", "host": host, "site": web.path, "kind": "site", "title": web.title,
            })));
            for list in lists {
                let kind = if list.is_library() { "library" } else { "list" };
                lines.push(Line::plain(json!({
                    "service": "sharepoint", "host": host, "site": web.path, "kind": kind, "title": list.title,
                    "path": list.root,
                })));
                lines.extend(list.items.values().map(|item| line_of(host, &web.path, list, item)));
            }
        }
        lines
    }
}

fn line_of(host: &str, site: &str, list: &List, item: &Item) -> Line {
    let mut value = json!({
        "service": "sharepoint", "host": host, "site": site, "list": list.title,
        "path": list.path_of(item), "unique_id": item.unique_id.as_str(), "modified": iso_seconds(item.modified),
    });
    match &item.kind {
        ItemKind::Folder => value["kind"] = json!("folder"),
        ItemKind::File(body) => {
            value["kind"] = json!("file");
            value["size"] = json!(body.length());
        }
        ItemKind::Entry => {
            value["kind"] = json!("list_item");
            value["item_id"] = json!(item.id);
            let columns = list.fields.iter().filter(|field| field.is_user_column());
            let fields = columns.map(|field| {
                let name = field.rest_name();
                let set = item.values.get(&name).cloned().unwrap_or(Value::Null);
                (name, set)
            });
            value["fields"] = Value::Object(fields.collect());
        }
    }
    let attachments = item.attachments.iter().map(|one| (one.name.clone(), one.body.clone())).collect();
    Line { value, body: item.body().cloned(), attachments }
}
