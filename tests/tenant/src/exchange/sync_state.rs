//! Sync states: opaque tokens that say how far a client has read one folder's or one hierarchy's history.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ids::{FolderNumber, MailboxGuid, Sequence};

const MARK: &[u8; 4] = b"SST1";
/// Mark, guid, scope, folder, epoch, upper, below.
const HEAD_BYTES: usize = 4 + 16 + 1 + 8 + 8 + 8 + 8;
const CHECK_BYTES: usize = 16;
/// Real states grow by some bytes per item; this bounds the growth.
const PADDING_BYTES_MAX: usize = 64 * 1024;

/// What a state follows. States of different scopes never fit each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The folders below a folder.
    Hierarchy,
    /// The items of a folder, without associated ones.
    NormalItems,
    /// The items of a folder, associated ones included.
    AllItems,
}

/// A place in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncState {
    pub(crate) mailbox: MailboxGuid,
    pub(crate) scope: Scope,
    /// The folder followed: the items' folder, or the root of the hierarchy.
    pub(crate) folder: FolderNumber,
    /// The mailbox's epoch when the state was made; a state of another epoch is expired.
    pub(crate) epoch: u64,
    /// Everything up to here is known, except what `below` says is still to be listed.
    pub(crate) known: Sequence,
    /// While the first listing runs: what arrived before this is still to come. Zero afterwards.
    pub(crate) below: Sequence,
}

/// Why a text is no sync state of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sync state is invalid")]
pub(crate) struct InvalidSyncState;

impl SyncState {
    /// The token, padded by some bytes for each of `items` as real ones are.
    pub(crate) fn encode(&self, items: usize) -> String {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + CHECK_BYTES);
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&self.mailbox.0);
        bytes.push(match self.scope {
            Scope::Hierarchy => 0,
            Scope::NormalItems => 1,
            Scope::AllItems => 2,
        });
        for number in [self.folder.0, self.epoch, self.known.0, self.below.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let mut padding = vec![0; items.saturating_mul(3).min(PADDING_BYTES_MAX)];
        blake3::Hasher::new().update(&bytes).finalize_xof().fill(&mut padding);
        bytes.extend_from_slice(&padding);
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..CHECK_BYTES]);
        STANDARD.encode(bytes)
    }

    /// Reads a token; altered or truncated ones are invalid.
    pub(crate) fn decode(text: &str) -> Result<Self, InvalidSyncState> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| InvalidSyncState)?;
        let body_length = bytes.len().checked_sub(CHECK_BYTES).filter(|length| *length >= HEAD_BYTES);
        let (body, check) = bytes.split_at(body_length.ok_or(InvalidSyncState)?);
        if blake3::hash(body).as_bytes()[..CHECK_BYTES] != *check || &body[..4] != MARK {
            return Err(InvalidSyncState);
        }
        let scope = match body[20] {
            0 => Scope::Hierarchy,
            1 => Scope::NormalItems,
            2 => Scope::AllItems,
            _ => return Err(InvalidSyncState),
        };
        let mut guid = [0; 16];
        guid.copy_from_slice(&body[4..20]);
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&body[at..at + 8]);
            u64::from_be_bytes(bytes)
        };
        Ok(Self {
            mailbox: MailboxGuid(guid),
            scope,
            folder: FolderNumber(number(21)),
            epoch: number(29),
            known: Sequence(number(37)),
            below: Sequence(number(45)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> SyncState {
        SyncState {
            mailbox: MailboxGuid::of("ann@contoso.example"),
            scope: Scope::NormalItems,
            folder: FolderNumber(9),
            epoch: 1,
            known: Sequence(77),
            below: Sequence(5),
        }
    }

    #[test]
    fn tokens_read_back() {
        for items in [0, 1, 512, 1_000_000] {
            assert_eq!(SyncState::decode(&state().encode(items)), Ok(state()));
        }
    }

    #[test]
    fn tokens_grow_with_the_folder() {
        assert!(state().encode(2048).len() > state().encode(512).len());
    }

    #[test]
    fn garbage_and_damage_are_refused() {
        let token = state().encode(10);
        for bad in [
            "",
            "garbage",
            "AAAA",
            &token[..token.len() - 4],
            &token.replacen('U', "V", 1),
            &token.to_lowercase(),
        ] {
            assert_eq!(SyncState::decode(bad), Err(InvalidSyncState), "{bad}");
        }
    }
}
