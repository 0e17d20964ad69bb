//! Who asks, for whom, and what they may open.

use super::answer::{Failure, Fault};
use super::ids::{EntryId, FolderNumber, ItemNumber, MailboxGuid, Named};
use super::world::{Mailbox, PUBLIC_ROOT, World};
use super::xml::Element;
use crate::account::{Account, DOMAIN};
use crate::gate::Service;
use crate::shared::Shared;

/// The one who asks, after impersonation.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Signed in.
    pub(crate) account: String,
    /// Address of the mailbox that is meant when a request names none; none: the account has no mailbox.
    pub(crate) mailbox: Option<String>,
    /// May open all mailboxes by naming them. Someone impersonated may open only their own.
    all_mailboxes: bool,
}

/// A folder found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FolderPlace {
    pub(crate) mailbox: MailboxGuid,
    pub(crate) folder: FolderNumber,
}

/// An item found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemPlace {
    pub(crate) mailbox: MailboxGuid,
    pub(crate) item: ItemNumber,
}

impl Caller {
    /// The caller an account becomes with or without an impersonation header.
    pub(crate) fn new(
        account: &Account,
        impersonated: Option<&(String, String)>,
        world: &World,
        shared: &Shared,
    ) -> Result<Self, Fault> {
        let Some((kind, identity)) = impersonated else {
            let own = world.mailbox(&account.user).map(|mailbox| mailbox.address.clone());
            return Ok(Self {
                account: account.user.clone(),
                mailbox: own,
                all_mailboxes: account.impersonation,
            });
        };
        if kind == "SID" {
            return Err(Failure::new(
                "ErrorImpersonationFailed",
                "The impersonated user could not be logged on.",
            )
            .into());
        }
        if !account.impersonation {
            let text = "The account does not have permission to impersonate the requested user.";
            return Err(Failure::new("ErrorImpersonateUserDenied", text).into());
        }
        let mailbox = open_by_address(world, shared, identity)?;
        Ok(Self {
            account: account.user.clone(),
            mailbox: Some(mailbox.address.clone()),
            all_mailboxes: false,
        })
    }

    fn may_open(&self, mailbox: &Mailbox) -> bool {
        if mailbox.is_public() {
            return self.mailbox.is_some();
        }
        self.all_mailboxes || self.mailbox.as_deref() == Some(mailbox.address.as_str())
    }

    /// Finds the folder of a `FolderId` or `DistinguishedFolderId`.
    pub(crate) fn folder(
        &self,
        world: &World,
        shared: &Shared,
        id: &Element,
    ) -> Result<FolderPlace, Failure> {
        if id.name == "DistinguishedFolderId" {
            return self.distinguished(world, shared, id);
        }
        let entry = EntryId::decode(id.attribute("Id").unwrap_or_default()).map_err(|_| malformed())?;
        let Named::Folder(folder) = entry.named else {
            return Err(Failure::new(
                "ErrorCannotUseItemIdForFolderId",
                "The Id is an item Id and cannot be used as a folder Id.",
            ));
        };
        let mailbox = self.open(world, shared, entry.mailbox).ok_or_else(folder_not_found)?;
        mailbox
            .folder(folder)
            .map(|_| FolderPlace { mailbox: mailbox.guid, folder })
            .ok_or_else(folder_not_found)
    }

    fn distinguished(&self, world: &World, shared: &Shared, id: &Element) -> Result<FolderPlace, Failure> {
        let name = id.attribute("Id").unwrap_or_default();
        let named = id.descend(&["Mailbox", "EmailAddress"]).map(|address| address.text.trim());
        if name == PUBLIC_ROOT && named.is_some() {
            return Err(Failure::new(
                "ErrorInvalidOperation",
                "The operation isn't valid for a public folder.",
            ));
        }
        let Some(address) = named.or(self.mailbox.as_deref()) else {
            return Err(Failure::new(
                "ErrorMissingEmailAddress",
                "When making a request as an account that does not have a mailbox, you must specify the mailbox primary SMTP address for any distinguished folder Ids.",
            ));
        };
        let mailbox =
            if name == PUBLIC_ROOT { world.public() } else { open_by_address(world, shared, address)? };
        if !self.may_open(mailbox) {
            return Err(folder_not_found());
        }
        let folder = mailbox.distinguished(name).ok_or_else(folder_not_found)?;
        Ok(FolderPlace { mailbox: mailbox.guid, folder: folder.number })
    }

