//! The schema as far as requests of backup programs go: which children, in which order, which attributes and values.
//!
//! A real server validates every request against its schema before looking at it, so a client that reorders elements
//! or invents values never gets past this. Elements without a rule here are let through.

use std::fmt::Write as _;

use super::answer::{Failure, Fault};
use super::fields;
use super::world::Kind;
use super::xml::{Element, Position, Space};

/// Children of an element, by prefixed name: `?` optional, `+` one or more, `|` either.
const CHILDREN: [(&str, &str); 45] = [
    ("m:GetFolder", "m:FolderShape m:FolderIds"),
    (
        "m:FindFolder",
        "m:FolderShape m:IndexedPageFolderView|m:FractionalPageFolderView? m:Restriction? m:ParentFolderIds",
    ),
    ("m:SyncFolderHierarchy", "m:FolderShape m:SyncFolderId? m:SyncState?"),
    (
        "m:SyncFolderItems",
        "m:ItemShape m:SyncFolderId m:SyncState? m:Ignore? m:MaxChangesReturned m:SyncScope?",
    ),
    (
        "m:FindItem",
        "m:ItemShape m:IndexedPageItemView|m:FractionalPageItemView|m:SeekToConditionPageItemView|m:CalendarView|m:ContactsView? \
         m:GroupBy|m:DistinguishedGroupBy? m:Restriction? m:SortOrder? m:ParentFolderIds m:QueryString?",
    ),
    ("m:GetItem", "m:ItemShape m:ItemIds"),
    ("m:GetAttachment", "m:AttachmentShape? m:AttachmentIds"),
    ("m:CreateItem", "m:SavedItemFolderId? m:Items"),
    ("m:UpdateItem", "m:SavedItemFolderId? m:ItemChanges"),
    ("m:DeleteItem", "m:ItemIds"),
    ("m:MoveItem", "m:ToFolderId m:ItemIds m:ReturnNewItemIds?"),
    ("m:CreateFolder", "m:ParentFolderId m:Folders"),
    ("m:UpdateFolder", "m:FolderChanges"),
    ("m:DeleteFolder", "m:FolderIds"),
    ("m:MoveFolder", "m:ToFolderId m:FolderIds"),
    ("m:ResolveNames", "m:ParentFolderIds? m:UnresolvedEntry"),
    ("m:ExpandDL", "m:Mailbox"),
    ("m:ConvertId", "m:SourceIds"),
    ("m:ExportItems", "m:ItemIds"),
    ("m:GetInboxRules", "m:MailboxSmtpAddress?"),
    ("m:GetUserOofSettingsRequest", "t:Mailbox"),
    ("m:GetUserConfiguration", "m:UserConfigurationName m:UserConfigurationProperties"),
    ("m:UserConfigurationName", "t:FolderId|t:DistinguishedFolderId"),
    ("m:GetDelegate", "m:Mailbox m:UserIds?"),
    ("m:UploadItems", "m:Items"),
    (
        "m:ItemShape",
        "t:BaseShape t:IncludeMimeContent? t:BodyType? t:UniqueBodyType? t:NormalizedBodyType? t:FilterHtmlContent? \
         t:ConvertHtmlCodePageToUTF8? t:InlineImageUrlTemplate? t:BlockExternalImages? t:AddBlankTargetToLinks? \
         t:MaximumBodySize? t:AdditionalProperties?",
    ),
    ("m:FolderShape", "t:BaseShape t:AdditionalProperties?"),
    ("m:AttachmentShape", "t:IncludeMimeContent? t:BodyType? t:FilterHtmlContent? t:AdditionalProperties?"),
    ("t:AdditionalProperties", "t:FieldURI|t:IndexedFieldURI|t:ExtendedFieldURI+"),
    ("m:FolderIds", "t:FolderId|t:DistinguishedFolderId+"),
    ("m:ParentFolderIds", "t:FolderId|t:DistinguishedFolderId+"),
    ("m:SyncFolderId", "t:FolderId|t:DistinguishedFolderId"),
    ("m:ParentFolderId", "t:FolderId|t:DistinguishedFolderId"),
    ("m:ToFolderId", "t:FolderId|t:DistinguishedFolderId"),
    ("m:SavedItemFolderId", "t:FolderId|t:DistinguishedFolderId"),
    ("m:ItemIds", "t:ItemId|t:OccurrenceItemId|t:RecurringMasterItemId+"),
    ("m:Ignore", "t:ItemId+"),
    ("m:AttachmentIds", "t:AttachmentId+"),
    ("m:SortOrder", "t:FieldOrder+"),
    ("m:ItemChanges", "t:ItemChange+"),
    ("t:ItemChange", "t:ItemId|t:OccurrenceItemId|t:RecurringMasterItemId t:Updates"),
    ("m:FolderChanges", "t:FolderChange+"),
    ("t:FolderChange", "t:FolderId|t:DistinguishedFolderId t:Updates"),
    ("t:DistinguishedFolderId", "t:Mailbox?"),
    ("m:SourceIds", "t:AlternateId|t:AlternatePublicFolderId|t:AlternatePublicFolderItemId+"),
];

