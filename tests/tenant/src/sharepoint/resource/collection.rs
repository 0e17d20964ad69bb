//! Members of collections: filtered, ordered, and paged where SharePoint pages.

use serde_json::Value;

use super::node::{FolderNode, Node};
use super::viewer::Viewer;
use super::{describe, list};
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{FolderRef, Guid, Item, ItemRef, List, ROLES, World};
use crate::sharepoint::odata::{Entity, Filter, Prop, QueryOptions, compare};

/// Items per page unless `$top` says otherwise.
const PAGE_ITEMS: usize = 100;
/// Most items per page.
const PAGE_ITEMS_MAX: usize = 5000;
/// Items a query may touch on a column without an index.
const THRESHOLD_ITEMS: usize = 5000;

/// Some members of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Type name of the members.
    pub(crate) kind: String,
    pub(crate) nodes: Vec<Node>,
    /// Where the next page begins.
    pub(crate) skip_token: Option<String>,
}

/// The members at `node`, as the options ask; none if `node` is no collection.
pub(crate) fn list_nodes(
    world: &World,
    viewer: &Viewer,
    node: &Node,
    options: &QueryOptions,
) -> Result<Option<Page>, ApiError> {
    if let Node::Items(id) = node {
        return items(world, viewer, id, options).map(Some);
    }
    let Some((kind, nodes)) = members(world, viewer, node)? else { return Ok(None) };
    let nodes = narrowed(world, viewer, nodes, options)?;
    let nodes = nodes.into_iter().skip(options.skip).take(options.top.unwrap_or(usize::MAX)).collect();
    Ok(Some(Page { kind, nodes, skip_token: None }))
}

fn members(world: &World, viewer: &Viewer, node: &Node) -> Result<Option<(String, Vec<Node>)>, ApiError> {
    let (kind, nodes): (&str, Vec<Node>) = match node {
        Node::Webs(id) => {
            let below = world.webs_below(id).into_iter().filter(|web| !viewer.hidden.contains(&web.id));
            ("SP.Web", below.map(|web| Node::Web(web.id.clone())).collect())
        }
        Node::Lists(web) => {
            ("SP.List", world.lists_of(web).into_iter().map(|list| Node::List(list.id.clone())).collect())
        }
        Node::Fields(id) => {
            let fields = list_of(world, id)?.fields.iter();
            ("SP.Field", fields.map(|field| Node::Field(id.clone(), field.id.clone())).collect())
        }
        Node::ContentTypes(id) => {
            let count = list::content_types(list_of(world, id)?).len();
            ("SP.ContentType", (0..count).map(|number| Node::ContentType(id.clone(), number)).collect())
        }
        Node::FieldLinks(id, number) => {
            let list = list_of(world, id)?;
            let names = list::content_types(list).into_iter().nth(*number).map(|found| found.2);
            let known = names.unwrap_or_default().into_iter().filter(|name| list.field(name).is_some());
            ("SP.FieldLink", known.map(|name| Node::FieldLink(id.clone(), name)).collect())
        }
        Node::Views(id) => {
            let views = list_of(world, id)?.views.iter();
            ("SP.View", views.map(|view| Node::View(id.clone(), view.id.clone())).collect())
        }
        Node::FileVersions(at) => {
            let item = world.item(at).ok_or_else(ApiError::file_missing)?;
            let versions = item.history.iter();
            ("SP.FileVersion", versions.map(|old| Node::FileVersion(at.clone(), old.ui_version)).collect())
        }
        Node::Assignments(of) => {
            let mut principals: Vec<u32> =
                world.acl(of).into_iter().flat_map(|acl| acl.0.iter().map(|row| row.0)).collect();
            principals.dedup();
            let rows = principals.into_iter().map(|id| Node::RoleAssignment(of.clone(), id));
            ("SP.RoleAssignment", rows.collect())
        }
        Node::Bindings(of, principal) => {
            let acl = world.acl(of).into_iter().flat_map(|acl| acl.0.iter());
            let mine = acl.filter(|row| row.0 == *principal);
            let roles = mine.filter_map(|row| ROLES.iter().position(|role| role.0 == row.1));
            ("SP.RoleDefinition", roles.map(Node::Role).collect())
        }
        Node::Groups(web) => {
            let groups = world.groups(web).iter();
            ("SP.Group", groups.map(|group| Node::Group(web.clone(), group.id)).collect())
        }
        Node::GroupUsers(web, id) => {
            let group = world.groups(web).iter().find(|group| group.id == *id);
            let members = group.into_iter().flat_map(|group| &group.members);
            ("SP.User", members.map(|id| Node::User(*id)).collect())
        }
        Node::RecycleBin(web) => {
            let entries = world.recycled.iter().filter(|entry| entry.web == *web);
            ("SP.RecycleBinItem", entries.map(|entry| Node::Recycled(entry.id.clone())).collect())
        }
        Node::Folders(folder) => ("SP.Folder", folders(world, folder)?),
        Node::Files(folder) => ("SP.File", files(world, folder)?),
        Node::Attachments(at) => {
            let item = world.item(at).ok_or_else(ApiError::item_missing)?;
            let attachments = item.attachments.iter();
            ("SP.Attachment", attachments.map(|one| Node::Attachment(at.clone(), one.name.clone())).collect())
        }
        Node::Users => ("SP.User", world.people.iter().map(|person| Node::User(person.id)).collect()),
        Node::Roles => ("SP.RoleDefinition", (0..ROLES.len()).map(Node::Role).collect()),
        Node::Empty(kind) => (*kind, Vec::new()),
        _ => return Ok(None),
    };
    Ok(Some((kind.to_string(), nodes)))
}

