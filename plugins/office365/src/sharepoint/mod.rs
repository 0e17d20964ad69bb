//! SharePoint and OneDrive over REST: sites, their lists and libraries, items, attachments and files.

mod admin;
mod changes;
mod discover;
mod fault;
mod files;
mod items;
mod json;
mod lists;
mod paths;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod walk;
mod web;

use larder_sdk::{Body, Container, Error, Event, Offer, Reader, ReaderHost, ReadyBody, Result, async_trait};

pub(crate) use discover::{check, discover, is_site};

use crate::{
    feed::Feed,
    options::Service,
    pool::{Caller, Pool},
};
use files::FileBody;
use items::Carry;
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
    pub(crate) fn start(pool: &Arc<Pool>, container: &Container, host: ReaderHost) -> Result<Self> {
        let url = discover::url_of(container)?;
        let caller = Caller::new(pool, Service::SharePoint, &url, Some(host.clone()));
        let web = Web::new(&url, caller);
        let walk = Walk::new(web.clone(), host);
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
        match (carry, stream) {
            (Some(Carry::File(file)), 0) => Ok(Box::new(FileBody::of_file(&self.web, file)?)),
            (Some(Carry::ListItem { content, .. }), 0) => Ok(Box::new(ReadyBody::new(content.clone()))),
            (Some(Carry::ListItem { attachments, .. }), number) if number <= attachments.len() => {
                Ok(Box::new(FileBody::of_attachment(&self.web, &attachments[number - 1])?))
            }
            _ => Err(Error::bug(format!("item {} has no stream {stream}", offer.item.id.display()))),
        }
    }
}
