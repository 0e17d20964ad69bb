//! Ids as Exchange hands them out: opaque, case-sensitive base64 that belongs to one mailbox and cannot be altered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The mark every id starts with; gives the `AAMk` that administrators know.
const MARK: [u8; 4] = [0x00, 0x03, 0x24, 0x00];
/// Mark, guid, kind, number, attachment index, check.
const ID_BYTES: usize = 4 + 16 + 1 + 8 + 4 + 9;

/// A mailbox's guid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MailboxGuid(pub(crate) [u8; 16]);

impl MailboxGuid {
    /// The guid of the mailbox with this address; the same in every run.
    pub(crate) fn of(address: &str) -> Self {
        let mut guid = [0; 16];
        guid.copy_from_slice(&blake3::hash(address.as_bytes()).as_bytes()[..16]);
        Self(guid)
    }
}

/// A folder within its mailbox. Never used twice; survives moves and renames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FolderNumber(pub(crate) u64);

/// An item within its mailbox. Never used twice; a move gives a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ItemNumber(pub(crate) u64);

/// A point in a mailbox's history; grows with every change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sequence(pub(crate) u64);

/// What an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A folder.
    Folder(FolderNumber),
    /// An item.
    Item(ItemNumber),
    /// An attachment, by its place in the item.
    Attachment(ItemNumber, u32),
}

/// An id: a thing in a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryId {
    pub(crate) mailbox: MailboxGuid,
    pub(crate) named: Named,
}

/// Why a text is no id of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id is malformed")]
pub(crate) struct MalformedId;

impl EntryId {
    /// The id of a folder.
    pub(crate) const fn folder(mailbox: MailboxGuid, number: FolderNumber) -> Self {
        Self { mailbox, named: Named::Folder(number) }
    }

    /// The id of an item.
    pub(crate) const fn item(mailbox: MailboxGuid, number: ItemNumber) -> Self {
        Self { mailbox, named: Named::Item(number) }
    }

    /// The id of an item's attachment.
    pub(crate) const fn attachment(mailbox: MailboxGuid, item: ItemNumber, index: u32) -> Self {
        Self { mailbox, named: Named::Attachment(item, index) }
    }

    /// The text clients see.
    pub(crate) fn encode(self) -> String {
        STANDARD.encode(self.bytes())
    }

    /// The raw bytes as hexadecimal, the form other Exchange protocols use.
    pub(crate) fn encode_hex(self) -> String {
        use std::fmt::Write as _;
        self.bytes().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02X}");
            text
        })
    }

    /// Reads what [`Self::encode`] wrote; any other spelling, letter case included, is malformed.
    pub(crate) fn decode(text: &str) -> Result<Self, MalformedId> {
        Self::from_bytes(&STANDARD.decode(text).map_err(|_| MalformedId)?)
    }

    /// Reads what [`Self::encode_hex`] wrote.
    pub(crate) fn decode_hex(text: &str) -> Result<Self, MalformedId> {
        let digits = text.as_bytes();
        if digits.len() != ID_BYTES * 2 {
            return Err(MalformedId);
        }
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect();
        Self::from_bytes(&bytes.ok_or(MalformedId)?)
    }

    fn bytes(self) -> Vec<u8> {
        let (kind, number, index) = match self.named {
            Named::Folder(folder) => (1_u8, folder.0, 0),
            Named::Item(item) => (7, item.0, 0),
            Named::Attachment(item, index) => (9, item.0, index),
        };
        let mut bytes = Vec::with_capacity(ID_BYTES);
        bytes.extend_from_slice(&MARK);
        bytes.extend_from_slice(&self.mailbox.0);
        bytes.push(kind);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&index.to_be_bytes());
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..ID_BYTES - bytes.len()]);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedId> {
        let bytes: &[u8; ID_BYTES] = bytes.try_into().map_err(|_| MalformedId)?;
        let mut guid = [0; 16];
        guid.copy_from_slice(&bytes[4..20]);
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[21..29]);
        let mut index = [0; 4];
        index.copy_from_slice(&bytes[29..33]);
        let number = u64::from_be_bytes(number);
        let named = match bytes[20] {
            1 => Named::Folder(FolderNumber(number)),
            7 => Named::Item(ItemNumber(number)),
            9 => Named::Attachment(ItemNumber(number), u32::from_be_bytes(index)),
            _ => return Err(MalformedId),
        };
        let id = Self { mailbox: MailboxGuid(guid), named };
        // Comparing the whole encoding also checks the mark, the check bytes and the unused index.
        if id.bytes() == bytes { Ok(id) } else { Err(MalformedId) }
    }
}

/// The version tag of an item or folder: changes whenever it is modified.
pub(crate) fn change_key(kind: u8, mailbox: MailboxGuid, changed: Sequence) -> String {
    let mut bytes = vec![kind, 0, 0, 0, 0x16, 0, 0, 0];
    bytes.extend_from_slice(&mailbox.0[..8]);
    bytes.extend_from_slice(&changed.0.to_be_bytes());
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_refuse_another_case() {
        let mailbox = MailboxGuid::of("ann@contoso.example");
        for id in [
            EntryId::folder(mailbox, FolderNumber(3)),
            EntryId::item(mailbox, ItemNumber(70_000)),
            EntryId::attachment(mailbox, ItemNumber(1), 4),
        ] {
            let text = id.encode();
            assert_eq!(EntryId::decode(&text), Ok(id));
            assert_eq!(EntryId::decode_hex(&id.encode_hex()), Ok(id));
            assert!(text.starts_with("AAMk"));
            assert_eq!(EntryId::decode(&text.to_lowercase()), Err(MalformedId));
            assert_eq!(EntryId::decode(&text[4..]), Err(MalformedId));
        }
    }
}
