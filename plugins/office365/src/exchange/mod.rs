//! Exchange over EWS: mailboxes, their folders and their items.
//!
//! From the wire up: [`xml`] reads answers as they arrive, [`soap`] and [`requests`] write questions, [`client`] asks them
//! through the pool with the patience of [`retry`] and the knowledge of [`faults`]. [`folders`], [`hierarchy`], [`sync`] and [`owed`] say
//! what is there and what changed, [`items`] and [`offer`] what it is, by the ids of [`ids`], and [`moves`] what is only elsewhere now. [`content`],
//! [`formats`], [`export`], [`details`] and [`rebuild`] give its bytes. [`reader`] puts them in order for one mailbox; [`discover`] finds the mailboxes.

mod answer;
mod base64;
mod client;
mod content;
mod context;
mod cursor;
mod details;
mod discover;
mod export;
mod faults;
mod folders;
mod formats;
mod hierarchy;
mod ids;
mod item;
mod items;
mod moves;
mod names;
mod offer;
mod outbox;
mod owed;
mod page;
mod properties;
mod public;
mod reader;
mod rebuild;
mod requests;
mod retry;
mod settings;
mod soap;
mod sync;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod times;
mod validate;
mod xml;

#[cfg(test)]
mod recorded;

use std::sync::{Arc, OnceLock};

use larder_sdk::{Container, Discovery, Error, Finding, Host, Reader, ReaderHost, Result, Value};
use url::Url;

use crate::{
    options::{ExchangeOptions, Hosts},
    pool::Pool,
};
use context::Context;
use formats::Formats;
use reader::MailboxReader;

/// Container ids of mailboxes begin with this; the primary address follows, in lower case.
const CONTAINER: &str = "exchange:";
/// The property of the container of public folders that names the mailbox as which they are read.
const SEEN_BY: &str = "seen_by";

/// The Exchange side of a set. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Exchange {
    pool: Arc<Pool>,
    url: Url,
    options: ExchangeOptions,
    formats: Arc<Formats>,
    exporting: Arc<export::Exporting>,
    host: Host,
}

impl Exchange {
    /// Makes no request.
    pub(crate) fn new(pool: Arc<Pool>, hosts: &Hosts, options: ExchangeOptions, host: Host) -> Self {
        Self {
            pool,
            url: hosts.exchange.clone(),
            options,
            formats: Arc::default(),
            exporting: Arc::default(),
            host,
        }
    }

    /// True if a container is a mailbox.
    pub(crate) fn owns(container: &Container) -> bool {
        address_of(container).is_some()
    }

    /// Checks, account by account, whether mailboxes can be read.
    pub(crate) async fn validate(&self) -> Vec<Finding> {
        validate::validate(self).await
    }

    /// The mailboxes that the options name, and what hinders.
    pub(crate) async fn discover(&self) -> Result<Discovery> {
        discover::discover(self).await
    }

    /// Begins to read a mailbox. Must be called within the runtime.
    pub(crate) fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        let address = address_of(container)
            .ok_or_else(|| Error::bug(format!("container {:?} is no mailbox", container.id)))?
            .to_owned();
        let client = if address == public::ADDRESS {
            let who = container.meta.iter().find(|(name, _)| name == SEEN_BY);
            let who =
                who.and_then(|(_, who)| if let Value::Text(who) = who { Some(who.as_str()) } else { None });
            client::Client::public(&self.pool, &self.url, who, Some(host.clone()))
        } else {
            client::Client::new(&self.pool, &self.url, &address, self.options.access, Some(host.clone()))
        };
        Ok(Box::new(MailboxReader::start(Context {
            address,
            client,
            host,
            options: self.options.clone(),
            formats: Arc::clone(&self.formats),
            batch: items::BatchSize::default(),
            offered: context::Offered::default(),
            ids: ids::Converter::default(),
            departed: moves::Departed::default(),
            exporting: Arc::clone(&self.exporting),
            fidelity: OnceLock::new(),
            log_to: self.host.clone(),
        })))
    }
}

fn address_of(container: &Container) -> Option<&str> {
    let id = container.id.as_bytes().strip_prefix(CONTAINER.as_bytes())?;
    std::str::from_utf8(id).ok().filter(|address| !address.is_empty())
}
