//! Walking an address, segment by segment.

use super::node::{FolderNode, Node};
use super::viewer::Viewer;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{FieldKind, FolderRef, Guid, ItemKind, ItemRef, Located, Web, World};
use crate::sharepoint::odata::{Literal, Segment, decode};

type Stepped = Result<Node, ApiError>;

/// Walks all segments from a web.
pub(crate) fn resolve(world: &World, web: &Guid, viewer: &Viewer, segments: &[Segment]) -> Stepped {
    let (first, rest) = segments.split_first().ok_or_else(|| ApiError::no_resource(""))?;
    let start = match first.name.as_str() {
        "web" => Node::Web(web.clone()),
        "site" => Node::Site(world.webs.get(web).ok_or_else(ApiError::item_missing)?.site.clone()),
        // The web's properties can be addressed without naming it.
        _ => step(world, &Node::Web(web.clone()), viewer, first)?,
    };
    rest.iter().try_fold(start, |node, segment| step(world, &node, viewer, segment))
}

/// One step from a node.
pub(crate) fn step(world: &World, node: &Node, viewer: &Viewer, segment: &Segment) -> Stepped {
    match node {
        Node::Web(id) => from_web(world, id, viewer, segment),
        Node::Site(id) => from_site(world, id, segment),
        Node::Lists(web) => from_lists(world, web, segment),
        Node::List(id) => from_list(world, id, segment),
        Node::Items(list) => match segment.name.as_str() {
            "getbyid" | "getitembyid" => item(world, list, segment.number()?),
            _ => Err(unknown(segment)),
        },
        Node::Item(at) => from_item(world, at, segment),
        Node::Folder(folder) => from_folder(world, folder, segment),
        Node::Files(folder) => match segment.name.as_str() {
            "getbyurl" | "getbypath" => file_named(world, folder, &segment.text()?),
            _ => Err(unknown(segment)),
        },
        Node::Folders(folder) => match segment.name.as_str() {
            "getbyurl" | "getbypath" => folder_named(world, folder, &segment.text()?),
            _ => Err(unknown(segment)),
        },
        Node::File(at) => from_file(world, at, segment),
        Node::Attachments(at) => match segment.name.as_str() {
            "getbyfilename" | "getbyfilenameaspath" => attachment(world, at, &segment.text()?),
            _ => Err(unknown(segment)),
        },
        Node::Fields(list) => match segment.name.as_str() {
            "getbyinternalnameortitle" | "getbytitle" => field(world, list, &segment.text()?),
            _ => Err(unknown(segment)),
        },
        Node::Users => match segment.name.as_str() {
            "getbyid" => user(world, segment.number()?),
            _ => Err(unknown(segment)),
        },
        _ => Err(unknown(segment)),
    }
}

fn unknown(segment: &Segment) -> ApiError {
    ApiError::no_resource(&segment.name)
}

/// A collection or, with a key in the segment, one of its members.
fn keyed(collection: Node, segment: &Segment, member: impl FnOnce(&Literal) -> Stepped) -> Stepped {
    segment.first().map_or(Ok(collection), member)
}

fn web_of<'a>(world: &'a World, id: &Guid) -> Result<&'a Web, ApiError> {
    world.webs.get(id).ok_or_else(ApiError::item_missing)
}

fn from_web(world: &World, id: &Guid, viewer: &Viewer, segment: &Segment) -> Stepped {
    let web = web_of(world, id)?;
    Ok(match segment.name.as_str() {
        "lists" => {
            return keyed(Node::Lists(id.clone()), segment, |key| {
                list_by_id(world, id, &key.guid().ok_or_else(|| unknown(segment))?)
            });
        }
        "webs" => Node::Webs(id.clone()),
        "getlist" => {
            let path = segment.text()?;
            return match world.locate(web, &path) {
                Some(Located::Folder(FolderRef { list, folder: None })) => Ok(Node::List(list)),
                Some(_) => Err(ApiError::list_missing(&path)),
                None => Err(ApiError::foreign_path(&path)),
            };
        }
        "getfilebyserverrelativepath" => return file_at(world, web, &segment.text()?),
        "getfilebyserverrelativeurl" => return file_at(world, web, &as_url(&segment.text()?)?),
        "getfolderbyserverrelativepath" => return folder_at(world, web, &segment.text()?),
        "getfolderbyserverrelativeurl" => return folder_at(world, web, &as_url(&segment.text()?)?),
        "getfilebyid" => return file_by_id(world, web, &segment.guid()?),
        "getfolderbyid" => return folder_by_id(world, web, &segment.guid()?),
        "rootfolder" => Node::Folder(FolderNode::WebRoot(id.clone())),
        "folders" => return folders(world, FolderNode::WebRoot(id.clone()), segment),
        "files" => Node::Files(FolderNode::WebRoot(id.clone())),
        "currentuser" => Node::User(viewer.person),
        "siteusers" | "users" => return keyed(Node::Users, segment, |key| person_key(world, key)),
        "getuserbyid" => return user(world, segment.number()?),
        "roledefinitions" => Node::Roles,
        "roleassignments" => Node::Empty("SP.RoleAssignment"),
        "sitegroups" => Node::Empty("SP.Group"),
        "recyclebin" => Node::Empty("SP.RecycleBinItem"),
        "parentweb" => web.parent.clone().map_or(Node::Null, Node::Web),
        _ => return Err(unknown(segment)),
    })
}

