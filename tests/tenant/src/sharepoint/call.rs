//! A REST request, understood: which web, which object, which options, in whose name.

use std::collections::BTreeSet;

use axum::http::HeaderMap;

use super::SharePoint;
use super::error::ApiError;
use super::model::{Guid, Host, World};
use super::odata::{Format, QueryOptions, ResourcePath, Segment};
use super::resource::Viewer;
use crate::account::Account;
use crate::gate::Service;

/// What the client wants done, tunnelled verbs resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Merge,
    Put,
    Delete,
}

impl Verb {
    /// From the request's method and `X-HTTP-Method`; none for methods SharePoint does not take.
    pub(super) fn of(method: &str, headers: &HeaderMap) -> Option<Self> {
        let tunnelled = headers.get("x-http-method").and_then(|value| value.to_str().ok());
        let name = if method == "POST" { tunnelled.unwrap_or(method) } else { method };
        Some(match name.to_ascii_uppercase().as_str() {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "MERGE" | "PATCH" => Self::Merge,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Get => "",
            Self::Post => "post ",
            Self::Merge => "merge ",
            Self::Put => "put ",
            Self::Delete => "delete ",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) host: Host,
    pub(super) account: Account,
    pub(super) verb: Verb,
    pub(super) web: Guid,
    /// The web's site collection: digests are bound to it.
    pub(super) site: Guid,
    pub(super) segments: Vec<Segment>,
    pub(super) options: QueryOptions,
    pub(super) format: Option<Format>,
    pub(super) viewer: Viewer,
    /// Scheme, host, web and `/_api/`.
    pub(super) base: String,
    /// The address without the query: next pages begin with it.
    pub(super) address: String,
    /// The name the request is counted under.
    pub(super) operation: String,
    pub(super) headers: HeaderMap,
}

impl Call {
    /// A header's text, if there is exactly one of it.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(first)
    }

    pub(super) fn last_name(&self) -> &str {
        self.segments.last().map_or("", |segment| segment.name.as_str())
    }
}

/// The name of an operation: the object's kind and what is done, without ids.
pub(super) fn operation_name(verb: Verb, segments: &[Segment]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for segment in segments {
        match segment.name.as_str() {
            "web" | "site" if segments.len() > 1 => {}
            "getbytitle"
            | "getbyid"
            | "getitembyid"
            | "getbyurl"
            | "getbypath"
            | "getbyfilename"
            | "getbyfilenameaspath" => {}
            "getlist" => names.push("lists"),
            name if name.starts_with("getfileby") => names.push("file"),
            name if name.starts_with("getfolderby") => names.push("folder"),
            name => names.push(name),
        }
    }
    format!("{}{}", verb.prefix(), names.join("."))
}

/// The parts of a request line that matter here.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) method: &'a str,
}

impl SharePoint {
    /// Understands a request below `/_api/`.
    pub(super) fn understand(
        &self,
        host: Host,
        account: Account,
        origin: &str,
        line: RequestLine<'_>,
        headers: HeaderMap,
    ) -> Result<Call, ApiError> {
        let lower = line.path.to_ascii_lowercase();
        let at = lower.find("/_api/").ok_or_else(|| ApiError::no_resource(line.path))?;
        let (web_path, rest) = (&line.path[..at], &line.path[at + 6..]);
        let options = QueryOptions::parse(line.query)?;
        let alias = |name: &str| options.value(&format!("@{name}")).map(str::to_string);
        let segments = ResourcePath::parse(rest, &alias)?.segments;
        let verb = Verb::of(line.method, &headers)
            .ok_or_else(|| ApiError::bad_query("The method is not allowed."))?;
        let accept = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let format = Format::from_accept(accept);
        let world = self.world();
        let hidden = self.hidden_webs(&world, &account);
        let decoded = super::odata::decode(web_path).unwrap_or_default();
        let web_path = if decoded.is_empty() { "/" } else { decoded.as_str() };
        let web = world
            .webs
            .values()
            .find(|web| web.host == host && web.path.eq_ignore_ascii_case(web_path))
            .ok_or_else(|| ApiError::no_resource(web_path))?;
        let person = world.person_of(&account.user).map_or(0, |person| person.id);
        let viewer = Viewer {
            person,
            origin: origin.to_string(),
            now: self.shared.clock.now_ms(),
            office_lengths: self.switches().office_lengths,
            hidden,
        };
        let below = if web.path == "/" { "" } else { web.path.as_str() };
        Ok(Call {
            host,
            verb,
            web: web.id.clone(),
            site: web.site.clone(),
            operation: operation_name(verb, &segments),
            segments,
            options,
            format,
            viewer,
            base: format!("{origin}{below}/_api/"),
            address: format!("{origin}{}", line.path),
            headers,
            account,
        })
    }

    /// Webs this account may not see, and webs a fault has made vanish.
    pub(super) fn hidden_webs(&self, world: &World, account: &Account) -> BTreeSet<Guid> {
        let gone = |path: &str| {
            account.denied_sites.contains(path) || self.shared.faults.vanished(Service::SharePoint, path)
        };
        world.webs.values().filter(|web| gone(&web.path)).map(|web| web.id.clone()).collect()
    }
}
