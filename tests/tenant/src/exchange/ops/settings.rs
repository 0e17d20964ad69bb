//! What a mailbox has beside folders and items: `GetInboxRules`, `GetUserOofSettings`, `GetUserConfiguration`, `GetDelegate`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Context;
use crate::exchange::access::{folder_not_found, item_not_found};
use crate::exchange::answer::{Failure, Fault, message, response};
use crate::exchange::ids::{EntryId, FolderNumber};
use crate::exchange::world::Mailbox;
use crate::exchange::xml::Element;

/// The mailbox with the address that a request names, if the caller may open it.
fn mailbox<'w>(context: &'w Context<'_>, address: Option<&str>) -> Result<&'w Mailbox, Failure> {
    let mut id = Element::types("DistinguishedFolderId").with_attribute("Id", "inbox");
    if let Some(address) = address {
        let address = Element::types("EmailAddress").with_text(address.trim());
        id = id.with_child(Element::types("Mailbox").with_child(address));
    }
    let place = context.caller.folder(context.world, context.shared, &id)?;
    context.world.mailbox_of(place.mailbox).ok_or_else(folder_not_found)
}

fn direct(operation: &str) -> Element {
    Element::messages(&format!("{operation}Response"))
        .with_attribute("ResponseClass", "Success")
        .with_child(Element::messages("ResponseCode").with_text("NoError"))
}

/// `GetInboxRules`.
pub(super) fn inbox_rules(context: &Context<'_>, request: &Element) -> Result<Element, Fault> {
    let mailbox = mailbox(context, request.child_text("MailboxSmtpAddress"))?;
    let rules = mailbox.settings.rules.iter().zip(1_u32..).map(|(name, priority)| {
        let subject =
            Element::types("ContainsSubjectStrings").with_child(Element::value("String", name.as_str()));
        let id = EntryId::folder(mailbox.guid, mailbox.well_known("junkemail")).encode();
        let target =
            Element::types("MoveToFolder").with_child(Element::types("FolderId").with_attribute("Id", id));
        Element::types("Rule")
            .with_child(Element::value("RuleId", format!("rule{priority}")))
            .with_child(Element::value("DisplayName", name.as_str()))
            .with_child(Element::value("Priority", priority.to_string()))
            .with_child(Element::value("IsEnabled", "true"))
            .with_child(Element::types("Conditions").with_child(subject))
            .with_child(Element::types("Actions").with_child(target))
    });
    let rules: Vec<Element> = rules.collect();
    let answer =
        direct("GetInboxRules").with_child(Element::messages("OutlookRuleBlobExists").with_text("false"));
    // A mailbox without rules has no list of them.
    Ok(if rules.is_empty() {
        answer
    } else {
        answer.with_child(Element::messages("InboxRules").with_children(rules))
    })
}

/// `GetUserOofSettings`. The times are those of now unless a reply is scheduled, which none is here.
pub(super) fn out_of_office(context: &mut Context<'_>, request: &Element) -> Result<Element, Fault> {
    let address = request.descend(&["Mailbox", "Address"]).map(|address| address.text.clone());
    let now = context.world.tick();
    let reply = mailbox(context, address.as_deref())?.settings.reply.clone();
    let text = |name: &str| {
        let message = reply
            .as_deref()
            .map_or_else(|| Element::types("Message"), |text| Element::value("Message", text));
        Element::types(name).with_child(message)
    };
    let time = |ms: i64| crate::clock::iso_seconds(ms);
    let settings = Element::types("OofSettings")
        .with_child(Element::value("OofState", if reply.is_some() { "Enabled" } else { "Disabled" }))
        .with_child(Element::value("ExternalAudience", if reply.is_some() { "All" } else { "None" }))
        .with_child(
            Element::types("Duration")
                .with_child(Element::value("StartTime", time(now)))
                .with_child(Element::value("EndTime", time(now + 86_400_000))),
        )
        .with_child(text("InternalReply"))
        .with_child(text("ExternalReply"));
    let outcome = Element::messages("ResponseMessage")
        .with_attribute("ResponseClass", "Success")
        .with_child(Element::messages("ResponseCode").with_text("NoError"));
    Ok(Element::messages("GetUserOofSettingsResponse")
        .with_child(outcome)
        .with_child(settings)
        .with_child(Element::messages("AllowExternalOof").with_text("All")))
}

/// `GetUserConfiguration`: the master list of categories, the only object of its sort here.
pub(super) fn configuration(context: &Context<'_>, request: &Element) -> Element {
    let outcome = (|| {
        let name = request.child("UserConfigurationName").ok_or_else(item_not_found)?;
        let id = name.children.first().ok_or_else(folder_not_found)?;
        let place = context.caller.folder(context.world, context.shared, id)?;
        let mailbox = context.world.mailbox_of(place.mailbox).ok_or_else(folder_not_found)?;
        let is_list = name.attribute("Name") == Some("CategoryList") && place.folder == calendar(mailbox);
        if !is_list || mailbox.settings.categories.is_empty() {
            return Err(item_not_found());
        }
        let categories = mailbox
            .settings
            .categories
            .iter()
            .zip(0..)
            .map(|(name, color)| format!("<category name=\"{name}\" color=\"{color}\"/>"));
        let xml = format!(
            "<?xml version=\"1.0\"?><categories xmlns=\"CategoryList.xsd\">{}</categories>",
            categories.collect::<String>()
        );
        let element = Element::messages("UserConfiguration")
            .with_child(name.clone())
            .with_child(Element::value("XmlData", STANDARD.encode(xml)));
        Ok(vec![element])
    })();
    response("GetUserConfiguration", [outcome])
}

fn calendar(mailbox: &Mailbox) -> FolderNumber {
    mailbox.well_known("calendar")
}

/// `GetDelegate`: one message for each delegate.
pub(super) fn delegates(context: &Context<'_>, request: &Element) -> Result<Element, Fault> {
    let address = request.descend(&["Mailbox", "EmailAddress"]).map(|address| address.text.as_str());
    let mailbox = mailbox(context, address)?;
    let messages = mailbox.settings.delegate.iter().map(|delegate| {
        let who =
            Element::types("UserId").with_child(Element::value("PrimarySmtpAddress", delegate.as_str()));
        let rights = Element::types("DelegatePermissions")
            .with_child(Element::value("CalendarFolderPermissionLevel", "Editor"));
        let user = Element::messages("DelegateUser").with_child(who).with_child(rights);
        let mut one = message("DelegateUser", Ok(vec![user]));
        "DelegateUserResponseMessageType".clone_into(&mut one.name);
        one
    });
    Ok(direct("GetDelegate")
        .with_child(Element::messages("ResponseMessages").with_children(messages))
        .with_child(Element::messages("DeliverMeetingRequests").with_text("DelegatesAndMe")))
}
