//! What an address can mean.

use crate::sharepoint::model::{FolderRef, Guid, ItemRef, Securable};

/// A folder as REST sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FolderNode {
    /// A web's own root folder: its libraries and the folder of lists are in it.
    WebRoot(Guid),
    /// The folder `Lists` of a web.
    Lists(Guid),
    /// A list's root folder or one below.
    InList(FolderRef),
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Web(Guid),
    Webs(Guid),
    Site(Guid),
    Lists(Guid),
    List(Guid),
    Fields(Guid),
    Field(Guid, Guid),
    ContentTypes(Guid),
    /// List and position among its content types.
    ContentType(Guid, usize),
    /// List, and position of the content type that refers to them.
    FieldLinks(Guid, usize),
    FieldLink(Guid, String),
    Views(Guid),
    View(Guid, Guid),
    ViewFields(Guid, Guid),
    Items(Guid),
    Item(ItemRef),
    ItemText(ItemRef),
    Folder(FolderNode),
    Folders(FolderNode),
    Files(FolderNode),
    File(ItemRef),
    FileVersions(ItemRef),
    FileVersion(ItemRef, u32),
    Attachments(ItemRef),
    Attachment(ItemRef, String),
    Users,
    User(u32),
    /// A person in a column: fewer properties, other names.
    ItemPerson(u32),
    Roles,
    Role(usize),
    Assignments(Securable),
    /// A thing and a principal's id.
    RoleAssignment(Securable, u32),
    /// The roles of an assignment.
    Bindings(Securable, u32),
    /// Groups of a web's site collection.
    Groups(Guid),
    Group(Guid, u32),
    GroupUsers(Guid, u32),
    RecycleBin(Guid),
    Recycled(Guid),
    /// A collection that is always empty here, with its type's name: versions of list items.
    Empty(&'static str),
    /// A link that leads nowhere: the folder of a file's item, say.
    Null,
}
