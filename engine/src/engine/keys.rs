//! What opens a repository: its key slots.

use std::sync::Arc;

use larder_sdk::Secret;

use super::Engine;
use crate::{
    crypto::{KdfCost, recovery_key},
    error::Result,
    hash::ObjectName,
    maintenance::{self, NewKey, SlotChange},
    repository::{Repository, Slot},
};

/// The key slots of an open repository.
pub struct KeyRing<'engine> {
    engine: &'engine Engine,
    repository: Arc<Repository>,
    name: String,
}

impl Engine {
    /// Opens a repository to look after its key slots.
    pub fn key_ring(&self, repository: Option<&str>) -> Result<KeyRing<'_>> {
        let config = self.config.repository_or_only(repository)?;
        Ok(KeyRing { engine: self, repository: self.open(config)?, name: config.name.clone() })
    }
}

impl KeyRing<'_> {
    /// The slot that the config's password opened.
    pub fn in_use(&self) -> ObjectName {
        self.repository.slot_in_use()
    }

    /// Every slot, in the order in which they were made; those of which nothing is known come last.
    pub fn list(&self) -> Result<Vec<Slot>> {
        let mut slots = self.told(self.repository.slots())?;
        slots.sort_by_key(|slot| (slot.note.is_none(), slot.note.as_ref().map(|note| note.made), slot.id));
        Ok(slots)
    }

    /// Adds a slot for a password.
    pub fn add(&self, password: &Secret, label: &str) -> Result<ObjectName> {
        self.told(maintenance::add_key(
            &self.repository,
            &self.fresh(password, label, false),
            &*self.engine.context.clock,
        ))
    }

    /// Adds a slot for a recovery key, and returns it: it is kept nowhere.
    pub fn add_recovery(&self, label: &str) -> Result<(ObjectName, Secret)> {
        let key = recovery_key()?;
        let new = self.fresh(&key, label, true);
        let id = self.told(maintenance::add_key(&self.repository, &new, &*self.engine.context.clock))?;
        Ok((id, key))
    }

    /// Removes the slot whose id begins with these digits.
    pub fn remove(&self, digits: &str) -> Result<ObjectName> {
        self.told(maintenance::find_slot(&self.repository, digits).and_then(|slot| {
            maintenance::remove_key(&self.repository, slot.id)?;
            Ok(slot.id)
        }))
    }

    /// Puts a slot with a new password in the place of one: of the one in use, if no digits of another are given.
    pub fn change(&self, digits: Option<&str>, password: &Secret, label: &str) -> Result<SlotChange> {
        let change = || {
            let old = match digits {
                Some(digits) => maintenance::find_slot(&self.repository, digits)?.id,
                None => self.in_use(),
            };
            let new = self.fresh(password, label, false);
            maintenance::change_password(&self.repository, old, &new, &*self.engine.context.clock)
        };
        self.told(change())
    }

    fn fresh<'new>(&'new self, password: &'new Secret, label: &'new str, recovery: bool) -> NewKey<'new> {
        NewKey { password, recovery, label, host: &self.engine.context.host, cost: KdfCost::default() }
    }

    fn told<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| error.context(format_args!("repository `{}`", self.name)))
    }
}
