//! Which sites there are: from the config, from search, from the tenant's own list, and downwards from each.

use std::collections::{BTreeMap, BTreeSet};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use larder_sdk::{
    Container, ContainerId, Discovery, Error, ErrorKind, Finding, FindingLevel, Kind, Name, Result, Value,
    Word, abi::check as rules,
};
use serde_json::Value as Json;
use std::sync::Arc;
use url::Url;

use super::{
    admin, json, paths,
    web::{Form, Web, absolute},
};
use crate::{
    error::finding_of,
    options::{Hosts, Service, SharePointOptions},
    pool::{AccountId, Caller, Pool},
};

/// Where in a container's metadata its address stands.
const URL: &str = "url";
/// The first part of every site's path.
const ROOT: &str = "sharepoint";
/// Rows per page of search; the service's own limit.
const SEARCH_ROWS: usize = 500;
/// Most sites and sub-sites of one set.
const SITES_MAX: usize = 1_000_000;
/// Deepest nesting of sub-sites.
const DEPTH_MAX: usize = 64;
/// Most sub-sites of one site.
const SUB_SITES_MAX: usize = 10_000;

/// Which sites the config wants.
struct Wanted {
    sites: GlobSet,
    exclude: GlobSet,
    /// Addresses written without wildcards: those are asked for whether or not search knows them.
    named: Vec<String>,
    all: bool,
}

impl Wanted {
    fn new(options: &SharePointOptions) -> Result<Self> {
        let literal = |glob: &&String| !glob.contains(['*', '?', '[', '{']);
        Ok(Self {
            sites: globs("sites", &options.sites)?,
            exclude: globs("exclude", &options.exclude)?,
            named: options.sites.iter().filter(literal).cloned().collect(),
            all: options.sites.iter().any(|glob| !literal(&glob)),
        })
    }

    fn takes(&self, path: &str) -> bool {
        let path = if path.is_empty() { "/" } else { path };
        self.sites.is_match(path) && !self.exclude.is_match(path)
    }
}

fn globs(key: &str, patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).case_insensitive(true).build().map_err(|error| {
            Error::new(ErrorKind::Configuration, format!("sharepoint.{key} {pattern:?} is no glob: {error}"))
        })?;
        set.add(glob);
    }
    set.build().map_err(|error| Error::new(ErrorKind::Configuration, format!("sharepoint.{key}: {error}")))
}

/// True if a container is a site.
pub(crate) fn is_site(container: &Container) -> bool {
    container.path.first().is_some_and(|first| first.as_bytes() == ROOT.as_bytes())
}

/// A site's address.
pub(super) fn url_of(container: &Container) -> Result<String> {
    let url = container.meta.iter().find_map(|(name, value)| match value {
        Value::Text(text) if name == URL => Some(text.clone()),
        _ => None,
    });
    url.ok_or_else(|| Error::bug(format!("the container {} has no address", container.id.display())))
}

/// Finds the sites of the tenant that the config wants.
pub(crate) async fn discover(
    pool: &Arc<Pool>,
    hosts: &Hosts,
    options: &SharePointOptions,
) -> Result<Discovery> {
    let wanted = Wanted::new(options)?;
    let mut search = Search { pool, hosts, wanted: &wanted, found: BTreeMap::new(), findings: Vec::new() };
    for path in &wanted.named {
        let host = if path.starts_with("/personal/") { &hosts.my } else { &hosts.sharepoint };
        search.site(&format!("{}{}", origin(host), path.trim_end_matches('/')), true).await?;
    }
    if wanted.all {
        // Search answers for both hosts, from either: the other is asked only for what the first cannot see.
        search.everywhere().await?;
    }
    let Search { found, findings, .. } = search;
    Ok(Discovery { containers: found.into_values().collect(), findings })
}

/// A site that the config names by its address.
pub(super) struct Named {
    pub(super) url: String,
    /// On the host of personal sites.
    pub(super) on_my: bool,
}

/// The first site that the config names, if it names any.
pub(super) fn first_named(hosts: &Hosts, options: &SharePointOptions) -> Option<Named> {
    let wanted = Wanted::new(options).ok()?;
    let path = wanted.named.first()?;
    let on_my = path.starts_with("/personal/");
    let host = if on_my { &hosts.my } else { &hosts.sharepoint };
    Some(Named { url: format!("{}{}", origin(host), path.trim_end_matches('/')), on_my })
}

pub(super) fn origin(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/'))
}

struct Search<'a> {
    pool: &'a Arc<Pool>,
    hosts: &'a Hosts,
    wanted: &'a Wanted,
    /// By id, so that each is there once.
    found: BTreeMap<Vec<u8>, Container>,
    findings: Vec<Finding>,
}

