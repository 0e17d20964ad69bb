//! What a right backup of SharePoint holds: one line per site, list, folder, file and list item.

use serde_json::{Value, json};

use super::{Guid, Item, ItemKind, ItemRef, List, OldVersion, ROLES, Securable, World, version_label};
use crate::clock::iso_seconds;
use crate::content::{BodyError, FileBody};

/// One line, with the bodies whose digests it still lacks: working them out reads every byte, which must not happen
/// while the world is locked.
#[derive(Debug)]
pub(crate) struct Line {
    value: Value,
    body: Option<FileBody>,
    attachments: Vec<(String, FileBody)>,
    versions: Vec<OldVersion>,
}

impl Line {
    fn plain(value: Value) -> Self {
        Self { value, body: None, attachments: Vec::new(), versions: Vec::new() }
    }

    /// The finished line.
    pub(crate) fn finish(mut self) -> Result<Value, BodyError> {
        if let Some(body) = &self.body {
            self.value["blake3"] = json!(body.digest()?.to_hex().as_str());
        }
        if self.value["kind"] == "file" {
            let version = |old: &OldVersion| {
                Ok(json!({
                    "label": version_label(old.ui_version), "size": old.body.length(),
                    "blake3": old.body.digest()?.to_hex().as_str(),
                }))
            };
            let versions = self.versions.iter().map(version).collect::<Result<Vec<_>, BodyError>>()?;
            self.value["versions"] = Value::Array(versions);
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
            let mut site = json!({
                "service": "sharepoint", "host": host, "site": web.path, "kind": "site", "title": web.title,
                "description": web.description,
                "permissions": self.permissions(&web.id, &Securable::Web(web.id.clone())),
            });
            if web.parent.is_none() {
                site["groups"] = self.group_lines(&web.id);
            }
            lines.push(Line::plain(site));
            for list in lists {
                let kind = if list.is_library() { "library" } else { "list" };
                lines.push(Line::plain(json!({
                    "service": "sharepoint", "host": host, "site": web.path, "kind": kind, "title": list.title,
                    "path": list.root, "description": list.description,
                    "columns": list.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(),
                    "content_types": list.content_types.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(),
                    "views": list.views.iter().map(|view| view.title.as_str()).collect::<Vec<_>>(),
                    "permissions": self.permissions(&web.id, &Securable::List(list.id.clone())),
                })));
                lines.extend(list.items.values().map(|item| {
                    let mut line = line_of(host, &web.path, list, item);
                    let at = ItemRef { list: list.id.clone(), id: item.id };
                    line.value["permissions"] = self.permissions(&web.id, &Securable::Item(at));
                    line
                }));
            }
        }
        lines
    }

    /// Own permissions as roles by principal; null where those of what it lies in hold.
    fn permissions(&self, web: &Guid, of: &Securable) -> Value {
        let Some(acl) = self.own_acl(of) else { return Value::Null };
        let row = |(principal, role): &(u32, u32)| {
            let role = ROLES.iter().find(|known| known.0 == *role).map_or("", |known| known.2);
            Some((self.principal_name(web, *principal)?, json!([role])))
        };
        Value::Object(acl.0.iter().filter_map(row).collect())
    }

    fn group_lines(&self, web: &Guid) -> Value {
        let members = |ids: &[u32]| -> Vec<String> {
            ids.iter().filter_map(|id| self.person(*id).map(super::Person::login)).collect()
        };
        let groups = self.groups(web).iter();
        Value::Object(groups.map(|group| (group.name.clone(), json!(members(&group.members)))).collect())
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
    let versions = item.history.clone();
    Line { value, body: item.body().cloned(), attachments, versions }
}
