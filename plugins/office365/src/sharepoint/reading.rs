//! What a run reads of lists and rows beside the rows themselves: earlier versions, permissions, schema.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use larder_sdk::{Error, Event, Item, ItemId, Name, Offer, ReaderHost, Result, StreamInfo, Unread, Value};

use super::{
    items::{self, Carry, Extras, LABEL, Of, Row},
    lists::List,
    paths, permissions, schema,
    sheet::{PERMISSIONS, SCHEMA, Sheet, stream_of},
    versions,
    walk::ends_all,
    web::Web,
};
use crate::options::{SharePointOptions, Versions};

/// Debts remembered one by one; beyond that everything counts as owed, which costs requests.
const OWED_MAX: usize = 200_000;

#[derive(Default)]
struct OwedIds {
    ids: BTreeSet<ItemId>,
    /// True if there were more.
    more: bool,
}

/// What is read, and from where. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) web: Web,
    pub(super) host: ReaderHost,
    versions: Versions,
    pub(super) permissions: bool,
    pub(super) recycle_bin: bool,
    /// What was owed when the run began: what is stored of it may lack what could not be read.
    owed: Arc<Mutex<OwedIds>>,
    /// Lists whose permissions no account may see: asking again for every item of theirs would be of no use.
    hidden: Arc<Mutex<BTreeSet<String>>>,
}

impl Reading {
    pub(super) fn new(web: Web, host: ReaderHost, options: &SharePointOptions) -> Self {
        let SharePointOptions { versions, permissions, recycle_bin, .. } = *options;
        Self { web, host, versions, permissions, recycle_bin, owed: Arc::default(), hidden: Arc::default() }
    }

    /// What the options ask for, in a word: what was read under another one must be looked at again.
    pub(super) fn profile(&self) -> String {
        format!("versions={} permissions={}", self.versions.word(), self.permissions)
    }

    /// Notes that something was owed when the run began.
    pub(super) fn note_owed(&self, id: &ItemId) {
        let mut owed = lock(&self.owed);
        if owed.ids.len() < OWED_MAX {
            owed.ids.insert(id.clone());
        } else {
            owed.more = true;
        }
    }

    fn was_owed(&self, id: &ItemId) -> bool {
        let owed = lock(&self.owed);
        owed.more || owed.ids.contains(id)
    }

    /// What belongs to a row beside what stands in it. With `anew` nothing is taken over from what is stored.
    pub(super) async fn extras(&self, list: &List, row: &Row, anew: bool) -> Result<Extras> {
        let file = row
            .file(list)
            .filter(|_| !self.versions.is_latest() && versions::may_be(row.label(), list.drafts));
        let unique = self.permissions && row.is_unique();
        let mut extras = Extras::default();
        if file.is_none() && !unique {
            return Ok(extras);
        }
        let id = row.id(list);
        let anew = anew || self.was_owed(&id);
        let known = self.host.item(&id).await?;
        if let Some((file, tag)) = file {
            let same = known.as_ref().filter(|known| {
                !anew && !tag.is_empty() && known.tag == tag && has_label(known, row.label())
            });
            let media = items::media(&file.name);
            let read = match same {
                Some(known) => Ok(versions_of(known)),
                None => versions::read(&self.web, &file.unique_id, media, self.versions).await,
            };
            let read = extras.or_known(read, || known.as_ref().map(versions_of).unwrap_or_default())?;
            extras.streams.extend(read);
        }
        if unique {
            let address = format!("{}/items({})", list.address(), row.number());
            self.permissions_of(&list.id, &address, known.as_ref(), &mut extras).await?;
        }
        Ok(extras)
    }