fn from_site(world: &World, id: &Guid, segment: &Segment) -> Stepped {
    let site = world.sites.get(id).ok_or_else(ApiError::item_missing)?;
    match segment.name.as_str() {
        "rootweb" => Ok(Node::Web(site.root_web.clone())),
        "recyclebin" => Ok(Node::Empty("SP.RecycleBinItem")),
        _ => Err(unknown(segment)),
    }
}

fn list_by_id(world: &World, web: &Guid, id: &Guid) -> Stepped {
    match world.lists.get(id) {
        Some(list) if list.web == *web => Ok(Node::List(id.clone())),
        _ => Err(ApiError::list_missing(id.as_str())),
    }
}

fn from_lists(world: &World, web: &Guid, segment: &Segment) -> Stepped {
    match segment.name.as_str() {
        "getbytitle" => {
            let title = segment.text()?;
            let lists = world.lists_of(web);
            let list = lists.into_iter().find(|list| list.title.eq_ignore_ascii_case(&title));
            list.map(|list| Node::List(list.id.clone())).ok_or_else(|| ApiError::list_missing(&title))
        }
        "getbyid" => list_by_id(world, web, &segment.guid()?),
        _ => Err(unknown(segment)),
    }
}

fn from_list(world: &World, id: &Guid, segment: &Segment) -> Stepped {
    let list = world.lists.get(id).ok_or_else(|| ApiError::list_missing(id.as_str()))?;
    Ok(match segment.name.as_str() {
        "items" => {
            return keyed(Node::Items(id.clone()), segment, |key| {
                let number = key.number().and_then(|number| u32::try_from(number).ok());
                item(world, id, number.ok_or_else(ApiError::item_missing)?)
            });
        }
        "getitembyid" => return item(world, id, segment.number()?),
        "rootfolder" => Node::Folder(FolderNode::InList(FolderRef { list: id.clone(), folder: None })),
        "fields" => {
            return keyed(Node::Fields(id.clone()), segment, |key| match key.guid() {
                Some(field) => Ok(Node::Field(id.clone(), field)),
                None => field(world, id, &key.text().unwrap_or_default()),
            });
        }
        "contenttypes" => Node::ContentTypes(id.clone()),
        "views" => return keyed(Node::Views(id.clone()), segment, |_| Ok(Node::View(id.clone()))),
        "defaultview" => Node::View(id.clone()),
        "parentweb" => Node::Web(list.web.clone()),
        "roleassignments" => Node::Empty("SP.RoleAssignment"),
        _ => return Err(unknown(segment)),
    })
}

fn item(world: &World, list: &Guid, id: u32) -> Stepped {
    let at = ItemRef { list: list.clone(), id };
    if world.item(&at).is_some() { Ok(Node::Item(at)) } else { Err(ApiError::item_missing()) }
}

fn field(world: &World, list: &Guid, name: &str) -> Stepped {
    let list = world.lists.get(list).ok_or_else(|| ApiError::list_missing(name))?;
    let field = list.fields.iter().find(|field| field.name == name || field.title == name);
    let field = field.ok_or_else(|| ApiError::no_field(name))?;
    Ok(Node::Field(list.id.clone(), field.id.clone()))
}