const DELETE_TYPES: &[&str] = &["HardDelete", "SoftDelete", "MoveToDeletedItems"];
const BOOLEAN: &[&str] = &["true", "false", "1", "0"];
const ANY: &[&str] = &[];

/// Attributes an element must have, and their values where those are enumerated.
const ATTRIBUTES: [(&str, &str, &[&str]); 17] = [
    ("m:FindFolder", "Traversal", &["Shallow", "Deep", "SoftDeleted"]),
    ("m:FindItem", "Traversal", &["Shallow", "SoftDeleted", "Associated"]),
    ("m:UpdateItem", "ConflictResolution", &["NeverOverwrite", "AutoResolve", "AlwaysOverwrite"]),
    ("m:DeleteItem", "DeleteType", DELETE_TYPES),
    ("m:DeleteFolder", "DeleteType", DELETE_TYPES),
    ("m:ResolveNames", "ReturnFullContactData", BOOLEAN),
    (
        "m:ConvertId",
        "DestinationFormat",
        &["EwsLegacyId", "EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId"],
    ),
    ("m:UserConfigurationName", "Name", ANY),
    ("m:GetDelegate", "IncludePermissions", BOOLEAN),
    ("m:IndexedPageFolderView", "Offset", ANY),
    ("m:IndexedPageItemView", "Offset", ANY),
    ("t:FieldOrder", "Order", &["Ascending", "Descending"]),
    ("t:FolderId", "Id", ANY),
    ("t:ItemId", "Id", ANY),
    ("t:AttachmentId", "Id", ANY),
    ("t:FieldURI", "FieldURI", ANY),
    ("t:ExtendedFieldURI", "PropertyType", ANY),
];

/// Texts that are enumerated.
const TEXTS: [(&str, &[&str]); 3] = [
    ("t:BaseShape", &["IdOnly", "Default", "AllProperties", "PcxPeopleSearch"]),
    ("t:IncludeMimeContent", BOOLEAN),
    ("m:SyncScope", &["NormalItems", "NormalAndAssociatedItems"]),
];

/// Most changes one page of `SyncFolderItems` may have.
const CHANGES_MAX: u32 = 512;

/// All ids a `DistinguishedFolderId` may name.
const DISTINGUISHED: [&str; 55] = [
    "calendar",
    "contacts",
    "deleteditems",
    "drafts",
    "inbox",
    "journal",
    "notes",
    "outbox",
    "sentitems",
    "tasks",
    "msgfolderroot",
    "publicfoldersroot",
    "root",
    "junkemail",
    "searchfolders",
    "voicemail",
    "recoverableitemsroot",
    "recoverableitemsdeletions",
    "recoverableitemsversions",
    "recoverableitemspurges",
    "recoverableitemsdiscoveryholds",
    "archiveroot",
    "archivemsgfolderroot",
    "archivedeleteditems",
    "archiveinbox",
    "archiverecoverableitemsroot",
    "archiverecoverableitemsdeletions",
    "archiverecoverableitemsversions",
    "archiverecoverableitemspurges",
    "archiverecoverableitemsdiscoveryholds",
    "syncissues",
    "conflicts",
    "localfailures",
    "serverfailures",
    "recipientcache",
    "quickcontacts",
    "conversationhistory",
    "adminauditlogs",
    "todosearch",
    "mycontacts",
    "directory",
    "imcontactlist",
    "peopleconnect",
    "favorites",
    "mecontact",
    "personmetadata",
    "teamspaceactivity",
    "teamsmessagesdata",
    "spools",
    "teamspacemessaging",
    "allcontacts",
    "allitems",
    "companycontacts",
    "fromfavoritesenders",
    "sharepointnotifications",
];