    /// Adds the permissions of the thing at an address to what belongs to it. `key` is what hides them, if they are hidden.
    pub(super) async fn permissions_of(
        &self,
        key: &str,
        address: &str,
        known: Option<&Item>,
        extras: &mut Extras,
    ) -> Result<()> {
        let before = || stream_of(known, PERMISSIONS);
        if lock(&self.hidden).contains(key) {
            extras.streams.extend(before());
            return Ok(());
        }
        match permissions::read(&self.web, address).await {
            Ok(Some(sheet)) => extras.add(sheet),
            Ok(None) => {}
            Err(error) if permissions::is_hidden(&error) => {
                self.hide(key);
                extras.streams.extend(before());
            }
            Err(error) => {
                let kept = extras.or_known(Err(error), || before().into_iter().collect())?;
                extras.streams.extend(kept);
            }
        }
        Ok(())
    }

    fn hide(&self, key: &str) {
        let first = {
            let mut hidden = lock(&self.hidden);
            let first = hidden.is_empty();
            hidden.insert(key.to_owned());
            first
        };
        if first {
            self.web.warn(
                "permissions are left out: no account of the pool may see them (that takes the right to enumerate permissions; \
                 permissions = false says that they are not wanted)",
            );
        }
    }

    /// What is said of a list itself. Its schema is read if it was `touched`, or is not known yet.
    pub(super) async fn list_events(&self, list: &List, touched: bool) -> Result<Vec<Event>> {
        let known = self.host.item(&list.item_id()).await?;
        let same = known.as_ref().filter(|known| !touched && known.meta == list.meta);
        let mut extras = Extras::default();
        match stream_of(same, SCHEMA) {
            Some(schema) => extras.streams.push(schema),
            None => match schema::read(&self.web, list).await {
                Ok(sheet) => extras.add(sheet),
                Err(error) => {
                    let before = || stream_of(known.as_ref(), SCHEMA).into_iter().collect();
                    let kept = extras.or_known(Err(error), before)?;
                    extras.streams.extend(kept);
                }
            },
        }
        if self.permissions && list.unique {
            match stream_of(same, PERMISSIONS) {
                Some(permissions) => extras.streams.push(permissions),
                None => {
                    self.permissions_of(&list.id, &list.address(), known.as_ref(), &mut extras).await?;
                }
            }
        }
        Ok(list_events(list, extras))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is said of a list whose documents are these.
pub(super) fn list_events(list: &List, extras: Extras) -> Vec<Event> {
    let Extras { streams, sheets, failed } = extras;
    let carry = Carry { of: Of::List(Box::new(list.clone())), address: list.address(), sheets };
    let item = list.item(streams);
    let offer = Event::Offer(Offer { scope: list.scope(), item, carry: Some(Arc::new(carry)) });
    std::iter::once(offer).chain(failed.map(|error| unread_list(list, error))).collect()
}

/// A list that cannot be read, or not all of it.
pub(super) fn unread_list(list: &List, error: Error) -> Event {
    let name = Name::from(paths::leaf(&list.root));
    Event::Unread(Unread { scope: list.scope(), id: list.item_id(), parent: ItemId::default(), name, error })
}

impl Extras {
    fn add(&mut self, sheet: Sheet) {
        self.streams.push(sheet.info.clone());
        self.sheets.push(sheet);
    }

    /// What was read, or what is known of it, with the failure kept; an error that concerns more than this comes back.
    fn or_known(
        &mut self,
        read: Result<Vec<StreamInfo>>,
        known: impl FnOnce() -> Vec<StreamInfo>,
    ) -> Result<Vec<StreamInfo>> {
        match read {
            Err(error) if !ends_all(&error) => {
                self.failed = self.failed.take().or(Some(error));
                Ok(known())
            }
            read => read,
        }
    }
}

fn versions_of(known: &Item) -> Vec<StreamInfo> {
    known.streams.iter().filter(|stream| versions::of_stream(&stream.name).is_some()).cloned().collect()
}

fn has_label(known: &Item, label: &str) -> bool {
    known
        .meta
        .iter()
        .any(|(name, value)| *name == LABEL && matches!(value, Value::Text(text) if text == label))
}
