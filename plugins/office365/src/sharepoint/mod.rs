//! SharePoint and OneDrive over REST: sites, their lists and libraries, items, attachments and files.

mod admin;
mod changes;
mod check;
mod discover;
mod fault;
mod files;
mod items;
mod json;
mod lists;
mod owed;
mod parents;
mod paths;
mod permissions;
mod reading;
mod rows;
mod schema;
mod sheet;
mod site;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod versions;
mod walk;
mod web;

use larder_sdk::{
    Body, Container, Error, ErrorKind, Event, Offer, Reader, ReaderHost, ReadyBody, Result, StreamInfo,
    async_trait,
};

pub(crate) use check::check;
pub(crate) use discover::{discover, is_site};

use crate::{
    feed::Feed,
    options::{Service, SharePointOptions},
    pool::{Caller, Pool},
};
use files::FileBody;
use items::{Carry, Of};
use reading::Reading;
use sheet::{PERMISSIONS, SCHEMA};
use std::sync::Arc;
use walk::Walk;
use web::Web;

/// Reads one site.
pub(crate) struct SiteReader {
    web: Web,
    feed: Feed,
}

impl SiteReader {
    /// Starts reading the site that a container of [`discover`] stands for.
    pub(crate) fn start(
        pool: &Arc<Pool>,
        container: &Container,
        options: &SharePointOptions,
        host: ReaderHost,
    ) -> Result<Self> {
        let url = discover::url_of(container)?;
        let caller = Caller::new(pool, Service::SharePoint, &url, Some(host.clone()));
        let web = Web::new(&url, caller);
        let walk = Walk::new(Reading::new(web.clone(), host, options));
        let feed = Feed::start(|mut sink| async move {
            let walked = walk.run(&mut sink).await;
            (sink, walked)
        });
        Ok(Self { web, feed })
    }
}

#[async_trait]
impl Reader for SiteReader {
    async fn next(&self) -> Result<Vec<Event>> {
        self.feed.next().await
    }

    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        let carry = offer.carry.as_ref().and_then(|carry| carry.downcast_ref::<Carry>());
        let (Some(carry), Some(info)) = (carry, offer.item.streams.get(stream)) else {
            return Err(Error::bug(format!("item {} has no stream {stream}", offer.item.id.display())));
        };
        if let Some(sheet) = carry.sheets.iter().find(|sheet| sheet.info.name == info.name) {
            return Ok(Box::new(ReadyBody::new(sheet.bytes.clone())));
        }
        match &carry.of {
            Of::File(file) if info.name == StreamInfo::CONTENT => {
                Ok(Box::new(FileBody::of_file(&self.web, file)?))
            }
            Of::ListItem { content, .. } if stream == 0 => Ok(Box::new(ReadyBody::new(content.clone()))),
            Of::ListItem { attachments, .. } if stream <= attachments.len() => {
                Ok(Box::new(FileBody::of_attachment(&self.web, &attachments[stream - 1])?))
            }
            Of::Settings(content) => Ok(Box::new(ReadyBody::new(content.clone()))),
            Of::List(list) if info.name == SCHEMA => {
                Ok(Box::new(ReadyBody::new(schema::read(&self.web, list).await?.bytes)))
            }
            of => self.open_other(carry, of, info).await,
        }
    }
}

impl SiteReader {
    /// What was taken over as it is known, and is wanted all the same.
    async fn open_other(&self, carry: &Carry, of: &Of, info: &StreamInfo) -> Result<Box<dyn Body>> {
        if info.name == PERMISSIONS {
            let sheet = permissions::read(&self.web, &carry.address).await?;
            let gone = || Error::new(ErrorKind::NotFound, "what had permissions of its own is gone");
            return Ok(Box::new(ReadyBody::new(sheet.ok_or_else(gone)?.bytes)));
        }
        match (of, versions::of_stream(&info.name)) {
            (Of::File(file), Some(number)) => {
                Ok(Box::new(FileBody::of_version(&self.web, file, number, info.size)?))
            }
            _ => Err(Error::bug(format!("there is no stream {}", info.name))),
        }
    }
}
