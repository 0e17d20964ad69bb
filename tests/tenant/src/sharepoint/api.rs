//! Carrying out a REST request: reads here, writes and functions in their own modules.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, Verb};
use super::error::ApiError;
use super::model::{FieldKind, ItemRef, World};
use super::odata::{Entity, Format, Prop, QueryOptions, Renderer};
use super::resource::{self, Node, list_nodes, project};
use super::search::is_search;
use super::serve::Admitted;
use super::{SharePoint, Switches, answer};
use crate::fault::FaultKind;
use crate::gate::Service;

/// POSTs that change nothing and so need no form digest.
const READING_POSTS: [&str; 7] = [
    "contextinfo",
    "getchanges",
    "getitems",
    "getsubwebsfilteredforcurrentuser",
    "openbinarystream",
    "postquery",
    "renderlistdataasstream",
];

impl SharePoint {
    /// Answers an admitted request.
    pub(super) async fn handle(self: &Arc<Self>, call: &Call, admitted: Admitted, body: Body) -> Response {
        match admitted.fault {
            // On content the fault spoils the content; on anything else the answer as a whole.
            Some(FaultKind::Drop) if !asks_content(call) => return answer::dropped(),
            Some(FaultKind::ChangeTokenRefused) if call.last_name() == "getchanges" => {
                return answer::error(call.format, &ApiError::token_refused());
            }
            _ => {}
        }
        let done = if asks_content(call) && matches!(call.verb, Verb::Get | Verb::Post) {
            self.content(call, admitted)
        } else if call.verb == Verb::Get {
            self.read(call)
        } else {
            self.post(call, body).await
        };
        done.unwrap_or_else(|error| answer::error(call.format, &error))
    }

    async fn post(self: &Arc<Self>, call: &Call, body: Body) -> Result<Response, ApiError> {
        let name = call.last_name();
        if !READING_POSTS.contains(&name) {
            self.check_digest(call)?;
        }
        match name {
            "contextinfo" => self.context_info(call),
            "getchanges" => self.get_changes(call, &super::write::json_body(call, body).await?),
            "renderlistdataasstream" => self.render_list(call, &super::write::json_body(call, body).await?),
            "postquery" if is_search(call) => {
                self.post_query(call, &super::write::json_body(call, body).await?)
            }
            "getsubwebsfilteredforcurrentuser" => self.read(call),
            _ => self.write(call, body).await,
        }
    }

    fn check_digest(&self, call: &Call) -> Result<(), ApiError> {
        let digest = call.header("x-requestdigest").unwrap_or_default();
        let seconds = self.switches().digest_seconds;
        let (user, site, now) = (&call.account.user, call.site.as_str(), call.viewer.now);
        if self.digest_key.check(digest, user, site, now, seconds) {
            Ok(())
        } else {
            Err(ApiError::stale_digest())
        }
    }

    fn context_info(&self, call: &Call) -> Result<Response, ApiError> {
        let format = wanted_format(call)?;
        let world = self.world();
        let path = |id| world.webs.get(id).map_or("", |web| web.path.trim_end_matches('/'));
        let root = world.sites.get(&call.site).map_or("", |site| path(&site.root_web));
        let digest = self.digest_key.make(&call.account.user, call.site.as_str(), call.viewer.now);
        let versions = json!(["14.0.0.0", "15.0.0.0"]);
        let mut info = json!({
            "FormDigestTimeoutSeconds": self.switches().digest_seconds,
            "FormDigestValue": digest,
            "LibraryVersion": "16.0.26000.12000",
            "SiteFullUrl": format!("{}{root}", call.viewer.origin),
            "SupportedSchemaVersions": versions,
            "WebFullUrl": format!("{}{}", call.viewer.origin, path(&call.web)),
        });
        if format == Format::Verbose {
            info["__metadata"] = json!({"type": "SP.ContextWebInformation"});
            info["SupportedSchemaVersions"] =
                json!({"__metadata": {"type": "Collection(Edm.String)"}, "results": versions});
            info = json!({"d": {"GetContextWebInformation": info}});
        } else if format == Format::Minimal {
            info["odata.metadata"] = json!(format!("{}$metadata#SP.ContextWebInformation", call.base));
        }
        Ok(answer::json(format, StatusCode::OK, &info))
    }

