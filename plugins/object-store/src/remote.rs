//! A destination over the network: prefixes, tries, and words around [`Store`].

use std::{future::Future, ops::Range, time::Duration};

use larder_sdk::{
    Bytes, Capabilities, Destination, Host, ListPage, LogLevel, ObjectInfo, ObjectKey, Result, async_trait,
};

use crate::{
    error::Call,
    failure::{Failure, Outcome},
    location::Location,
    names,
    options::{Mask, Options},
    retry,
    store::Store,
};

/// How many requests at once make sense: enough to hide a round trip, few enough for any server.
const CONCURRENCY: u32 = 16;

/// A bucket, container or `WebDAV` folder.
pub(crate) struct RemoteStore {
    store: Store,
    prefix: String,
    place: String,
    mask: Mask,
    host: Host,
}

impl RemoteStore {
    /// Sets a destination up. Makes no request.
    pub(crate) fn open(location: &Location, options: &Options, host: Host) -> Result<Self> {
        Ok(Self {
            store: Store::open(location, options)?,
            prefix: location.prefix.clone(),
            place: location.to_string(),
            mask: options.mask(),
            host,
        })
    }

    /// The whole name: prefix and key, either of which may be empty.
    fn whole(&self, key: &str) -> String {
        match (self.prefix.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (false, true) => self.prefix.clone(),
            (false, false) => format!("{}/{key}", self.prefix),
        }
    }

    /// A listed name without the prefix; `None` for what is no name of ours.
    fn own(&self, whole: &str) -> Option<ObjectKey> {
        let key = if self.prefix.is_empty() {
            whole
        } else {
            whole.strip_prefix(&*self.prefix)?.strip_prefix('/')?
        };
        ObjectKey::new(key).ok()
    }

    /// Makes a call until it succeeds or the bounds of [`retry`] are reached.
    async fn tried<T, F>(&self, call: Call<'_>, make: impl FnMut() -> F) -> Outcome<T>
    where
        F: Future<Output = Outcome<T>>,
    {
        let tell = |failure: &Failure, wait: Duration| {
            let error = failure.explain(call, &self.mask);
            self.host.log(LogLevel::Debug, &format!("{error}; trying again in {} ms", wait.as_millis()));
        };
        retry::run(make, tell).await
    }

    async fn try_put(&self, key: &ObjectKey, data: Bytes, create: bool) -> Result<()> {
        let name = self.whole(key.as_str());
        let call = Call { create, ..self.call("writing", key.as_str()) };
        self.tried(call, || self.store.put(&name, data.clone(), create && self.store.creates))
            .await
            .map_err(|failure| failure.explain(call, &self.mask))
    }

    fn call<'a>(&'a self, doing: &'static str, name: &'a str) -> Call<'a> {
        Call { doing, name, place: &self.place, create: false }
    }
}

#[async_trait]
impl Destination for RemoteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            location: self.place.clone(),
            put_if_absent: self.store.creates,
            list_after_put: true,
            ranges: true,
            object_bytes_max: None,
            concurrency: CONCURRENCY,
        }
    }

    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.try_put(key, data, false).await
    }

    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        if !self.store.creates {
            // The stated substitute: a look, then a put.
            let name = self.whole(key.as_str());
            let call = Call { create: true, ..self.call("writing", key.as_str()) };
            match self.tried(call, || self.store.head(&name)).await {
                Ok(_) => return Err(Failure::already_there().explain(call, &self.mask)),
                Err(failure) if failure.is_missing_object() => {}
                Err(failure) => return Err(failure.explain(call, &self.mask)),
            }
        }
        self.try_put(key, data, true).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        let name = self.whole(key.as_str());
        let call = self.call("reading", key.as_str());
        let found = self.tried(call, || self.store.get(&name)).await;
        found.map_err(|failure| failure.explain(call, &self.mask))
    }

    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        names::check_order(&range)?;
        if range.is_empty() {
            // HTTP has no empty range.
            names::check_range(key, &range, self.head(key).await?.size, &self.place)?;
            return Ok(Bytes::new());
        }
        let name = self.whole(key.as_str());
        let call = self.call("reading a part of", key.as_str());
        let found = self.tried(call, || self.store.get_range(&name, range.clone())).await;
        found.map_err(|failure| failure.explain(call, &self.mask))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        let name = self.whole(key.as_str());
        let call = self.call("looking for", key.as_str());
        let found = self.tried(call, || self.store.head(&name)).await;
        found.map_err(|failure| failure.explain(call, &self.mask))
    }

    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        names::check_folder(folder)?;
        let name = self.whole(folder);
        let call = self.call("listing", folder);
        let page = self
            .tried(call, || self.store.list(&name, token.clone()))
            .await
            .map_err(|failure| failure.explain(call, &self.mask))?;
        let objects = page.objects.into_iter().filter_map(|(name, info)| Some((self.own(&name)?, info)));
        let folders = page.folders.iter().filter_map(|name| self.own(name));
        Ok(ListPage {
            objects: objects.collect(),
            folders: folders.map(String::from).collect(),
            next: page.next,
        })
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let name = self.whole(key.as_str());
        let call = self.call("deleting", key.as_str());
        match self.tried(call, || self.store.delete(&name)).await {
            Err(failure) if !failure.is_missing_object() => Err(failure.explain(call, &self.mask)),
            _ => Ok(()),
        }
    }
}