fn from_item(world: &World, at: &ItemRef, segment: &Segment) -> Stepped {
    let item = world.item(at).ok_or_else(ApiError::item_missing)?;
    let list = world.list_of(at).ok_or_else(ApiError::item_missing)?;
    Ok(match segment.name.as_str() {
        "file" => {
            if item.body().is_some() {
                Node::File(at.clone())
            } else {
                Node::Null
            }
        }
        "folder" if item.is_folder() => {
            Node::Folder(FolderNode::InList(FolderRef { list: at.list.clone(), folder: Some(at.id) }))
        }
        "folder" => Node::Null,
        "attachmentfiles" => {
            return keyed(Node::Attachments(at.clone()), segment, |key| {
                attachment(world, at, &key.text().unwrap_or_default())
            });
        }
        "fieldvaluesastext" => Node::ItemText(at.clone()),
        "versions" => Node::Empty("SP.ListItemVersion"),
        "roleassignments" => Node::Empty("SP.RoleAssignment"),
        "parentlist" => Node::List(at.list.clone()),
        "author" => Node::ItemPerson(item.author),
        "editor" => Node::ItemPerson(item.editor),
        name => {
            let field = list.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            let value =
                |name: &str| item.values.get(name).and_then(|value| u32::try_from(value.as_u64()?).ok());
            return match field.map(|field| (&field.kind, value(&field.rest_name()))) {
                Some((FieldKind::User, id)) => Ok(id.map_or(Node::Null, Node::ItemPerson)),
                Some((FieldKind::Lookup(list), id)) => {
                    let target = id.map(|id| ItemRef { list: list.clone(), id });
                    Ok(target.filter(|at| world.item(at).is_some()).map_or(Node::Null, Node::Item))
                }
                _ => Err(unknown(segment)),
            };
        }
    })
}

fn from_folder(world: &World, folder: &FolderNode, segment: &Segment) -> Stepped {
    Ok(match segment.name.as_str() {
        "files" => {
            return keyed(Node::Files(folder.clone()), segment, |key| {
                file_named(world, folder, &key.text().unwrap_or_default())
            });
        }
        "folders" => return folders(world, folder.clone(), segment),
        "listitemallfields" => match folder {
            FolderNode::InList(FolderRef { list, folder: Some(id) }) => {
                Node::Item(ItemRef { list: list.clone(), id: *id })
            }
            _ => Node::Null,
        },
        "parentfolder" => match folder {
            FolderNode::InList(FolderRef { list, folder: Some(id) }) => {
                let parent =
                    world.lists.get(list).and_then(|list| list.items.get(id)).and_then(|item| item.parent);
                Node::Folder(FolderNode::InList(FolderRef { list: list.clone(), folder: parent }))
            }
            _ => Node::Null,
        },
        _ => return Err(unknown(segment)),
    })
}

fn folders(world: &World, folder: FolderNode, segment: &Segment) -> Stepped {
    match segment.first() {
        Some(key) => folder_named(world, &folder, &key.text().unwrap_or_default()),
        None => Ok(Node::Folders(folder)),
    }
}

fn from_file(world: &World, at: &ItemRef, segment: &Segment) -> Stepped {
    let item = world.item(at).ok_or_else(ApiError::file_missing)?;
    Ok(match segment.name.as_str() {
        "listitemallfields" => Node::Item(at.clone()),
        "author" => Node::User(item.author),
        "modifiedby" => Node::User(item.editor),
        "versions" => Node::Empty("SP.FileVersion"),
        "checkedoutbyuser" | "lockedbyuser" => Node::Null,
        _ => return Err(unknown(segment)),
    })
}

/// What the older `…ByServerRelativeUrl` makes of its argument: it decodes once more and stops at `#`.
fn as_url(text: &str) -> Result<String, ApiError> {
    let decoded = decode(text).ok_or_else(|| ApiError::foreign_path(text))?;
    Ok(decoded.split('#').next().unwrap_or_default().to_string())
}

fn file_at(world: &World, web: &Web, path: &str) -> Stepped {
    match world.locate(web, &absolute(web, path)) {
        Some(Located::File(at)) => Ok(Node::File(at)),
        Some(Located::Attachment(at, name)) => Ok(Node::Attachment(at, name)),
        Some(_) => Err(ApiError::file_missing()),
        None => Err(ApiError::foreign_path(path)),
    }
}

