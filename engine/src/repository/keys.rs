//! Key slots: each wraps the repository's keys under one password, and is stored twice.
//!
//! Beside the wrapped keys a slot holds a note, sealed under the control key: what the slot is for, and a digest of the wrapped keys. So
//! the store learns no label, and whoever has opened the repository can tell a good copy of any slot from a damaged one without its password.

use std::collections::BTreeMap;

use bytes::Bytes;
use larder_sdk::{
    ErrorKind, ObjectInfo, ObjectKey, Secret, Time,
    codec::{self, Record},
};
use serde::{Deserialize, Serialize};

use super::{Repository, layout};
use crate::{
    crypto::{KdfCost, KeySlot, Keys, Looks, ObjectKind, looks_of},
    error::{EngineError, EngineErrorKind, Result},
    hash::{Digest, ObjectName, RepositoryId},
    pack::{open_small, seal_small},
    store::Store,
};

/// A slot's object is never larger, in bytes; what is is not read.
const SLOT_BYTES_MAX: u64 = 64 << 10;
/// Longest label of a slot, in bytes.
pub const LABEL_BYTES_MAX: usize = 200;

/// A slot as it is stored.
#[derive(Serialize, Deserialize)]
struct SlotRecord {
    /// A [`KeySlot`].
    wrapped: Vec<u8>,
    /// A [`SlotNote`], sealed.
    note: Vec<u8>,
}

impl Record for SlotRecord {
    const KIND: u16 = 2;
    const VERSION: u16 = 1;
}

/// What a slot is for, and how its keys must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotNote {
    /// When it was made.
    pub made: Time,
    /// The machine that made it.
    pub host: String,
    /// What its maker calls it; may be empty.
    pub label: String,
    /// True if its password is a recovery key that we made.
    pub recovery: bool,
    /// Of the wrapped keys.
    digest: Digest,
}

impl Record for SlotNote {
    const KIND: u16 = 13;
    const VERSION: u16 = 1;
}

impl SlotNote {
    /// A note for a slot that is about to be made.
    pub fn new(made: Time, host: impl Into<String>, label: impl Into<String>, recovery: bool) -> Self {
        Self { made, host: host.into(), label: label.into(), recovery, digest: Digest([0; 32]) }
    }
}

/// A slot of an open repository.
#[derive(Debug)]
pub struct Slot {
    /// Its id.
    pub id: ObjectName,
    /// Its note, if a copy of the slot is good.
    pub note: Option<SlotNote>,
    /// The slot's name and its copy's, and what is wrong with each.
    pub copies: [(ObjectKey, Option<EngineError>); 2],
    /// The bytes of a good copy.
    pub(super) bytes: Option<Bytes>,
}

impl Slot {
    /// True if both copies are good.
    pub fn is_whole(&self) -> bool {
        self.copies.iter().all(|(_, wrong)| wrong.is_none())
    }
}

