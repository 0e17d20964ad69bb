//! People and roles.

use serde_json::{Value, json};

use crate::clock::iso_seconds;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{Guid, ROLES, Securable, World};
use crate::sharepoint::odata::Entity;

pub(super) fn user(world: &World, id: u32) -> Result<Entity, ApiError> {
    let person = world.person(id).ok_or_else(ApiError::unknown_user)?;
    let parts = vec![
        ("NameId", json!(format!("1003{id:012x}"))),
        ("NameIdIssuer", json!("urn:federation:microsoftonline")),
    ];
    Ok(Entity::new("SP.User", format!("Web/GetUserById({id})"))
        .with("Id", id)
        .with("IsHiddenInUI", false)
        .with("LoginName", person.login())
        .with("Title", person.name.as_str())
        .with("PrincipalType", 1)
        .with("Email", person.user.as_str())
        .with("IsEmailAuthenticationGuestUser", false)
        .with("IsShareByEmailGuestUser", false)
        .with("IsSiteAdmin", false)
        .with_complex("UserId", "SP.UserIdInfo", parts)
        .with("UserPrincipalName", person.user.as_str()))
}

/// A person as an expanded column: the names are those of the user information list.
pub(super) fn person_of_item(world: &World, id: u32) -> Result<Entity, ApiError> {
    let person = world.person(id).ok_or_else(ApiError::unknown_user)?;
    Ok(Entity::new("SP.Data.UserInfoItem", format!("Web/SiteUserInfoList/Items({id})"))
        .with("Id", id)
        .with("ID", id)
        .with("Title", person.name.as_str())
        .with("EMail", person.user.as_str())
        .with("Name", person.login())
        .with("UserName", person.user.as_str()))
}

pub(super) fn role(number: usize) -> Result<Entity, ApiError> {
    let (id, kind, name, high, low) = ROLES.get(number).copied().ok_or_else(ApiError::item_missing)?;
    Ok(Entity::new("SP.RoleDefinition", format!("Web/RoleDefinitions({id})"))
        .with_complex(
            "BasePermissions",
            "SP.BasePermissions",
            vec![("High", json!(high)), ("Low", json!(low))],
        )
        .with("Description", "")
        .with("Hidden", false)
        .with("Id", id)
        .with("Name", name)
        .with("Order", number + 1)
        .with("RoleTypeKind", kind))
}

fn address_of(of: &Securable) -> String {
    match of {
        Securable::Web(_) => "Web".to_string(),
        Securable::List(id) => format!("Web/Lists(guid'{id}')"),
        Securable::Item(at) => format!("Web/Lists(guid'{}')/Items({})", at.list, at.id),
    }
}

/// One principal's roles on a thing.
pub(super) fn assignment(world: &World, of: &Securable, principal: u32) -> Result<Entity, ApiError> {
    let there = world.acl(of).is_some_and(|acl| acl.0.iter().any(|row| row.0 == principal));
    if !there {
        return Err(ApiError::item_missing());
    }
    let address = format!("{}/RoleAssignments/GetByPrincipalId({principal})", address_of(of));
    Ok(Entity::new("SP.RoleAssignment", address)
        .with("PrincipalId", principal)
        .with_links(&["Member", "RoleDefinitionBindings"]))
}

/// A group of a site collection.
pub(super) fn group(world: &World, web: &Guid, id: u32) -> Result<Entity, ApiError> {
    let group = world.groups(web).iter().find(|group| group.id == id).ok_or_else(ApiError::unknown_user)?;
    Ok(Entity::new("SP.Group", format!("Web/SiteGroups/GetById({id})"))
        .with("AllowMembersEditMembership", false)
        .with("AutoAcceptRequestToJoinLeave", false)
        .with("Description", Value::Null)
        .with("Id", id)
        .with("IsHiddenInUI", false)
        .with("LoginName", group.name.as_str())
        .with("OnlyAllowMembersViewMembership", false)
        .with("OwnerTitle", group.name.as_str())
        .with("PrincipalType", 8)
        .with("Title", group.name.as_str())
        .with_links(&["Owner", "Users"]))
}

/// One entry of the recycle bin.
pub(super) fn recycled(world: &World, id: &Guid) -> Result<Entity, ApiError> {
    let entry = world.recycled.iter().find(|entry| entry.id == *id).ok_or_else(ApiError::item_missing)?;
    let author = world.person(entry.author);
    Ok(Entity::new("SP.RecycleBinItem", format!("Web/RecycleBin('{id}')"))
        .with("AuthorEmail", author.map_or("", |person| person.user.as_str()))
        .with("AuthorName", author.map_or("", |person| person.name.as_str()))
        .with("DeletedByName", author.map_or("", |person| person.name.as_str()))
        .with("DeletedDate", iso_seconds(entry.deleted))
        .with("DirName", entry.folder.as_str())
        .with_path("DirNamePath", &entry.folder)
        .with("Id", id.as_str())
        .with("ItemState", 1)
        .with("ItemType", entry.kind)
        .with("LeafName", entry.leaf.as_str())
        .with_path("LeafNamePath", &entry.leaf)
        .with("Size", entry.size.to_string())
        .with("Title", entry.leaf.as_str()))
}
