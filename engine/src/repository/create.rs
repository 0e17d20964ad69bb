//! Making a repository: probing the store, then keys, then the config.

use std::sync::Arc;

use bytes::Bytes;
use larder_sdk::{ErrorKind, ObjectKey, Secret, Time};

use super::{
    Repository, SlotNote, keys, layout,
    objects::{CONFIG_NAME, CONFIG_REPOSITORY, ConfigRecord, DRAFT},
};
use crate::{
    crypto::{KdfCost, Keys, ObjectKind},
    error::{EngineError, Result},
    hash::{ObjectName, RepositoryId},
    pack::seal_small,
    store::Store,
};

/// How a repository is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct CreateOptions {
    /// What deriving the password's key costs.
    pub cost: KdfCost,
}

/// Who makes a repository, and after which.
#[derive(Clone, Copy, Default)]
pub struct Maker<'like> {
    /// The machine, for the key slot's note.
    pub host: &'like str,
    /// A repository whose blob ids and borders the new one shares, so that blobs can be copied between them.
    pub like: Option<&'like Repository>,
}

/// [`create_by`] nobody in particular.
pub fn create(
    store: &Arc<dyn Store>,
    password: &Secret,
    now: Time,
    options: CreateOptions,
) -> Result<ConfigRecord> {
    create_by(store, password, now, options, Maker::default())
}

/// Makes a repository in an empty store. An existing one is never touched.
pub fn create_by(
    store: &Arc<dyn Store>,
    password: &Secret,
    now: Time,
    options: CreateOptions,
    maker: Maker<'_>,
) -> Result<ConfigRecord> {
    refuse_existing(&**store)?;
    let (put_if_absent, list_after_put) = probe(&**store)?;
    let keys = match maker.like {
        Some(other) => Keys::generate_like(other.keys())?,
        None => Keys::generate()?,
    };
    let slot_id = ObjectName::random()?;
    let config = ConfigRecord {
        id: RepositoryId(ObjectName::random()?.0),
        draft: DRAFT,
        created: now,
        put_if_absent,
        list_after_put,
    };
    let note = SlotNote::new(now, maker.host, "", false);
    let slot = keys::seal(&keys, config.id, slot_id, password, note, options.cost)?;
    keys::put(&**store, slot_id, &slot)?;
    // The config comes last: a repository without one was never finished, and nothing can be in it.
    let bytes = seal_small(&keys, CONFIG_REPOSITORY, ObjectKind::Config, CONFIG_NAME, &config)?;
    for key in layout::config_keys()? {
        store.put(&key, Bytes::from(bytes.clone())).map_err(EngineError::store)?;
    }
    Ok(config)
}

fn refuse_existing(store: &dyn Store) -> Result<()> {
    let location = store.capabilities().location;
    for key in layout::config_keys()? {
        match store.head(&key) {
            Ok(_) => {
                return Err(EngineError::failed(format!("there is a repository at {location} already"))
                    .with_hint("use it, or choose another URL; `init` never overwrites"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(EngineError::store(error).context(format_args!("looking at {location}")));
            }
        }
    }
    if !store.list_all(layout::KEYS).map_err(EngineError::store)?.is_empty() {
        return Err(EngineError::failed(format!(
            "{location} holds key slots of a repository without a config"
        ))
        .with_hint(
            "an `init` was cut off there: remove `keys/` if nothing else is in the store, then try again",
        ));
    }
    Ok(())
}

/// Sees for itself whether a second put is refused and whether a listing shows what was just put.
fn probe(store: &dyn Store) -> Result<(bool, bool)> {
    let name = ObjectName::random()?;
    let key = ObjectKey::new(format!("live/probe/{name}"))?;
    let first = Bytes::from_static(b"larder probe");
    store.put_if_absent(&key, first.clone()).map_err(EngineError::store)?;
    let refused = matches!(
        store.put_if_absent(&key, Bytes::from_static(b"second")),
        Err(error) if error.kind() == ErrorKind::AlreadyExists
    );
    let listed =
        store.list_all("live/probe").map_err(EngineError::store)?.iter().any(|(listed, _)| *listed == key);
    let range = store.get_range(&key, 7..12).map_err(EngineError::store)?;
    let unchanged = store.get(&key).map_err(EngineError::store)? == first;
    store.delete(&key).map_err(EngineError::store)?;
    if range != first[7..12] {
        return Err(EngineError::failed(format!(
            "the store at {} answers a range with other bytes",
            store.capabilities().location
        )));
    }
    Ok((refused && unchanged && store.capabilities().put_if_absent, listed))
}