fn folder_at(world: &World, web: &Web, path: &str) -> Stepped {
    match world.locate(web, &absolute(web, path)) {
        Some(Located::Folder(folder)) => Ok(Node::Folder(FolderNode::InList(folder))),
        Some(Located::WebRoot) => Ok(Node::Folder(FolderNode::WebRoot(web.id.clone()))),
        Some(Located::Nothing) if absolute(web, path).eq_ignore_ascii_case(&web.join("Lists")) => {
            Ok(Node::Folder(FolderNode::Lists(web.id.clone())))
        }
        Some(_) => Err(ApiError::file_missing()),
        None => Err(ApiError::foreign_path(path)),
    }
}

/// A path that does not begin with a slash is below the web.
fn absolute(web: &Web, path: &str) -> String {
    if path.starts_with('/') { path.to_string() } else { web.join(path) }
}

fn in_web<'a>(world: &'a World, web: &Web, id: &Guid) -> Option<&'a ItemRef> {
    let at = world.by_unique_id(id)?;
    (world.list_of(at)?.web == web.id).then_some(at)
}

fn file_by_id(world: &World, web: &Web, id: &Guid) -> Stepped {
    let at = in_web(world, web, id).ok_or_else(ApiError::file_missing)?;
    match world.item(at).map(|item| &item.kind) {
        Some(ItemKind::File(_)) => Ok(Node::File(at.clone())),
        _ => Err(ApiError::file_missing()),
    }
}

fn folder_by_id(world: &World, web: &Web, id: &Guid) -> Stepped {
    let root = world.lists_of(&web.id).into_iter().find(|list| list.root_unique_id == *id);
    if let Some(list) = root {
        return Ok(Node::Folder(FolderNode::InList(FolderRef { list: list.id.clone(), folder: None })));
    }
    let at = in_web(world, web, id).ok_or_else(ApiError::file_missing)?;
    match world.item(at) {
        Some(item) if item.is_folder() => {
            Ok(Node::Folder(FolderNode::InList(FolderRef { list: at.list.clone(), folder: Some(at.id) })))
        }
        _ => Err(ApiError::file_missing()),
    }
}

fn file_named(world: &World, folder: &FolderNode, name: &str) -> Stepped {
    let FolderNode::InList(FolderRef { list, folder }) = folder else { return Err(ApiError::file_missing()) };
    let leaf = name.rsplit('/').next().unwrap_or(name);
    let item =
        world.lists.get(list).and_then(|list| list.child(*folder, leaf)).filter(|item| item.body().is_some());
    let item = item.ok_or_else(ApiError::file_missing)?;
    Ok(Node::File(ItemRef { list: list.clone(), id: item.id }))
}

fn folder_named(world: &World, folder: &FolderNode, name: &str) -> Stepped {
    match folder {
        FolderNode::WebRoot(web) | FolderNode::Lists(web) => {
            let web = web_of(world, web)?;
            let below = if matches!(folder, FolderNode::Lists(_)) {
                format!("Lists/{name}")
            } else {
                name.to_string()
            };
            folder_at(world, web, &if name.starts_with('/') { name.to_string() } else { web.join(&below) })
        }
        FolderNode::InList(FolderRef { list, folder }) => {
            let leaf = name.rsplit('/').next().unwrap_or(name);
            let found = world.lists.get(list).and_then(|list| list.child(*folder, leaf));
            let item = found.filter(|item| item.is_folder()).ok_or_else(ApiError::file_missing)?;
            Ok(Node::Folder(FolderNode::InList(FolderRef { list: list.clone(), folder: Some(item.id) })))
        }
    }
}

fn attachment(world: &World, at: &ItemRef, name: &str) -> Stepped {
    let item = world.item(at).ok_or_else(ApiError::item_missing)?;
    let found = item.attachment(name).ok_or_else(ApiError::file_missing)?;
    Ok(Node::Attachment(at.clone(), found.name.clone()))
}

fn user(world: &World, id: u32) -> Stepped {
    world.person(id).map(|person| Node::User(person.id)).ok_or_else(ApiError::unknown_user)
}

fn person_key(world: &World, key: &Literal) -> Stepped {
    if let Literal::Text(login) = key {
        let person = world.people.iter().find(|person| person.login() == *login);
        return person.map(|person| Node::User(person.id)).ok_or_else(ApiError::unknown_user);
    }
    let id = key.number().and_then(|number| u32::try_from(number).ok());
    user(world, id.ok_or_else(ApiError::unknown_user)?)
}
