//! The tenant's own list of sites, which administrators alone may read: complete where search is not.

use larder_sdk::{Error, ErrorKind, LogLevel, Result};

use super::{
    json, paths,
    web::{Form, Pages, Web},
};
use crate::{
    options::Service,
    pool::{Caller, Pool},
};
use std::sync::Arc;

/// Where the admin site keeps the list.
const LIST: &str = "/Lists/DO_NOT_DELETE_SPLIST_TENANTADMIN_ALL_SITES_AGGREGA";
/// Rows per page.
const PAGE_ROWS: usize = 2_000;
/// Most sites taken from the list.
const SITES_MAX: usize = 1_000_000;
/// Most rows of the list, those of deleted sites among them.
const ROWS_MAX: usize = 10_000_000;

/// The addresses of all living sites, asked by the first account that may; empty if none may, which is what app passwords
/// usually mean.
pub(super) async fn sites(pool: &Arc<Pool>, admin: &str) -> Vec<String> {
    for account in pool.accounts(Service::SharePoint) {
        let web = Web::new(admin, Caller::only(pool, Service::SharePoint, account));
        match read(&web).await {
            Ok(sites) => return sites,
            Err(error) if refuses_one(&error) => {}
            Err(error) => {
                pool.log(LogLevel::Info, &format!("the list of all sites is left out: {error}"));
                return Vec::new();
            }
        }
    }
    Vec::new()
}

/// True if another account may fare better.
fn refuses_one(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Denied | ErrorKind::Authentication | ErrorKind::NotFound)
}

async fn read(web: &Web) -> Result<Vec<String>> {
    let list = paths::literal(LIST);
    let tail =
        format!("web/GetList(@l)/items?@l={list}&$select=SiteUrl,TimeDeleted&$orderby=ID&$top={PAGE_ROWS}");
    let mut next = Some(web.api(&tail)?);
    let (mut sites, mut pages) = (Vec::new(), Pages::at_most(ROWS_MAX));
    while let Some(url) = next {
        let (rows, following) = web.page(url, Form::Bare).await?;
        let living = rows.iter().filter(|row| json::text(row, "TimeDeleted").is_empty());
        sites.extend(living.map(|row| json::text(row, "SiteUrl").to_owned()).filter(|url| !url.is_empty()));
        pages.add(rows.len(), "the list of all sites")?;
        next = following.filter(|_| sites.len() < SITES_MAX);
    }
    Ok(sites)
}