/// The slots' ids in a listing, each once, in order.
fn ids(listing: &[(ObjectKey, ObjectInfo)]) -> Vec<ObjectName> {
    let mut ids: Vec<_> = listing
        .iter()
        .filter_map(|(key, _)| ObjectName::parse(key.as_str().rsplit('/').next()?.trim_end_matches(".copy")))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Makes a slot's bytes. Takes as long as the cost says.
pub(super) fn seal(
    keys: &Keys,
    repository: RepositoryId,
    id: ObjectName,
    password: &Secret,
    note: SlotNote,
    cost: KdfCost,
) -> Result<Bytes> {
    let wrapped = codec::encode_plain(&KeySlot::wrap(keys, password, id, cost)?)?;
    let note = SlotNote { digest: Digest::of(&wrapped), ..note };
    let note = seal_small(keys, repository, ObjectKind::KeySlot, id, &note)?;
    Ok(codec::encode(&SlotRecord { wrapped, note })?.into())
}

/// Puts both copies.
pub(super) fn put(store: &dyn Store, id: ObjectName, bytes: &Bytes) -> Result<()> {
    for key in layout::slot_keys(id)? {
        store.put(&key, bytes.clone()).map_err(EngineError::store)?;
    }
    Ok(())
}

/// Finds a slot that the password opens: the keys, and the slot.
pub(super) fn unlock(
    store: &dyn Store,
    listing: &[(ObjectKey, ObjectInfo)],
    password: &Secret,
) -> Result<(Keys, ObjectName)> {
    let sizes: BTreeMap<&ObjectKey, u64> = listing.iter().map(|(key, info)| (key, info.size)).collect();
    let mut unreadable = None;
    let mut any_read = false;
    for id in ids(listing) {
        let mut before = None;
        for key in layout::slot_keys(id)? {
            // What is not listed is missing, and is read all the same: listings may lag.
            if sizes.get(&key).is_some_and(|size| *size > SLOT_BYTES_MAX) {
                continue;
            }
            match read_wrapped(store, &key) {
                // A copy of what did not open needs no second try.
                Ok(wrapped) if before.as_ref() == Some(&wrapped) => {}
                Ok(wrapped) => {
                    any_read = true;
                    match open_wrapped(&wrapped, password, id) {
                        Ok(Some(keys)) => return Ok((keys, id)),
                        // Altered bytes look like another password: the copy decides.
                        Ok(None) => {}
                        Err(error) => unreadable = Some(error.context(format_args!("key slot `{key}`"))),
                    }
                    before = Some(wrapped);
                }
                Err(error) => unreadable = Some(error),
            }
        }
    }
    match unreadable {
        Some(error) if !any_read => Err(error),
        _ => Err(wrong_password(&store.capabilities().location, password)),
    }
}

fn wrong_password(location: &str, password: &Secret) -> EngineError {
    let (message, hint) = match looks_of(password) {
        Looks::Password => (
            format!("the password opens no key slot of the repository at {location}"),
            "check the `password` of this repository in the config",
        ),
        Looks::RecoveryKey => (
            format!(
                "the recovery key opens no key slot of the repository at {location}; it has no typing error"
            ),
            "it was removed, or it is another repository's",
        ),
        Looks::Mistyped => (
            format!(
                "the password opens no key slot of the repository at {location}; it looks like a recovery key with a typing error in it"
            ),
            "compare it with the printed one: eight groups of four, of which the last is a checksum",
        ),
    };
    EngineError::new(EngineErrorKind::WrongPassword, message).with_hint(hint)
}

fn read_wrapped(store: &dyn Store, key: &ObjectKey) -> Result<Vec<u8>> {
    let bytes = store
        .get(key)
        .map_err(|error| EngineError::store(error).context(format_args!("key slot `{key}`")))?;
    let record: SlotRecord = codec::decode(&bytes)
        .map_err(|error| EngineError::from(error).context(format_args!("key slot `{key}`")))?;
    Ok(record.wrapped)
}

fn open_wrapped(wrapped: &[u8], password: &Secret, id: ObjectName) -> Result<Option<Keys>> {
    let slot: KeySlot = codec::decode_plain(wrapped)?;
    Ok(slot.unwrap(password, id)?)
}

impl Repository {
    /// The ids of the slots there are.
    pub fn slot_ids(&self) -> Result<Vec<ObjectName>> {
        Ok(ids(&self.store().list_all(layout::KEYS).map_err(EngineError::store)?))
    }

    /// Every slot, both copies read and checked.
    pub fn slots(&self) -> Result<Vec<Slot>> {
        self.slot_ids()?.into_iter().map(|id| self.slot(id)).collect()
    }

    /// One slot, both copies read and checked.
    pub fn slot(&self, id: ObjectName) -> Result<Slot> {
        let [key, copy] = layout::slot_keys(id)?;
        let mut slot = Slot { id, note: None, copies: [(key, None), (copy, None)], bytes: None };
        for (key, wrong) in &mut slot.copies {
            match self.read_copy(id, key) {
                Ok((note, bytes)) => {
                    slot.note = Some(note);
                    slot.bytes = Some(bytes);
                }
                Err(error) if error.kind() == EngineErrorKind::Damaged => *wrong = Some(error),
                Err(error) => return Err(error),
            }
        }
        Ok(slot)
    }

    fn read_copy(&self, id: ObjectName, key: &ObjectKey) -> Result<(SlotNote, Bytes)> {
        let bytes = self.store().get(key).map_err(|error| match error.kind() {
            ErrorKind::NotFound => EngineError::damaged("it is missing from the store"),
            _ => EngineError::store(error).context(format_args!("key slot `{key}`")),
        })?;
        let record: SlotRecord = codec::decode(&bytes)?;
        let note: SlotNote = open_small(self.keys(), self.id(), ObjectKind::KeySlot, id, &record.note)?;
        if Digest::of(&record.wrapped) != note.digest {
            return Err(EngineError::damaged("its wrapped keys are not the ones it was made with"));
        }
        Ok((note, bytes))
    }

    /// Makes a slot, puts both copies, and makes sure that the password opens it as it lies in the store.
    ///
    /// After a failure the new slot is taken away again, if that can be done; what may be left of it harms nothing.
    pub fn make_slot(&self, password: &Secret, note: SlotNote, cost: KdfCost) -> Result<ObjectName> {
        let id = ObjectName::random()?;
        let bytes = seal(self.keys(), self.id(), id, password, note, cost)?;
        let made = put(&**self.store(), id, &bytes).and_then(|()| {
            self.prove(id, &bytes, password)
                .map_err(|error| error.context(format_args!("the new key slot {id}, read back")))
        });
        match made {
            Ok(()) => Ok(id),
            Err(error) => {
                for key in layout::slot_keys(id)? {
                    // The failure itself is what is told.
                    drop(self.store().delete(&key));
                }
                Err(error)
            }
        }
    }

    fn prove(&self, id: ObjectName, bytes: &Bytes, password: &Secret) -> Result<()> {
        for key in layout::slot_keys(id)? {
            if self.store().get(&key).map_err(EngineError::store)? != *bytes {
                return Err(EngineError::damaged(format!("`{key}` is not what was just put there")));
            }
        }
        if !self.slot_ids()?.contains(&id) {
            return Err(EngineError::failed("the store's listing does not show it yet")
                .with_hint("wait a while, then look with `larder key list`"));
        }
        let record: SlotRecord = codec::decode(bytes)?;
        let opened = open_wrapped(&record.wrapped, password, id)?;
        let opened =
            opened.map(|keys| codec::encode_plain(&keys).map(zeroize::Zeroizing::new)).transpose()?;
        let own = zeroize::Zeroizing::new(codec::encode_plain(self.keys())?);
        if opened.as_ref() == Some(&own) {
            Ok(())
        } else {
            Err(EngineError::damaged("the password does not open it to the repository's keys"))
        }
    }

    /// Puts a slot's damaged or missing copies again, from the good one. Returns what was put.
    pub fn mend_slot(&self, slot: &Slot) -> Result<Vec<ObjectKey>> {
        let Some(bytes) = &slot.bytes else { return Ok(Vec::new()) };
        let mut mended = Vec::new();
        for (key, _) in slot.copies.iter().filter(|(_, wrong)| wrong.is_some()) {
            self.store().put(key, bytes.clone()).map_err(EngineError::store)?;
            mended.push(key.clone());
        }
        Ok(mended)
    }

    /// Removes a slot. The slot in use (or `kept`) is there afterwards, also if another machine removed it at the same time.
    pub fn remove_slot(&self, id: ObjectName, kept: ObjectName) -> Result<()> {
        let held = self.slot(kept)?;
        if held.bytes.is_none() || id == kept {
            return Err(EngineError::damaged(format!("key slot {kept}, which is to stay, has no good copy")));
        }
        for key in layout::slot_keys(id)? {
            self.store().delete(&key).map_err(|error| {
                EngineError::store(error)
                    .context(format_args!("removing `{key}`"))
                    .with_hint(format!("the slot may still open: try again with `larder key remove {id}`"))
            })?;
        }
        let after = Slot { bytes: held.bytes, ..self.slot(kept)? };
        self.mend_slot(&after).map(drop)
    }
}