    fn content(&self, call: &Call, admitted: Admitted) -> Result<Response, ApiError> {
        let segments = &call.segments[..call.segments.len() - 1];
        let content = {
            let world = self.world();
            let node = resource::resolve(&world, &call.web, &call.viewer, segments)?;
            resource::content_of(&world, &node).ok_or_else(ApiError::file_missing)?
        };
        let names = [content.id.as_str(), content.path.as_str()];
        let of_item =
            self.shared.faults.for_item(Service::SharePoint, &call.account.user, &call.operation, &names);
        if of_item.is_some() {
            self.shared.counters.fault();
        }
        match of_item.or(admitted.fault) {
            Some(FaultKind::Item { status, .. } | FaultKind::Status { status, .. }) => {
                Err(ApiError::of_status(status))
            }
            Some(FaultKind::LoginPage) => Ok(answer::login_page()),
            Some(FaultKind::Infected { status }) => Ok(answer::infected(status)),
            Some(FaultKind::Replaced) => {
                let answer = self.download(&content, &call.headers, admitted.permit, Some(&FaultKind::Drop));
                self.edit(&content.path, super::Edit::Content);
                Ok(answer)
            }
            fault => Ok(self.download(&content, &call.headers, admitted.permit, fault.as_ref())),
        }
    }

    fn read(&self, call: &Call) -> Result<Response, ApiError> {
        if is_search(call) {
            return self.get_query(call);
        }
        let format = wanted_format(call)?;
        let world = self.world();
        let value = self.read_value(call, &world, format)?;
        Ok(answer::json(format, StatusCode::OK, &value))
    }

    fn read_value(&self, call: &Call, world: &World, format: Format) -> Result<Value, ApiError> {
        let renderer = Renderer { format, base: call.base.clone() };
        let (last, before) = call.segments.split_last().ok_or_else(|| ApiError::no_resource(""))?;
        let node = if last.name == "getsubwebsfilteredforcurrentuser" {
            Node::Webs(call.web.clone())
        } else {
            match resource::resolve(world, &call.web, &call.viewer, &call.segments) {
                Err(error) if error.status == StatusCode::NOT_FOUND && !before.is_empty() => {
                    let (name, value) = property(call, world, &last.name)?.ok_or(error)?;
                    return Ok(renderer.value(&name, &value));
                }
                node => node?,
            }
        };
        self.check_rights(&node)?;
        let options = self.within_limits(call, world, &node)?;
        if let Some(page) = list_nodes(world, &call.viewer, &node, &options)? {
            let mut rows = Vec::with_capacity(page.nodes.len());
            for node in &page.nodes {
                rows.extend(project(world, &call.viewer, node, &call.options)?);
                self.count_item(call, world, node);
            }
            let next =
                page.skip_token.map(|token| format!("{}?{}", call.address, call.options.next_query(&token)));
            return Ok(renderer.collection(&page.kind, &rows, next.as_deref()));
        }
        self.item_fault(call, world, &node)?;
        self.count_item(call, world, &node);
        match project(world, &call.viewer, &node, &call.options)? {
            Some(entity) => Ok(renderer.entity(&entity)),
            None if format == Format::Verbose => Ok(json!({"d": {last.name.as_str(): null}})),
            None => Ok(json!({"odata.null": true})),
        }
    }

    /// Seeing who may do what takes a right of its own.
    fn check_rights(&self, node: &Node) -> Result<(), ApiError> {
        let of_permissions =
            matches!(node, Node::Assignments(_) | Node::Groups(_) | Node::Roles | Node::GroupUsers(..));
        let denied = of_permissions && !self.switches().enumerate_permissions;
        if denied { Err(ApiError::denied()) } else { Ok(()) }
    }

