//! Walking an address, segment by segment.

use super::find::{
    as_url, attachment, file_at, file_by_id, file_named, folder_at, folder_by_id, folder_named, person_key,
    user,
};
use super::node::{FolderNode, Node};
use super::viewer::Viewer;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{FieldKind, FolderRef, Guid, ItemRef, Located, Securable, Web, World};
use crate::sharepoint::odata::{Literal, Segment};

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
        Node::FileVersions(at) => match segment.name.as_str() {
            "getbyid" => file_version(world, at, segment.number()?),
            _ => Err(unknown(segment)),
        },
        Node::FileVersion(at, id) => match segment.name.as_str() {
            "createdby" => {
                let item = world.item(at).ok_or_else(ApiError::file_missing)?;
                let old = item.history.iter().find(|old| old.ui_version == *id);
                Ok(old.map_or(Node::Null, |old| Node::User(old.editor)))
            }
            _ => Err(unknown(segment)),
        },
        Node::RoleAssignment(of, principal) => from_assignment(world, of, *principal, segment),
        Node::Groups(web) => match segment.name.as_str() {
            "getbyid" => group(world, web, segment.number()?),
            "getbyname" => {
                let name = segment.text()?;
                let found = world.groups(web).iter().find(|group| group.name == name);
                found.map(|found| Node::Group(web.clone(), found.id)).ok_or_else(ApiError::unknown_user)
            }
            _ => Err(unknown(segment)),
        },
        Node::Group(web, id) => match segment.name.as_str() {
            "users" => Ok(Node::GroupUsers(web.clone(), *id)),
            "owner" => Ok(Node::Group(web.clone(), *id)),
            _ => Err(unknown(segment)),
        },
        Node::ContentType(list, number) => match segment.name.as_str() {
            "fieldlinks" => Ok(Node::FieldLinks(list.clone(), *number)),
            _ => Err(unknown(segment)),
        },
        Node::View(list, view) => match segment.name.as_str() {
            "viewfields" => Ok(Node::ViewFields(list.clone(), view.clone())),
            _ => Err(unknown(segment)),
        },
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

pub(super) fn web_of<'a>(world: &'a World, id: &Guid) -> Result<&'a Web, ApiError> {
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
        "roleassignments" => Node::Assignments(Securable::Web(id.clone())),
        "sitegroups" => {
            return keyed(Node::Groups(id.clone()), segment, |key| {
                let id_of_group = key.number().and_then(|number| u32::try_from(number).ok());
                group(world, id, id_of_group.ok_or_else(ApiError::unknown_user)?)
            });
        }
        "recyclebin" => Node::RecycleBin(id.clone()),
        "fields" => Node::Empty("SP.Field"),
        "contenttypes" => Node::Empty("SP.ContentType"),
        "parentweb" => web.parent.clone().map_or(Node::Null, Node::Web),
        _ => return Err(unknown(segment)),
    })
}

fn from_site(world: &World, id: &Guid, segment: &Segment) -> Stepped {
    let site = world.sites.get(id).ok_or_else(ApiError::item_missing)?;
    match segment.name.as_str() {
        "rootweb" => Ok(Node::Web(site.root_web.clone())),
        "recyclebin" => Ok(Node::RecycleBin(site.root_web.clone())),
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
        "views" => {
            return keyed(Node::Views(id.clone()), segment, |key| {
                Ok(Node::View(id.clone(), key.guid().ok_or_else(|| unknown(segment))?))
            });
        }
        "defaultview" => {
            let view = list.views.iter().find(|view| view.default).ok_or_else(ApiError::item_missing)?;
            Node::View(id.clone(), view.id.clone())
        }
        "parentweb" => Node::Web(list.web.clone()),
        "roleassignments" => Node::Assignments(Securable::List(id.clone())),
        _ => return Err(unknown(segment)),
    })
}

fn file_version(world: &World, at: &ItemRef, id: u32) -> Stepped {
    let there = world.item(at).is_some_and(|item| item.history.iter().any(|old| old.ui_version == id));
    if there { Ok(Node::FileVersion(at.clone(), id)) } else { Err(ApiError::file_missing()) }
}

fn group(world: &World, web: &Guid, id: u32) -> Stepped {
    let there = world.groups(web).iter().any(|group| group.id == id);
    if there { Ok(Node::Group(web.clone(), id)) } else { Err(ApiError::unknown_user()) }
}

fn from_assignment(world: &World, of: &Securable, principal: u32, segment: &Segment) -> Stepped {
    match segment.name.as_str() {
        "member" => {
            let web = match of {
                Securable::Web(id) => id.clone(),
                Securable::List(id) => world.lists.get(id).ok_or_else(ApiError::item_missing)?.web.clone(),
                Securable::Item(at) => world.list_of(at).ok_or_else(ApiError::item_missing)?.web.clone(),
            };
            group(world, &web, principal).or_else(|_| user(world, principal))
        }
        "roledefinitionbindings" => Ok(Node::Bindings(of.clone(), principal)),
        _ => Err(unknown(segment)),
    }
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
        "roleassignments" => Node::Assignments(Securable::Item(at.clone())),
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
        "versions" => {
            return keyed(Node::FileVersions(at.clone()), segment, |key| {
                let id = key.number().and_then(|number| u32::try_from(number).ok());
                file_version(world, at, id.ok_or_else(ApiError::file_missing)?)
            });
        }
        "checkedoutbyuser" => item.checked_out.map_or(Node::Null, Node::User),
        "lockedbyuser" => Node::Null,
        _ => return Err(unknown(segment)),
    })
}