fn list_of<'a>(world: &'a World, id: &Guid) -> Result<&'a List, ApiError> {
    world.lists.get(id).ok_or_else(|| ApiError::list_missing(id.as_str()))
}

fn folders(world: &World, folder: &FolderNode) -> Result<Vec<Node>, ApiError> {
    let in_list = |list: &Guid, folder: Option<u32>| {
        Node::Folder(FolderNode::InList(FolderRef { list: list.clone(), folder }))
    };
    Ok(match folder {
        FolderNode::WebRoot(web) => {
            let libraries = world.lists_of(web).into_iter().filter(|list| list.is_library());
            let mut found: Vec<Node> = libraries.map(|list| in_list(&list.id, None)).collect();
            found.push(Node::Folder(FolderNode::Lists(web.clone())));
            found
        }
        FolderNode::Lists(web) => {
            let lists = world.lists_of(web).into_iter().filter(|list| !list.is_library());
            lists.map(|list| in_list(&list.id, None)).collect()
        }
        FolderNode::InList(FolderRef { list: id, folder }) => {
            let list = list_of(world, id)?;
            let inside = list.children(*folder).filter(|item| item.is_folder());
            inside.map(|item| in_list(id, Some(item.id))).collect()
        }
    })
}

fn files(world: &World, folder: &FolderNode) -> Result<Vec<Node>, ApiError> {
    let FolderNode::InList(FolderRef { list: id, folder }) = folder else { return Ok(Vec::new()) };
    let list = list_of(world, id)?;
    let inside = list.children(*folder).filter(|item| item.body().is_some());
    Ok(inside.map(|item| Node::File(ItemRef { list: id.clone(), id: item.id })).collect())
}

/// Applies `$filter` and `$orderby`.
fn narrowed(
    world: &World,
    viewer: &Viewer,
    nodes: Vec<Node>,
    options: &QueryOptions,
) -> Result<Vec<Node>, ApiError> {
    if options.filter.is_none() && options.order.is_none() {
        return Ok(nodes);
    }
    let filter = options.filter.as_deref().map(Filter::parse).transpose()?;
    let mut rows = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(entity) = describe(world, viewer, &node)? else { continue };
        let column = |name: &str| column(world, viewer, &node, &entity, name);
        if filter.as_ref().map_or(Ok(true), |filter| filter.holds(&column))? {
            let key = match &options.order {
                Some((name, _)) => column(name).ok_or_else(|| ApiError::no_field(name))?,
                None => Value::Null,
            };
            rows.push((key, node));
        }
    }
    let down = options.order.as_ref().is_some_and(|(_, down)| *down);
    rows.sort_by(|(one, _), (other, _)| if down { compare(other, one) } else { compare(one, other) });
    Ok(rows.into_iter().map(|(_, node)| node).collect())
}

