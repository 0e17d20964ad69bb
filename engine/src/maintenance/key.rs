//! Adding, removing and changing key slots. At every moment, also after a crash, a slot is there that somebody can open.

use larder_sdk::Secret;

use crate::{
    clock::Clock,
    crypto::KdfCost,
    error::{EngineError, Result},
    hash::ObjectName,
    repository::{LABEL_BYTES_MAX, Repository, Slot, SlotNote},
};

/// Most slots that a repository is given: each may have to be tried to open it, which takes a while.
const SLOTS_MAX: usize = 32;

/// What a new slot is for.
pub struct NewKey<'run> {
    /// What opens it.
    pub password: &'run Secret,
    /// True if we made the password, to be printed.
    pub recovery: bool,
    /// What it is called; may be empty.
    pub label: &'run str,
    /// This machine's name.
    pub host: &'run str,
    /// What deriving its key costs.
    pub cost: KdfCost,
}

/// What became of a slot whose password was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// The slot that was made.
    pub made: ObjectName,
    /// The slot that was removed.
    pub removed: ObjectName,
}

/// Gives a repository one more slot.
pub fn add_key(repository: &Repository, new: &NewKey<'_>, clock: &dyn Clock) -> Result<ObjectName> {
    let label = new.label.trim();
    if new.password.expose().is_empty() {
        return Err(EngineError::usage("the new password is empty"));
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(EngineError::usage(format!("a label may have {LABEL_BYTES_MAX} bytes")));
    }
    let slots = repository.slot_ids()?.len();
    if slots >= SLOTS_MAX {
        return Err(EngineError::failed(format!("the repository has {slots} key slots already"))
            .with_hint("`larder key list` shows them, `larder key remove` removes those that nobody needs"));
    }
    repository.make_slot(new.password, SlotNote::new(clock.now(), new.host, label, new.recovery), new.cost)
}

/// Takes a slot away. The one in use stays: whoever removes a slot has shown by opening the repository that another one opens.
pub fn remove_key(repository: &Repository, id: ObjectName) -> Result<()> {
    let in_use = repository.slot_in_use();
    if id != in_use {
        return repository.remove_slot(id, in_use);
    }
    let hint = if repository.slot_ids()?.len() > 1 {
        "open the repository with another password (put it where the config says), then remove this slot"
    } else {
        "it is the only one: without it nobody can read the repository; `larder key passwd` changes its password"
    };
    Err(EngineError::failed(format!("key slot {id} is the one in use")).with_hint(hint))
}

/// Makes a slot for a new password, sees it open the repository, and only then removes the slot `old`.
///
/// The new slot takes over the old one's label, unless it has one of its own.
pub fn change_password(
    repository: &Repository,
    old: ObjectName,
    new: &NewKey<'_>,
    clock: &dyn Clock,
) -> Result<SlotChange> {
    let note = repository.slot(old)?.note;
    if old == repository.slot_in_use() && note.as_ref().is_some_and(|note| note.recovery) {
        return Err(EngineError::failed("the repository was opened with a recovery key, which stays")
            .with_hint(
                "say whose password changes with --slot (see `larder key list`), or use `larder key add`",
            ));
    }
    let label = match (&note, new.label) {
        (Some(note), "") => &note.label,
        (_, label) => label,
    };
    let made = add_key(repository, &NewKey { label, ..*new }, clock)?;
    repository.remove_slot(old, made).map_err(|error| {
        error.context(format_args!(
            "the new password opens the repository (key slot {made}), and so may the old one still"
        ))
    })?;
    Ok(SlotChange { made, removed: old })
}

/// The slot whose id begins with these digits.
pub fn find_slot(repository: &Repository, digits: &str) -> Result<Slot> {
    let mut found = repository.slot_ids()?;
    found.retain(|id| !digits.is_empty() && id.to_string().starts_with(&digits.to_ascii_lowercase()));
    match found[..] {
        [id] => repository.slot(id),
        [] => Err(EngineError::failed(format!("there is no key slot `{}`", digits.escape_debug()))
            .with_hint("`larder key list` shows them")),
        _ => {
            Err(EngineError::usage(format!("`{digits}` is the beginning of {} key slots' ids", found.len()))
                .with_hint("give more digits"))
        }
    }
}

#[cfg(test)]
mod tests;