/// The fault for a request that breaks the schema.
pub(crate) fn violation(position: Position, text: String) -> Fault {
    Fault {
        failure: Failure::new("ErrorSchemaValidation", "The request failed schema validation:"),
        violation: Some((position, text)),
        bare: false,
    }
}

/// Checks an element and all below it; gives the offset and nature of the first violation.
pub(crate) fn check(element: &Element) -> Result<(), (usize, String)> {
    let name = prefixed(element);
    check_attributes(element, &name)?;
    if let Some((_, values)) = TEXTS.iter().find(|(rule, _)| *rule == name) {
        check_value(element, values, element.text.trim())?;
    }
    if name == "m:MaxChangesReturned"
        && !element.text.trim().parse::<u32>().is_ok_and(|count| (1..=CHANGES_MAX).contains(&count))
    {
        return Err(bad_value(element, element.text.trim()));
    }
    if let Some((_, children)) = CHILDREN.iter().find(|(rule, _)| *rule == name) {
        check_children(element, children)?;
    }
    if element.space == Space::Types && element.attribute("CreateAction").is_none() {
        check_item(element)?;
    }
    element.children.iter().try_for_each(check)
}

fn check_attributes(element: &Element, name: &str) -> Result<(), (usize, String)> {
    for (_, attribute, values) in ATTRIBUTES.iter().filter(|(rule, _, _)| *rule == name) {
        let Some(value) = element.attribute(attribute) else {
            return Err((element.offset, format!("The required attribute '{attribute}' is missing.")));
        };
        if !values.is_empty() {
            check_value(element, values, value)?;
        }
    }
    let id = element.attribute("Id").unwrap_or_default();
    if name == "t:DistinguishedFolderId" && !DISTINGUISHED.contains(&id) {
        return Err(bad_value(element, id));
    }
    let uri = element.attribute("FieldURI").unwrap_or_default();
    if name == "t:FieldURI" && fields::find(uri).is_none() {
        return Err(bad_value(element, uri));
    }
    Ok(())
}

fn check_value(element: &Element, allowed: &[&str], value: &str) -> Result<(), (usize, String)> {
    if allowed.contains(&value) { Ok(()) } else { Err(bad_value(element, value)) }
}

fn bad_value(element: &Element, value: &str) -> (usize, String) {
    let text = format!(
        "The value '{value}' of '{}' is invalid according to its datatype - the Enumeration or Pattern constraint failed.",
        element.name
    );
    (element.offset, text)
}

/// Matches the children against a rule, left to right.
fn check_children(element: &Element, rule: &str) -> Result<(), (usize, String)> {
    let mut children = element.children.iter().peekable();
    for slot in rule.split_whitespace() {
        let names = slot.trim_end_matches(['?', '+']);
        let fits = |child: &&Element| names.split('|').any(|name| name == prefixed(child));
        let found = children.next_if(fits).is_some();
        if !found && !slot.ends_with('?') {
            return Err(match children.peek() {
                Some(child) => unexpected(element, child, names),
                None => (
                    element.offset,
                    format!(
                        "The element '{}' has incomplete content. List of possible elements expected: '{names}'.",
                        element.name
                    ),
                ),
            });
        }
        if slot.ends_with('+') {
            while children.next_if(fits).is_some() {}
        }
    }
    children.peek().map_or(Ok(()), |child| Err(unexpected(element, child, "")))
}

