//! From an address to the object that lives there.

use super::{Guid, Host, ItemKind, ItemRef, Web, World};

/// A folder: a list's root or one below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FolderRef {
    pub(crate) list: Guid,
    pub(crate) folder: Option<u32>,
}

/// What an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// The web's own root folder.
    WebRoot,
    Folder(FolderRef),
    File(ItemRef),
    /// A plain list item's `ID_.000`.
    Entry(ItemRef),
    Attachment(ItemRef, String),
    Nothing,
}

impl World {
    /// The web with the longest address that `path` (server-relative, decoded) lies in, and the rest of the path.
    pub(crate) fn web_at<'a>(&self, host: Host, path: &'a str) -> Option<(&Web, &'a str)> {
        self.webs
            .values()
            .filter(|web| web.host == host)
            .filter_map(|web| Some((web, below(path, &web.path)?)))
            .max_by_key(|(web, _)| web.path.len())
    }

    /// What lives at a server-relative, decoded address of this web; none if the address is another web's.
    pub(crate) fn locate(&self, web: &Web, path: &str) -> Option<Located> {
        let path = path.trim_end_matches('/');
        let home = self.web_at(web.host, if path.is_empty() { "/" } else { path })?.0;
        if home.id != web.id {
            return None;
        }
        if below(path, &web.path).is_some_and(str::is_empty) {
            return Some(Located::WebRoot);
        }
        let mut lists = self.lists.values().filter(|list| list.web == web.id);
        let Some((list, rest)) = lists.find_map(|list| Some((list, below(path, &list.root)?))) else {
            return Some(Located::Nothing);
        };
        let mut parent = None;
        let mut parts = rest.split('/').filter(|part| !part.is_empty()).peekable();
        if parts.peek() == Some(&"Attachments") && !list.is_library() {
            return Some(self.locate_attachment(&list.id, &parts.skip(1).collect::<Vec<_>>()));
        }
        while let Some(part) = parts.next() {
            let Some(item) = list.child(parent, part) else { return Some(Located::Nothing) };
            let at = ItemRef { list: list.id.clone(), id: item.id };
            match (&item.kind, parts.peek()) {
                (ItemKind::Folder, _) => parent = Some(item.id),
                (ItemKind::File(_), None) => return Some(Located::File(at)),
                (ItemKind::Entry, None) => return Some(Located::Entry(at)),
                _ => return Some(Located::Nothing),
            }
        }
        Some(Located::Folder(FolderRef { list: list.id.clone(), folder: parent }))
    }

    fn locate_attachment(&self, list: &Guid, parts: &[&str]) -> Located {
        let [id, name] = parts else { return Located::Nothing };
        let Ok(id) = id.parse() else { return Located::Nothing };
        let at = ItemRef { list: list.clone(), id };
        match self.item(&at).and_then(|item| item.attachment(name)) {
            Some(attachment) => {
                let name = attachment.name.clone();
                Located::Attachment(at, name)
            }
            None => Located::Nothing,
        }
    }
}

/// The part of `path` below `base`, compared without case; empty if they are the same, none if it is not below.
fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    if base == "/" {
        return path.strip_prefix('/').or(if path.is_empty() { Some("") } else { None });
    }
    let head = path.get(..base.len())?;
    if head.to_lowercase() != base.to_lowercase() {
        return None;
    }
    let rest = &path[base.len()..];
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}
