//! The operations, by the name of their request element.

mod attachments;
mod create;
mod directory;
mod export;
mod find;
mod folders;
mod get;
mod move_delete;
mod restriction;
mod service;
mod settings;
mod sync;
mod update;

use super::access::Caller;
use super::answer::{Failure, Fault};
use super::ids::EntryId;
use super::world::{Item, Mailbox, Refused, World};
use super::xml::Element;
use crate::fault::FaultKind;
use crate::gate::Service;
use crate::shared::Shared;

/// What an operation works with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) shared: &'a Shared,
    pub(crate) caller: &'a Caller,
    /// A fault to act out within the answer.
    pub(crate) fault: Option<&'a FaultKind>,
}

/// Carries out a request and gives its response element.
pub(crate) fn run(context: &mut Context<'_>, request: &Element) -> Result<Element, Fault> {
    let export = context.world.switches().export_items;
    Ok(match request.name.as_str() {
        "GetFolder" => folders::get(context, request),
        "FindFolder" => folders::find(context, request),
        "CreateFolder" => folders::create(context, request),
        "UpdateFolder" => folders::update(context, request),
        "MoveFolder" => folders::relocate(context, request),
        "DeleteFolder" => folders::delete(context, request),
        "SyncFolderHierarchy" => sync::hierarchy(context, request),
        "SyncFolderItems" => sync::items(context, request),
        "FindItem" => find::items(context, request),
        "GetItem" => get::items(context, request),
        "GetAttachment" => attachments::get(context, request),
        "CreateItem" => create::items(context, request)?,
        "UpdateItem" => update::items(context, request)?,
        "MoveItem" => move_delete::relocate(context, request),
        "DeleteItem" => move_delete::delete(context, request)?,
        "ExportItems" if export => export::export(context, request),
        "UploadItems" if export => export::upload(context, request),
        "ResolveNames" => directory::resolve(context, request),
        "ExpandDL" => directory::expand(context, request),
        "ConvertId" => service::convert_ids(context, request),
        "GetInboxRules" => settings::inbox_rules(context, request)?,
        "GetUserOofSettingsRequest" => settings::out_of_office(context, request)?,
        "GetUserConfiguration" => settings::configuration(context, request),
        "GetDelegate" => settings::delegates(context, request)?,
        "GetServerTimeZones" => service::time_zones(request),
        unknown => return Err(Fault::unknown_operation(unknown)),
    })
}

impl Context<'_> {
    /// The failure a fault rule asks for on this item.
    fn item_fault(&self, operation: &str, mailbox: &Mailbox, item: &Item) -> Option<Failure> {
        let id = EntryId::item(mailbox.guid, item.place.number).encode();
        let message_id = item.text("InternetMessageId");
        let subject = format!("{}:{}", mailbox.address, item.subject());
        let name = mailbox.name_of(item);
        let names = [id.as_str(), name.as_str(), message_id, subject.as_str()];
        let rule = || self.shared.faults.for_item(Service::Exchange, &self.caller.account, operation, &names);
        match self.fault.cloned().or_else(rule) {
            Some(FaultKind::Item { code, .. }) => {
                Some(Failure::new(&code, "The item could not be processed."))
            }
            _ => None,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::FolderNotFound => "ErrorFolderNotFound",
            Refused::ItemNotFound => "ErrorItemNotFound",
            Refused::FolderExists => "ErrorFolderExists",
            Refused::Distinguished => "ErrorDeleteDistinguishedFolder",
            Refused::Cycle => "ErrorMoveCopyFailed",
        };
        Self::new(code, &refused.to_string())
    }
}

/// The elements of a list child of a request, such as the ids in `ItemIds`.
fn list<'e>(request: &'e Element, name: &str) -> &'e [Element] {
    request.child(name).map_or(&[], |list| list.children.as_slice())
}