/// Checks that the children of an item are known and in schema order.
fn check_item(element: &Element) -> Result<(), (usize, String)> {
    let kind = match element.name.as_str() {
        "Message" | "Item" => Kind::Message,
        "MeetingRequest" => Kind::MeetingRequest,
        "PostItem" => Kind::Post,
        "CalendarItem" => Kind::Calendar,
        "Contact" => Kind::Contact,
        "Task" => Kind::Task,
        _ => return Ok(()),
    };
    let order: Vec<&str> = fields::of_items(kind).map(|field| field.element).collect();
    let mut reached = 0;
    for child in &element.children {
        let place = order.iter().position(|name| *name == child.name).filter(|_| child.space == Space::Types);
        match place {
            Some(place) if place >= reached => reached = place,
            _ => return Err(unexpected(element, child, order.get(reached).copied().unwrap_or_default())),
        }
    }
    Ok(())
}

fn unexpected(element: &Element, child: &Element, expected: &str) -> (usize, String) {
    let mut text = format!(
        "The element '{}' in namespace '{}' has invalid child element '{}' in namespace '{}'.",
        element.name,
        element.space.uri(),
        child.name,
        child.space.uri()
    );
    if !expected.is_empty() {
        let _ = write!(text, " List of possible elements expected: '{expected}'.");
    }
    (child.offset, text)
}

fn prefixed(element: &Element) -> String {
    format!("{}{}", element.space.prefix(), element.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::read;

    fn verdict(body: &str) -> Result<(), String> {
        let namespaces = " xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\" \
                          xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\"";
        let end = body.find(['>', ' ', '/']).expect("an element");
        let body = format!("{}{namespaces}{}", &body[..end], &body[end..]);
        check(&read(&body).expect("well-formed")).map_err(|(_, text)| text)
    }

    const SYNC: &str = "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>\
        <m:SyncFolderId><t:FolderId Id=\"x\"/></m:SyncFolderId><m:SyncState>s</m:SyncState>\
        <m:MaxChangesReturned>512</m:MaxChangesReturned><m:SyncScope>NormalItems</m:SyncScope></m:SyncFolderItems>";

    #[test]
    fn a_right_sync_request_passes_and_its_variants_do_not() {
        assert_eq!(verdict(SYNC), Ok(()));
        for (old, new) in [
            (">512<", ">0<"),
            (">512<", ">513<"),
            ("NormalItems", "Everything"),
            ("<m:SyncState>s</m:SyncState>", ""),
            (" Id=\"x\"", ""),
            ("<m:MaxChangesReturned>512</m:MaxChangesReturned>", ""),
        ] {
            let changed = SYNC.replace(old, new);
            assert_eq!(verdict(&changed).is_ok(), old.starts_with("<m:SyncState"), "{changed}");
        }
    }

    #[test]
    fn mime_comes_before_additional_properties() {
        let shape = "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>A B</m:ItemShape><m:ItemIds><t:ItemId Id=\"x\"/></m:ItemIds></m:GetItem>";
        let mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>";
        let more = "<t:AdditionalProperties><t:FieldURI FieldURI=\"item:Subject\"/></t:AdditionalProperties>";
        let right = shape.replacen("A B", &format!("{mime}{more}"), 1);
        let wrong = shape.replacen("A B", &format!("{more}{mime}"), 1);
        assert_eq!(verdict(&right), Ok(()));
        assert!(verdict(&wrong).is_err());
        assert!(verdict(&right.replace("item:Subject", "item:Nonsense")).is_err());
    }

    #[test]
    fn items_keep_schema_order() {
        let item = |inner: &str| {
            verdict(&format!(
                "<m:CreateItem><m:Items><t:Message>{inner}</t:Message></m:Items></m:CreateItem>"
            ))
        };
        let (class, subject, read) =
            ("<t:ItemClass>IPM.Note</t:ItemClass>", "<t:Subject>x</t:Subject>", "<t:IsRead>true</t:IsRead>");
        let extended = "<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag=\"0x0E07\" PropertyType=\"Integer\"/><t:Value>1</t:Value></t:ExtendedProperty>";
        assert_eq!(item(&format!("{class}{subject}{extended}{extended}{read}")), Ok(()));
        assert!(item(&format!("{subject}{class}")).is_err());
        assert!(item(&format!("{read}{extended}")).is_err());
        assert!(item("<t:DueDate>x</t:DueDate>").is_err());
    }
}