impl Search<'_> {
    fn web(&self, url: &str) -> Web {
        Web::new(url, Caller::new(self.pool, Service::SharePoint, url, None))
    }

    /// Everything that search and the tenant's own list show to the pool's accounts, and the root.
    async fn everywhere(&mut self) -> Result<()> {
        let hosts = self.hosts;
        let main = origin(&hosts.sharepoint);
        let accounts = self.pool.accounts(Service::SharePoint);
        let mut urls: BTreeSet<String> =
            admin::sites(self.pool, &origin(&hosts.admin)).await.into_iter().collect();
        let mut failures = Vec::new();
        // What search shows depends on who asks.
        for account in &accounts {
            match self.by_search(&main, *account).await {
                Ok(found) => urls.extend(found),
                Err(error) => failures.push((self.pool.shown(*account), error)),
            }
        }
        let level =
            if failures.len() == accounts.len() { FindingLevel::Error } else { FindingLevel::Warning };
        self.findings
            .extend(failures.iter().map(|(who, error)| finding_of(error, level, who, "search-failed")));
        for url in std::iter::once(main).chain(urls) {
            let ours = [&hosts.sharepoint, &hosts.my].into_iter().any(|host| same_host(host, &url));
            if ours && self.wanted.takes(&path_of(&url)) {
                self.site(&url, false).await?;
            }
        }
        Ok(())
    }

    /// The addresses of sites and sub-sites that search shows to an account.
    async fn by_search(&self, host: &str, account: AccountId) -> Result<Vec<String>> {
        let web = Web::new(host, Caller::only(self.pool, Service::SharePoint, account));
        let mut urls = Vec::new();
        let mut after: Option<i64> = None;
        loop {
            let more = after.map_or_else(String::new, |after| format!(" IndexDocId>{after}"));
            let text = paths::literal(&format!("contentclass:STS_Site contentclass:STS_Web{more}"));
            let tail = format!(
                "search/query?querytext={text}&trimduplicates=false&rowlimit={SEARCH_ROWS}&selectproperties={}&sortlist={}",
                paths::literal("Path,SiteId,WebId,Title,contentclass"),
                paths::literal("[docid]:ascending"),
            );
            let rows = search_rows(&web.get(&tail, Form::Bare).await?);
            urls.extend(rows.iter().filter_map(|row| row.get("Path").cloned()));
            let last = rows.last().and_then(|row| row.get("DocId")?.parse().ok());
            if rows.is_empty() || last.is_none() || last <= after || urls.len() >= SITES_MAX {
                return Ok(urls);
            }
            after = last;
        }
    }

    /// Takes in the site at an address with all below it. A site that cannot be read is a finding.
    async fn site(&mut self, url: &str, named: bool) -> Result<()> {
        let mut open = vec![(url.to_owned(), 0)];
        while let Some((url, depth)) = open.pop() {
            let web = self.web(&url);
            match self.one(&web).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) if error.kind() == ErrorKind::Authentication => return Err(error),
                Err(error) => {
                    self.unreadable(&url, &error, named);
                    continue;
                }
            }
            if depth >= DEPTH_MAX || self.found.len() >= SITES_MAX {
                continue;
            }
            match web.all("web/webs?$select=Id,Url,ServerRelativeUrl,WebTemplate", SUB_SITES_MAX).await {
                Ok(rows) => {
                    let inner = rows.iter().filter(|row| json::text(row, "WebTemplate") != "APP");
                    // A sub-site is on its site's host; what is asked there carries what signs us in.
                    let host = absolute(&url)?;
                    let urls = inner
                        .map(|row| json::text(row, "Url").to_owned())
                        .filter(|inner| same_host(&host, inner));
                    open.extend(
                        urls.filter(|url| !self.wanted.exclude.is_match(path_of(url)))
                            .map(|url| (url, depth + 1)),
                    );
                }
                Err(error) if error.kind() == ErrorKind::Authentication => return Err(error),
                Err(error) => {
                    self.findings.push(finding_of(&error, FindingLevel::Warning, &url, "sub-sites-unknown"));
                }
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, url: &str, error: &Error, named: bool) {
        let level = if named { FindingLevel::Error } else { FindingLevel::Warning };
        let mut finding = finding_of(error, level, url, "site-unreadable");
        (finding.code, finding.hint) = match error.kind() {
            ErrorKind::NotFound => {
                ("site-gone".to_owned(), Some("check the address, or leave the site out".to_owned()))
            }
            ErrorKind::Denied => (
                "site-denied".to_owned(),
                Some("give an account of the pool read permission there".to_owned()),
            ),
            _ => (finding.code, finding.hint),
        };
        self.findings.push(finding);
    }

    /// Takes in one site; false if it is known already.
    async fn one(&mut self, web: &Web) -> Result<bool> {
        let about = web
            .get("web?$select=Id,Url,ServerRelativeUrl,Title,Language,WebTemplate,Created", Form::Bare)
            .await?;
        let site = web.get("site?$select=Id,Url", Form::Bare).await?;
        let root = if same_host(&self.hosts.sharepoint, web.url()) { "@root" } else { "@my" };
        let container = container(web.url(), root, &site, &about)?;
        let key = container.id.as_bytes().to_vec();
        Ok(self.found.insert(key, container).is_none())
    }
}