    /// The options of a query of items as far as the service goes along; an error where they join too much.
    fn within_limits(&self, call: &Call, world: &World, node: &Node) -> Result<QueryOptions, ApiError> {
        let mut options = call.options.clone();
        let Switches { page_rows, joins, .. } = self.switches();
        let list = match node {
            Node::Items(list) => list,
            Node::Item(at) => &at.list,
            _ => return Ok(options),
        };
        if let (Node::Items(_), Some(rows)) = (node, page_rows) {
            options.top = Some(options.top.map_or(rows, |asked| asked.min(rows)));
        }
        let texts = options.expand.iter().any(|path| path[0] == "FieldValuesAsText");
        let fields = world.lists.get(list).into_iter().flat_map(|list| &list.fields);
        let joined =
            fields.filter(|field| matches!(field.kind, FieldKind::User | FieldKind::Lookup(_))).count();
        if texts && joined > joins { Err(ApiError::list_threshold()) } else { Ok(options) }
    }

    /// The fault that strikes a single item when it is read by itself.
    fn item_fault(&self, call: &Call, world: &World, node: &Node) -> Result<(), ApiError> {
        let (Node::Item(at) | Node::File(at)) = node else { return Ok(()) };
        let (Some(list), Some(item)) = (world.list_of(at), world.item(at)) else { return Ok(()) };
        let path = list.path_of(item);
        let names = [item.unique_id.as_str(), path.as_str()];
        match self.shared.faults.for_item(Service::SharePoint, &call.account.user, &call.operation, &names) {
            Some(FaultKind::Item { status, .. } | FaultKind::Status { status, .. }) => {
                self.shared.counters.fault();
                Err(ApiError::of_status(status))
            }
            _ => Ok(()),
        }
    }

    /// A plain item's columns are its content: sending them counts as fetching it.
    fn count_item(&self, call: &Call, world: &World, node: &Node) {
        let Node::Item(at) = node else { return };
        if let Some(item) = world.item(at).filter(|item| resource::is_entry(item))
            && sends_columns(call, world, at)
        {
            self.shared.counters.fetched(item.unique_id.as_str());
        }
    }
}

fn sends_columns(call: &Call, world: &World, at: &ItemRef) -> bool {
    let select = &call.options.select;
    let is_column = |name: &str| {
        let mut columns = world.list_of(at).into_iter().flat_map(|list| &list.fields);
        columns.any(|field| field.is_user_column() && field.name != "Title" && field.rest_name() == name)
    };
    select.is_empty() || select.iter().any(|path| path[0] == "*" || is_column(&path[0]))
}

fn asks_content(call: &Call) -> bool {
    matches!(call.last_name(), "$value" | "openbinarystream")
}

/// The JSON form asked for; without one SharePoint would answer in Atom, which the tenant does not speak.
pub(super) fn wanted_format(call: &Call) -> Result<Format, ApiError> {
    call.format.ok_or_else(|| ApiError {
        status: StatusCode::NOT_ACCEPTABLE,
        ..ApiError::bad_query("This server answers in JSON only: send an Accept header that asks for it.")
    })
}

/// The plain property an address ends in: `web/title`.
fn property(call: &Call, world: &World, name: &str) -> Result<Option<(String, Value)>, ApiError> {
    let owner = &call.segments[..call.segments.len() - 1];
    let node = resource::resolve(world, &call.web, &call.viewer, owner)?;
    let entity: Option<Entity> = resource::describe(world, &call.viewer, &node)?;
    Ok(entity.and_then(|entity| {
        entity.props.into_iter().find_map(|(mine, prop)| match prop {
            Prop::Plain(value) | Prop::Extra(value) if mine.eq_ignore_ascii_case(name) => Some((mine, value)),
            _ => None,
        })
    }))
}
