//! Who may do what with a thing that has permissions of its own.

use larder_sdk::{Error, ErrorKind, Result};
use serde_json::{Map, Value as Json, json};

use super::{
    json,
    sheet::{PERMISSIONS, Sheet},
    web::Web,
};

/// Most assignments of one thing; the service advises at most 5,000.
const ASSIGNMENTS_MAX: usize = 50_000;

/// What of a principal is kept.
const MEMBER: [&str; 6] = ["Id", "LoginName", "Title", "PrincipalType", "Email", "UserPrincipalName"];
/// What of a role is kept.
const ROLE: [&str; 4] = ["Id", "Name", "RoleTypeKind", "BasePermissions"];

/// The permissions of the thing at an address below `_api/`. `None` if it is gone.
pub(super) async fn read(web: &Web, address: &str) -> Result<Option<Sheet>> {
    let tail = format!("{address}/roleassignments?$expand=Member,RoleDefinitionBindings");
    match web.all(&tail, ASSIGNMENTS_MAX).await {
        Ok(rows) => Ok(Some(Sheet::new(PERMISSIONS, &assignments(&rows)))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// True if no account may see who may do what: that takes more than reading.
pub(super) fn is_hidden(error: &Error) -> bool {
    error.kind() == ErrorKind::Denied
}

/// Assignments in the order of their principals.
fn assignments(rows: &[Json]) -> Json {
    let mut found: Vec<(i64, Json)> = rows
        .iter()
        .map(|row| {
            let member = row.get("Member").map(|member| only(member, &MEMBER));
            let roles: Vec<Json> =
                json::members(row, "RoleDefinitionBindings").iter().map(|role| only(role, &ROLE)).collect();
            let id = json::number(row, "PrincipalId").unwrap_or_default();
            (id, json!({"PrincipalId": id, "Member": member, "RoleDefinitionBindings": roles}))
        })
        .collect();
    found.sort_by_key(|(id, _)| *id);
    json!({"RoleAssignments": found.into_iter().map(|(_, row)| row).collect::<Vec<_>>()})
}

fn only(object: &Json, names: &[&str]) -> Json {
    let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), object.get(*name)?.clone())));
    Json::Object(kept.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_in_one_order_and_without_noise() {
        let row = |id: i64| {
            json!({"odata.type": "SP.RoleAssignment", "PrincipalId": id, "Member": {"Id": id, "LoginName": "x", "IsHiddenInUI": false},
                "RoleDefinitionBindings": {"results": [{"Id": 7, "Name": "Read", "Order": 3}]}})
        };
        let one = Sheet::new(PERMISSIONS, &assignments(&[row(9), row(3)]));
        let other = Sheet::new(PERMISSIONS, &assignments(&[row(3), row(9)]));
        assert_eq!(one.info, other.info);
        let read: Json = serde_json::from_slice(&one.bytes).unwrap();
        assert_eq!(
            read["RoleAssignments"][0],
            json!({"PrincipalId": 3, "Member": {"Id": 3, "LoginName": "x"}, "RoleDefinitionBindings": [{"Id": 7, "Name": "Read"}]})
        );
    }
}
