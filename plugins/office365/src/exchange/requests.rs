//! The bodies of the requests this source makes. Elements stand in schema order: a real server refuses any other.

use super::{properties, soap::escape};

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
