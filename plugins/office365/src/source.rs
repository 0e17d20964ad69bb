//! The source: SharePoint and Exchange of one set, behind one pool.

use std::sync::Arc;

use larder_sdk::{
    Container, Discovery, Error, ErrorKind, Finding, FindingLevel, Host, Reader, ReaderHost, Result, Source,
    async_trait,
};

use crate::{
    error::finding_of,
    exchange::Exchange,
    options::{Hosts, Options, Service},
    pool::Pool,
    sharepoint::{self, SiteReader},
    validate,
};

/// One backup set of a tenant.
pub struct Office365 {
    options: Options,
    hosts: Hosts,
    pool: Arc<Pool>,
    exchange: Option<Exchange>,
}

impl Office365 {
    /// A source from a set's options, as JSON. Finds the passwords; makes no request.
    pub fn new(options: &str, host: Host) -> Result<Self> {
        let options = Options::parse(options)?;
        let hosts = Hosts::of(&options)?;
        let pool = Pool::new(&options, &hosts, host.clone())?;
        let exchange =
            options.exchange.clone().map(|wanted| Exchange::new(Arc::clone(&pool), &hosts, wanted, host));
        Ok(Self { options, hosts, pool, exchange })
    }

    async fn discover_sites(&self) -> Result<Discovery> {
        match &self.options.sharepoint {
            Some(wanted) => sharepoint::discover(&self.pool, &self.hosts, wanted).await,
            None => Ok(Discovery::default()),
        }
    }

    async fn discover_mailboxes(&self) -> Result<Discovery> {
        match &self.exchange {
            Some(exchange) => exchange.discover().await,
            None => Ok(Discovery::default()),
        }
    }
}

#[async_trait]
impl Source for Office365 {
    async fn validate(&self) -> Result<Vec<Finding>> {
        let mut findings = validate::accounts(&self.pool).await;
        if let Some(wanted) = &self.options.sharepoint {
            findings.extend(validate::sharepoint(&self.pool, &self.hosts, wanted).await);
        }
        if let Some(exchange) = &self.exchange {
            findings.extend(exchange.validate().await);
        }
        Ok(findings)
    }

    async fn discover(&self) -> Result<Discovery> {
        let (sites, mailboxes) = futures::join!(self.discover_sites(), self.discover_mailboxes());
        let mut all = Discovery::default();
        let mut failed = None;
        let parts = [(Service::SharePoint, sites), (Service::Exchange, mailboxes)];
        for (service, found) in parts.into_iter().filter(|(service, _)| self.options.reads(*service)) {
            match found {
                Ok(found) => {
                    all.containers.extend(found.containers);
                    all.findings.extend(found.findings);
                }
                Err(error) => {
                    all.findings.push(finding_of(
                        &error,
                        FindingLevel::Error,
                        service.as_str(),
                        "service-unreadable",
                    ));
                    failed = Some(error);
                }
            }
        }
        // One service that fails stops the other no more than one site stops the rest; if nothing is left, it is an error.
        match failed {
            Some(error) if all.containers.is_empty() => Err(error),
            _ => Ok(all),
        }
    }

    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        if let Some(wanted) = self.options.sharepoint.as_ref().filter(|_| sharepoint::is_site(container)) {
            return Ok(Box::new(SiteReader::start(&self.pool, container, wanted, host)?));
        }
        match &self.exchange {
            Some(exchange) if Exchange::owns(container) => exchange.read(container, host),
            _ => Err(Error::new(
                ErrorKind::Configuration,
                format!("{} is neither a site nor a mailbox that this set reads", container.title),
            )),
        }
    }
}
