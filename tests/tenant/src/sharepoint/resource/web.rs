//! Webs and site collections.

use serde_json::json;

use super::viewer::Viewer;
use crate::clock::iso_seconds;
use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::{Guid, Scope, World};
use crate::sharepoint::odata::Entity;

pub(super) fn web(world: &World, viewer: &Viewer, id: &Guid) -> Result<Entity, ApiError> {
    let web = world.webs.get(id).ok_or_else(ApiError::item_missing)?;
    let newest = world.lists_of(id).iter().map(|list| list.modified).max().unwrap_or(web.created);
    let personal = web.path.starts_with("/personal/");
    let below = if web.path == "/" { "" } else { web.path.as_str() };
    let entity = Entity::new("SP.Web", "Web")
        .with("AllowRssFeeds", true)
        .with("Created", iso_seconds(web.created))
        .with("Configuration", 0)
        .with("Description", web.description.as_str())
        .with("Id", id.as_str())
        .with("Language", 1033)
        .with("LastItemModifiedDate", iso_seconds(newest))
        .with("LastItemUserModifiedDate", iso_seconds(newest))
        .with("NoCrawl", false)
        .with("QuickLaunchEnabled", true)
        .with_path("ResourcePath", &format!("{}{below}", viewer.origin))
        .with("ServerRelativeUrl", web.path.as_str())
        .with("Title", web.title.as_str())
        .with("UIVersion", 15)
        .with("Url", format!("{}{below}", viewer.origin))
        .with("WebTemplate", if personal { "SPSPERS" } else { "STS" })
        .with_extra("HasUniqueRoleAssignments", web.acl.is_some())
        .with_extra(
            "CurrentChangeToken",
            json!({"StringValue": token(world, viewer, Scope::Web(id.clone()))}),
        )
        .with_links(&[
            "ContentTypes",
            "CurrentUser",
            "Fields",
            "Folders",
            "Lists",
            "ParentWeb",
            "RecycleBin",
            "RoleAssignments",
            "RoleDefinitions",
            "RootFolder",
            "SiteGroups",
            "SiteUsers",
            "Webs",
        ]);
    Ok(entity)
}

fn token(world: &World, viewer: &Viewer, scope: Scope) -> String {
    world.log.current(scope, viewer.now).text()
}

pub(super) fn site(world: &World, viewer: &Viewer, id: &Guid) -> Result<Entity, ApiError> {
    let site = world.sites.get(id).ok_or_else(ApiError::item_missing)?;
    let path = world.webs.get(&site.root_web).map_or("/", |web| web.path.as_str());
    let below = if path == "/" { "" } else { path };
    Ok(Entity::new("SP.Site", "Site")
        .with("Id", id.as_str())
        .with_extra(
            "CurrentChangeToken",
            json!({"StringValue": token(world, viewer, Scope::Site(id.clone()))}),
        )
        .with("LockIssue", json!(null))
        .with("MaxItemsPerThrottledOperation", 5000)
        .with("ReadOnly", false)
        .with("ServerRelativeUrl", path)
        .with("Url", format!("{}{below}", viewer.origin))
        .with("WriteLocked", false)
        .with_links(&["RecycleBin", "RootWeb"]))
}