/// A web as a container; `root` is the name of its host's root, whose address has no part to be named by.
pub(super) fn container(url: &str, root: &str, site: &Json, web: &Json) -> Result<Container> {
    let ids = paths::guid(json::text(site, "Id")).zip(paths::guid(json::text(web, "Id")));
    let (site_id, web_id) = ids
        .ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{url}: the site does not tell its id")))?;
    let relative = match json::text(web, "ServerRelativeUrl") {
        "" => path_of(url),
        path => path.to_owned(),
    };
    let parts: Vec<Name> = relative.split('/').filter(|part| !part.is_empty()).map(Name::from).collect();
    let parts = if parts.is_empty() { vec![Name::from(root)] } else { parts };
    let kept = ["Title", "Language", "WebTemplate", "Created"];
    let kept = kept.iter().filter_map(|name| Some((Word::from(*name), json::value(web.get(*name)?))));
    let container = Container {
        id: ContainerId::from(format!("{site_id}/{web_id}")),
        path: std::iter::once(Name::from(ROOT)).chain(parts).collect(),
        kind: Kind::new("site"),
        title: json::text(web, "Title").to_owned(),
        path_ids: false,
        meta: std::iter::once((Word::from(URL), Value::Text(url.to_owned()))).chain(kept).collect(),
    };
    // One that the host would refuse would cost it all others.
    rules::container(&container)?;
    Ok(container)
}

/// Search's rows, each as its cells by name.
pub(super) fn search_rows(answer: &Json) -> Vec<BTreeMap<String, String>> {
    let table = ["PrimaryQueryResult", "RelevantResults", "Table"];
    let Some(table) = table.iter().try_fold(answer, |at, name| at.get(*name)) else { return Vec::new() };
    let cells = |row: &Json| {
        let cells = json::members(row, "Cells").iter();
        cells.map(|cell| (json::text(cell, "Key").to_owned(), json::text(cell, "Value").to_owned())).collect()
    };
    json::members(table, "Rows").iter().map(cells).collect()
}

fn path_of(url: &str) -> String {
    Url::parse(url).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}

fn same_host(host: &Url, url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.origin() == host.origin())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(sites: &[&str], exclude: &[&str]) -> Wanted {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Wanted::new(&SharePointOptions {
            sites: texts(sites),
            exclude: texts(exclude),
            ..SharePointOptions::default()
        })
        .unwrap()
    }

    #[test]
    fn globs_are_on_the_server_relative_address() {
        let all = wanted(&["*"], &["/sites/secret*"]);
        assert!(all.takes("") && all.takes("/sites/a/sub") && !all.takes("/sites/Secret1"));
        assert!(all.all && all.named.is_empty());
        let some = wanted(&["/sites/a", "/sites/b*"], &[]);
        assert!(some.takes("/sites/A") && some.takes("/sites/b2") && !some.takes("/sites/c"));
        assert_eq!((some.all, some.named.as_slice()), (true, &["/sites/a".to_owned()][..]));
        assert!(
            Wanted::new(&SharePointOptions { sites: vec!["[".into()], ..SharePointOptions::default() })
                .is_err()
        );
    }

    #[test]
    fn containers_keep_id_and_path() {
        let (site, web) = ("0A7A1F00-0000-4000-8000-000000000001", "0a7a1f00-0000-4000-8000-000000000002");
        let about = json!({"Id": web, "ServerRelativeUrl": "/sites/a/sub", "Title": "Sub"});
        let container = container("https://c/sites/a/sub", "@root", &json!({"Id": site}), &about).unwrap();
        assert_eq!(container.id.display(), format!("{}/{web}", site.to_lowercase()));
        let path: Vec<_> = container.path.iter().map(Name::display).collect();
        assert_eq!(path, ["sharepoint", "sites", "a", "sub"]);
        assert!(is_site(&container));
        assert_eq!(url_of(&container).unwrap(), "https://c/sites/a/sub");
        let root = super::container(
            "https://c",
            "@my",
            &json!({"Id": site}),
            &json!({"Id": web, "ServerRelativeUrl": "/"}),
        )
        .unwrap();
        assert_eq!(root.path[1], Name::from("@my"));
    }

    #[test]
    fn search_rows_are_cells_by_name() {
        let answer = json!({"PrimaryQueryResult": {"RelevantResults": {"Table": {"Rows": [
            {"Cells": [{"Key": "Path", "Value": "https://c/sites/a"}, {"Key": "DocId", "Value": "17"}]}]}}}});
        let rows = search_rows(&answer);
        assert_eq!(rows[0]["Path"], "https://c/sites/a");
        assert!(search_rows(&json!({})).is_empty());
    }
}