/// A column's value for a filter; `Author/Title` looks at the linked entity.
fn column(world: &World, viewer: &Viewer, node: &Node, entity: &Entity, name: &str) -> Option<Value> {
    if let Some((link, rest)) = name.split_once('/') {
        let segment = crate::sharepoint::odata::Segment { name: link.to_lowercase(), arguments: Vec::new() };
        let target = super::step(world, node, viewer, &segment).ok()?;
        let Some(linked) = describe(world, viewer, &target).ok()? else { return Some(Value::Null) };
        return column(world, viewer, &target, &linked, rest);
    }
    match entity.get(name)? {
        Prop::Plain(value) | Prop::Extra(value) => Some(value.clone()),
        Prop::Complex(_, parts) => parts.first().map(|(_, value)| value.clone()),
        Prop::Link | Prop::One(_) | Prop::Many(_) => None,
    }
}

fn items(world: &World, viewer: &Viewer, list_id: &Guid, options: &QueryOptions) -> Result<Page, ApiError> {
    let list = list_of(world, list_id)?;
    check_threshold(list, options)?;
    let to_node = |item: &Item| Node::Item(ItemRef { list: list_id.clone(), id: item.id });
    let after = options.skip_token.as_deref().map(last_id).transpose()?;
    let plain = options.filter.is_none()
        && options.order.as_ref().is_none_or(|(name, down)| name.eq_ignore_ascii_case("id") && !down);
    let size = options.top.unwrap_or(PAGE_ITEMS);
    if size > PAGE_ITEMS_MAX {
        return Err(ApiError::list_threshold());
    }
    let rest: Vec<Node> = if plain {
        let start = after.map_or(0, |id| id.saturating_add(1));
        list.items.range(start..).take(size + 1).map(|(_, item)| to_node(item)).collect()
    } else {
        let all = narrowed(world, viewer, list.items.values().map(to_node).collect(), options)?;
        let start = match after {
            Some(id) => all.iter().position(|node| id_of(node) == id).map_or(0, |at| at + 1),
            None => 0,
        };
        all.into_iter().skip(start).take(size + 1).collect()
    };
    let more = rest.len() > size;
    let nodes: Vec<Node> = rest.into_iter().take(size).collect();
    let skip_token = nodes.last().filter(|_| more).map(|node| format!("Paged=TRUE&p_ID={}", id_of(node)));
    Ok(Page { kind: list.item_type(), nodes, skip_token })
}

fn id_of(node: &Node) -> u32 {
    match node {
        Node::Item(at) => at.id,
        _ => 0,
    }
}

fn last_id(token: &str) -> Result<u32, ApiError> {
    let id = token.split('&').find_map(|part| part.strip_prefix("p_ID="));
    id.and_then(|id| id.parse().ok()).ok_or_else(|| ApiError::bad_query("The skip token is not valid."))
}

/// Only the id is indexed: in a large list, anything else must not be filtered or ordered by.
fn check_threshold(list: &List, options: &QueryOptions) -> Result<(), ApiError> {
    if list.items.len() <= THRESHOLD_ITEMS {
        return Ok(());
    }
    let filter = options.filter.as_deref().map(Filter::parse).transpose()?;
    let mut columns: Vec<&str> = filter.as_ref().map_or_else(Vec::new, Filter::columns);
    columns.extend(options.order.as_ref().map(|(name, _)| name.as_str()));
    let indexed = |name: &&str| name.eq_ignore_ascii_case("id");
    if columns.iter().all(indexed) { Ok(()) } else { Err(ApiError::list_threshold()) }
}
