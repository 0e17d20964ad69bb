//! People and roles.

use serde_json::json;

use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::World;
use crate::sharepoint::odata::Entity;

/// Role definitions: id, kind, name, base permissions (high, low).
pub(super) const ROLES: [(u32, u32, &str, &str, &str); 5] = [
    (1_073_741_829, 5, "Full Control", "2147483647", "4294967295"),
    (1_073_741_828, 4, "Design", "432", "1012866047"),
    (1_073_741_830, 6, "Edit", "432", "1011030767"),
    (1_073_741_827, 3, "Contribute", "432", "1011028719"),
    (1_073_741_826, 2, "Read", "176", "138612833"),
];

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
