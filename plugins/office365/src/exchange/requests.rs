//! The bodies of the requests this source makes. Elements stand in schema order: a real server refuses any other.

use super::{properties, soap::escape, xml::Element};

/// Most changes one page of `SyncFolderItems` may have; more is refused.
pub(super) const PAGE_CHANGES_MAX: usize = 512;

/// A request's body, and the operation it asks for.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The operation: the body's element is of this name, the answer's of this name and `Response`.
    pub(super) operation: &'static str,
    /// The body's XML.
    pub(super) body: String,
}

/// A folder, by its own id or by a name that every mailbox knows.
#[derive(Clone, Copy, Debug)]
pub(super) enum FolderRef<'a> {
    /// A `FolderId`.
    Id(&'a str),
    /// A distinguished id, and the mailbox it is of unless that follows from the impersonation header.
    Known(&'a str, Option<&'a str>),
}

impl FolderRef<'_> {
    fn xml(self) -> String {
        match self {
            Self::Id(id) => format!(r#"<t:FolderId Id="{}"/>"#, escape(id)),
            Self::Known(name, None) => format!(r#"<t:DistinguishedFolderId Id="{}"/>"#, escape(name)),
            Self::Known(name, Some(mailbox)) => format!(
                r#"<t:DistinguishedFolderId Id="{}"><t:Mailbox><t:EmailAddress>{}</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>"#,
                escape(name),
                escape(mailbox)
            ),
        }
    }
}

/// What is asked of folders: name, class, parent, and whether they are hidden or search folders.
const FOLDER_SHAPE: &str = concat!(
    "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>",
    r#"<t:FieldURI FieldURI="folder:DisplayName"/><t:FieldURI FieldURI="folder:ParentFolderId"/>"#,
    r#"<t:FieldURI FieldURI="folder:FolderClass"/>"#,
    r#"<t:ExtendedFieldURI PropertyTag="0x10F4" PropertyType="Boolean"/>"#,
    r#"<t:ExtendedFieldURI PropertyTag="0x3601" PropertyType="Integer"/>"#,
    "</t:AdditionalProperties></m:FolderShape>",
);

/// `PR_REPLICA_LIST`: the public folder mailboxes that a folder's content lies in.
pub(super) const REPLICA_LIST: u16 = 0x6698;
/// `PR_READ`, which a version does not tell.
pub(super) const IS_READ: u16 = 0x0E69;
/// Rows of a page that is not a sync's.
const ROWS: usize = 500;

/// Folders directly in others, from an offset on.
pub(super) fn find_folders(parents: &[FolderRef<'_>], offset: usize) -> Call {
    let ids: String = parents.iter().map(|folder| folder.xml()).collect();
    let replica =
        format!(r#"<t:ExtendedFieldURI PropertyTag="0x{REPLICA_LIST:04X}" PropertyType="Binary"/>"#);
    let shape =
        FOLDER_SHAPE.replace("</t:AdditionalProperties>", &format!("{replica}</t:AdditionalProperties>"));
    Call {
        operation: "FindFolder",
        body: format!(
            "<m:FindFolder Traversal=\"Shallow\">{shape}\
             <m:IndexedPageFolderView MaxEntriesReturned=\"{ROWS}\" Offset=\"{offset}\" BasePoint=\"Beginning\"/>\
             <m:ParentFolderIds>{ids}</m:ParentFolderIds></m:FindFolder>"
        ),
    }
}

/// The ids, versions and read flags of a folder's items, oldest first, so that what arrives meanwhile comes at the end.
pub(super) fn find_items(folder: &str, offset: usize) -> Call {
    Call {
        operation: "FindItem",
        body: format!(
            "<m:FindItem Traversal=\"Shallow\"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>\
             <t:ExtendedFieldURI PropertyTag=\"0x{IS_READ:04X}\" PropertyType=\"Boolean\"/></t:AdditionalProperties></m:ItemShape>\
             <m:IndexedPageItemView MaxEntriesReturned=\"{ROWS}\" Offset=\"{offset}\" BasePoint=\"Beginning\"/>\
             <m:SortOrder><t:FieldOrder Order=\"Ascending\"><t:FieldURI FieldURI=\"item:DateTimeCreated\"/></t:FieldOrder></m:SortOrder>\
             <m:ParentFolderIds>{}</m:ParentFolderIds></m:FindItem>",
            FolderRef::Id(folder).xml()
        ),
    }
}

/// Where a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paging {
    /// The offset of the next page; none at the end.
    pub(super) next: Option<usize>,
}

impl Paging {
    /// After a page of so many rows that began at `offset`. Servers contradict themselves: the listing is at its end if they say so, if no
    /// row came, or if they name no place further on.
    pub(super) fn of(message: &Element, offset: usize, rows: usize) -> Self {
        let root = message.child("RootFolder");
        let attribute = |name: &str| root.and_then(|root| root.attribute(name));
        let last = attribute("IncludesLastItemInRange").and_then(properties::boolean).unwrap_or(true);
        let told = attribute("IndexedPagingOffset").and_then(|text| text.trim().parse().ok());
        let next = told.unwrap_or(offset + rows);
        Self { next: (!last && rows > 0 && next > offset).then_some(next) }
    }
}

/// Folders by id or known name.
pub(super) fn get_folder(folders: &[FolderRef<'_>]) -> Call {
    let ids: String = folders.iter().map(|folder| folder.xml()).collect();
    Call {
        operation: "GetFolder",
        body: format!("<m:GetFolder>{FOLDER_SHAPE}<m:FolderIds>{ids}</m:FolderIds></m:GetFolder>"),
    }
}

/// Changes in the tree below `root`.
pub(super) fn sync_folder_hierarchy(root: FolderRef<'_>, state: Option<&str>) -> Call {
    Call {
        operation: "SyncFolderHierarchy",
        body: format!(
            "<m:SyncFolderHierarchy>{FOLDER_SHAPE}<m:SyncFolderId>{}</m:SyncFolderId>{}</m:SyncFolderHierarchy>",
            root.xml(),
            sync_state(state)
        ),
    }
}

/// Changes in a folder: ids only, which costs the server one look for all rows.
///
/// `most` is at most [`PAGE_CHANGES_MAX`].
pub(super) fn sync_folder_items(folder: &str, state: Option<&str>, most: usize) -> Call {
    Call {
        operation: "SyncFolderItems",
        body: format!(
            "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>{}</m:SyncFolderId>{}\
             <m:MaxChangesReturned>{most}</m:MaxChangesReturned></m:SyncFolderItems>",
            FolderRef::Id(folder).xml(),
            sync_state(state)
        ),
    }
}

fn sync_state(state: Option<&str>) -> String {
    state.map(|state| format!("<m:SyncState>{}</m:SyncState>", escape(state))).unwrap_or_default()
}

/// What is kept of items beside their content; `mail` if all of them are mail.
pub(super) fn get_metadata(items: &[&str], mail: bool) -> Call {
    get_item(items, &format!("<t:BaseShape>IdOnly</t:BaseShape>{}", properties::wanted(mail)))
}

/// One item's MIME.
pub(super) fn get_mime(item: &str) -> Call {
    get_item(&[item], "<t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent>")
}

/// One item's properties as the server has them, without body, and its list of attachments.
pub(super) fn get_everything(item: &str) -> Call {
    get_item(
        &[item],
        concat!(
            "<t:BaseShape>AllProperties</t:BaseShape><t:IncludeMimeContent>false</t:IncludeMimeContent>",
            r#"<t:AdditionalProperties><t:FieldURI FieldURI="item:Attachments"/></t:AdditionalProperties>"#
        ),
    )
}

/// Items' properties as the server has them, and what of them it leaves out unless asked by name.
pub(super) fn get_all_of(items: &[String], named: &[&str]) -> Call {
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let fields = ["item:Body", "item:Attachments"]
        .iter()
        .chain(named)
        .fold(String::new(), |fields, field| fields + r#"<t:FieldURI FieldURI=""# + field + r#""/>"#);
    let shape = "<t:BaseShape>AllProperties</t:BaseShape><t:IncludeMimeContent>false</t:IncludeMimeContent>";
    get_item(&items, &format!("{shape}<t:AdditionalProperties>{fields}</t:AdditionalProperties>"))
}

/// An item as the server's own stream.
pub(super) fn export_items(item: &str) -> Call {
    Call {
        operation: "ExportItems",
        body: format!(
            "<m:ExportItems><m:ItemIds><t:ItemId Id=\"{}\"/></m:ItemIds></m:ExportItems>",
            escape(item)
        ),
    }
}

/// One item's body text.
pub(super) fn get_body(item: &str) -> Call {
    get_item(
        &[item],
        concat!(
            "<t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>false</t:IncludeMimeContent><t:BodyType>Best</t:BodyType>",
            r#"<t:AdditionalProperties><t:FieldURI FieldURI="item:Body"/></t:AdditionalProperties>"#
        ),
    )
}

fn get_item(items: &[&str], shape: &str) -> Call {
    let mut ids = String::new();
    for id in items {
        ids.push_str(r#"<t:ItemId Id=""#);
        ids.push_str(&escape(id));
        ids.push_str(r#""/>"#);
    }
    Call {
        operation: "GetItem",
        body: format!(
            "<m:GetItem><m:ItemShape>{shape}</m:ItemShape><m:ItemIds>{ids}</m:ItemIds></m:GetItem>"
        ),
    }
}

/// One attachment's content; an attached item comes as MIME.
pub(super) fn get_attachment(attachment: &str) -> Call {
    Call {
        operation: "GetAttachment",
        body: format!(
            "<m:GetAttachment><m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:AttachmentShape>\
             <m:AttachmentIds><t:AttachmentId Id=\"{}\"/></m:AttachmentIds></m:GetAttachment>",
            escape(attachment)
        ),
    }
}

/// Entries of the address book whose name or address begins with `prefix`.
pub(super) fn resolve_names(prefix: &str) -> Call {
    Call {
        operation: "ResolveNames",
        body: format!(
            "<m:ResolveNames ReturnFullContactData=\"false\" SearchScope=\"ActiveDirectory\"><m:UnresolvedEntry>{}</m:UnresolvedEntry></m:ResolveNames>",
            escape(prefix)
        ),
    }
}

/// The members of a distribution list.
pub(super) fn expand_list(address: &str) -> Call {
    Call {
        operation: "ExpandDL",
        body: format!(
            "<m:ExpandDL><m:Mailbox><t:EmailAddress>{}</t:EmailAddress></m:Mailbox></m:ExpandDL>",
            escape(address)
        ),
    }
}

/// Ids of a mailbox's items in another format; `formats` is from and to.
pub(super) fn convert_ids(ids: &[String], (from, to): (&str, &str), mailbox: &str) -> Call {
    let mut sources = String::new();
    for id in ids {
        sources.push_str(r#"<t:AlternateId Format=""#);
        sources.push_str(from);
        sources.push_str(r#"" Id=""#);
        sources.push_str(&escape(id));
        sources.push_str(r#"" Mailbox=""#);
        sources.push_str(&escape(mailbox));
        sources.push_str(r#""/>"#);
    }
    Call {
        operation: "ConvertId",
        body: format!(
            "<m:ConvertId DestinationFormat=\"{to}\"><m:SourceIds>{sources}</m:SourceIds></m:ConvertId>"
        ),
    }
}

/// The inbox rules that the server runs.
pub(super) fn get_inbox_rules(mailbox: &str) -> Call {
    Call {
        operation: "GetInboxRules",
        body: format!(
            "<m:GetInboxRules><m:MailboxSmtpAddress>{}</m:MailboxSmtpAddress></m:GetInboxRules>",
            escape(mailbox)
        ),
    }
}

/// The automatic reply.
pub(super) fn get_out_of_office(mailbox: &str) -> Call {
    Call {
        operation: "GetUserOofSettings",
        body: format!(
            "<m:GetUserOofSettingsRequest><t:Mailbox><t:Address>{}</t:Address></t:Mailbox></m:GetUserOofSettingsRequest>",
            escape(mailbox)
        ),
    }
}

/// The master list of categories, which is an object of the calendar.
pub(super) fn get_categories(calendar: FolderRef<'_>) -> Call {
    Call {
        operation: "GetUserConfiguration",
        body: format!(
            "<m:GetUserConfiguration><m:UserConfigurationName Name=\"CategoryList\">{}</m:UserConfigurationName>\
             <m:UserConfigurationProperties>XmlData</m:UserConfigurationProperties></m:GetUserConfiguration>",
            calendar.xml()
        ),
    }
}

/// Who may act for the mailbox's owner.
pub(super) fn get_delegates(mailbox: &str) -> Call {
    Call {
        operation: "GetDelegate",
        body: format!(
            "<m:GetDelegate IncludePermissions=\"true\"><m:Mailbox><t:EmailAddress>{}</t:EmailAddress></m:Mailbox></m:GetDelegate>",
            escape(mailbox)
        ),
    }
}

/// Who may do what in folders. Asked for by itself: where it is refused, nothing else is.
pub(super) fn get_permissions(folders: &[FolderRef<'_>]) -> Call {
    let ids: String = folders.iter().map(|folder| folder.xml()).collect();
    Call {
        operation: "GetFolder",
        body: format!(
            "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>\
             <t:FieldURI FieldURI=\"folder:DisplayName\"/><t:FieldURI FieldURI=\"folder:PermissionSet\"/>\
             </t:AdditionalProperties></m:FolderShape><m:FolderIds>{ids}</m:FolderIds></m:GetFolder>"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn a_listing_ends_however_the_server_contradicts_itself() {
        let next = |attributes: &str, rows| {
            Paging::of(&tree_of(&format!("<M><RootFolder {attributes}/></M>")), 500, rows).next
        };
        assert_eq!(next("IndexedPagingOffset=\"1000\" IncludesLastItemInRange=\"false\"", 500), Some(1000));
        assert_eq!(next("IncludesLastItemInRange=\"false\"", 500), Some(1000));
        for (attributes, rows) in [
            ("IndexedPagingOffset=\"1000\" IncludesLastItemInRange=\"true\"", 500),
            ("IndexedPagingOffset=\"1000\" IncludesLastItemInRange=\"false\"", 0),
            ("IndexedPagingOffset=\"0\" IncludesLastItemInRange=\"false\"", 500),
            ("", 500),
        ] {
            assert_eq!(next(attributes, rows), None, "{attributes}");
        }
        assert_eq!(
            Paging::of(&tree_of("<M/>"), 0, 0).next,
            None,
            "a server without rows leaves the root out"
        );
    }
}