    /// Finds the item of an `ItemId`.
    pub(crate) fn item(&self, world: &World, shared: &Shared, id: &Element) -> Result<ItemPlace, Failure> {
        if id.name != "ItemId" {
            return Err(Failure::new(
                "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange",
                "Occurrences are not stored.",
            ));
        }
        let entry = EntryId::decode(id.attribute("Id").unwrap_or_default()).map_err(|_| malformed())?;
        let Named::Item(item) = entry.named else {
            return Err(Failure::new(
                "ErrorCannotUseFolderIdForItemId",
                "The Id is a folder Id and cannot be used as an item Id.",
            ));
        };
        let mailbox = self.open(world, shared, entry.mailbox).ok_or_else(item_not_found)?;
        mailbox.item(item).map(|_| ItemPlace { mailbox: mailbox.guid, item }).ok_or_else(item_not_found)
    }

    /// Finds the item and attachment of an `AttachmentId`.
    pub(crate) fn attachment(
        &self,
        world: &World,
        shared: &Shared,
        id: &Element,
    ) -> Result<(ItemPlace, u32), Failure> {
        let invalid = || Failure::new("ErrorInvalidAttachmentId", "The attachment Id is invalid.");
        let entry = EntryId::decode(id.attribute("Id").unwrap_or_default()).map_err(|_| invalid())?;
        let Named::Attachment(item, index) = entry.named else { return Err(invalid()) };
        let mailbox = self.open(world, shared, entry.mailbox).ok_or_else(item_not_found)?;
        mailbox
            .item(item)
            .map(|_| (ItemPlace { mailbox: mailbox.guid, item }, index))
            .ok_or_else(item_not_found)
    }

    fn open<'w>(&self, world: &'w World, shared: &Shared, guid: MailboxGuid) -> Option<&'w Mailbox> {
        let mailbox = world.mailbox_of(guid)?;
        (self.may_open(mailbox) && !shared.faults.vanished(Service::Exchange, &mailbox.address))
            .then_some(mailbox)
    }
}

/// The mailbox with a primary address.
fn open_by_address<'w>(world: &'w World, shared: &Shared, address: &str) -> Result<&'w Mailbox, Failure> {
    if let Some(mailbox) =
        world.mailbox(address).filter(|_| !shared.faults.vanished(Service::Exchange, address))
    {
        return Ok(mailbox);
    }
    let proxy = |mailbox: &&Mailbox| proxy_address(mailbox).eq_ignore_ascii_case(address);
    Err(match world.mailboxes().find(proxy) {
        Some(mailbox) => Failure::new(
            "ErrorNonPrimarySmtpAddress",
            "The primary SMTP address must be specified when referencing a mailbox.",
        )
        .with_value("Primary", mailbox.address.as_str()),
        None => {
            Failure::new("ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
        }
    })
}

/// The other address every mailbox receives mail at: first and last name with a dot.
fn proxy_address(mailbox: &Mailbox) -> String {
    format!("{}@{DOMAIN}", mailbox.display_name.to_lowercase().replace(' ', "."))
}

pub(crate) fn folder_not_found() -> Failure {
    Failure::new("ErrorFolderNotFound", "The specified folder could not be found in the store.")
}

pub(crate) fn item_not_found() -> Failure {
    Failure::new("ErrorItemNotFound", "The specified object was not found in the store.")
}

/// What public folders do not have.
pub(crate) fn not_for_public() -> Failure {
    Failure::new("ErrorInvalidOperation", "The operation isn't valid for a public folder.")
}

fn malformed() -> Failure {
    Failure::new("ErrorInvalidIdMalformed", "Id is malformed.")
}
