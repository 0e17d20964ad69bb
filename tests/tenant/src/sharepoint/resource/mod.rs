//! The objects REST addresses: finding them, describing them, listing them.

mod collection;
mod content;
mod file;
mod find;
mod item;
mod list;
mod node;
mod principal;
mod project;
mod step;
mod viewer;
mod web;

pub(crate) use collection::list_nodes;
pub(crate) use content::{Content, content_of};
pub(crate) use item::{is_entry, text_of};
pub(crate) use node::{FolderNode, Node};
pub(crate) use project::project;
pub(crate) use step::{resolve, step};
pub(crate) use viewer::Viewer;

use super::error::ApiError;
use super::model::World;
use super::odata::Entity;

/// Describes the entity at `node` with all its properties; none if it is a collection or nothing at all.
pub(crate) fn describe(world: &World, viewer: &Viewer, node: &Node) -> Result<Option<Entity>, ApiError> {
    let entity = match node {
        Node::Web(id) => web::web(world, viewer, id),
        Node::Site(id) => web::site(world, viewer, id),
        Node::List(id) => list::list(world, viewer, id),
        Node::Field(list, field) => list::field(world, list, field),
        Node::ContentType(list, number) => list::content_type(world, list, *number),
        Node::FieldLink(list, name) => list::field_link(world, list, name),
        Node::View(list, view) => list::view(world, list, view),
        Node::ViewFields(list, view) => list::view_fields(world, list, view),
        Node::FileVersion(at, id) => file::version(world, viewer, at, *id),
        Node::RoleAssignment(of, principal) => principal::assignment(world, of, *principal),
        Node::Group(web, id) => principal::group(world, web, *id),
        Node::Recycled(id) => principal::recycled(world, id),
        Node::Item(at) => item::item(world, at),
        Node::ItemText(at) => item::as_text(world, at),
        Node::Folder(folder) => file::folder(world, folder),
        Node::File(at) => file::file(world, viewer, at),
        Node::Attachment(at, name) => file::attachment(world, at, name),
        Node::User(id) => principal::user(world, *id),
        Node::ItemPerson(id) => principal::person_of_item(world, *id),
        Node::Role(number) => principal::role(*number),
        _ => return Ok(None),
    };
    entity.map(Some)
}
