//! What a mailbox holds: folders and items, with their properties as the XML elements clients see.

use std::collections::BTreeMap;

use crate::exchange::content::Content;
use crate::exchange::ids::{FolderNumber, ItemNumber, Sequence};
use crate::exchange::mime::Attachment;
use crate::exchange::xml::Element;

/// What an item is; decides its element name and which properties it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    MeetingRequest,
    Post,
    Calendar,
    Contact,
    Task,
}

impl Kind {
    /// The kind of an item created as `element` with `class`; the class decides, as on a real server.
    pub(crate) fn of(element: &str, class: &str) -> Option<Self> {
        let by_class = [
            ("IPM.Appointment", Self::Calendar),
            ("IPM.Contact", Self::Contact),
            ("IPM.Task", Self::Task),
            ("IPM.Schedule.Meeting.Request", Self::MeetingRequest),
            ("IPM.Post", Self::Post),
        ];
        if let Some((_, kind)) = by_class.iter().find(|(prefix, _)| class.starts_with(prefix)) {
            return Some(*kind);
        }
        match element {
            "Item" | "Message" => Some(Self::Message),
            "MeetingRequest" => Some(Self::MeetingRequest),
            "PostItem" => Some(Self::Post),
            "CalendarItem" => Some(Self::Calendar),
            "Contact" => Some(Self::Contact),
            "Task" => Some(Self::Task),
            _ => None,
        }
    }

    /// The element items of this kind are shown as.
    pub(crate) const fn element(self) -> &'static str {
        match self {
            Self::Message => "Message",
            Self::MeetingRequest => "MeetingRequest",
            Self::Post => "PostItem",
            Self::Calendar => "CalendarItem",
            Self::Contact => "Contact",
            Self::Task => "Task",
        }
    }

    /// The class of new items that name none.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Message => "IPM.Note",
            Self::MeetingRequest => "IPM.Schedule.Meeting.Request",
            Self::Post => "IPM.Post",
            Self::Calendar => "IPM.Appointment",
            Self::Contact => "IPM.Contact",
            Self::Task => "IPM.Task",
        }
    }

    /// Whether items of this kind have the properties of messages, the read flag among them.
    pub(crate) const fn is_mail(self) -> bool {
        matches!(self, Self::Message | Self::MeetingRequest | Self::Post)
    }
}

/// Names an extended property: the attributes of an `ExtendedFieldURI` in one canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PropertyKey {
    /// A tag below 0x8000.
    Tag(u16),
    /// A name in a set; sets are GUIDs in lower case.
    Name { set: String, name: String },
    /// A number in a set.
    Number { set: String, number: i64 },
}

/// A stored extended property: its type name and its values (one, unless the type is an array).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PropertyValue {
    pub(crate) kind: String,
    pub(crate) values: Vec<String>,
}

/// An item.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) class: String,
    /// Typed properties by element name; what is computed (ids, sizes, times, flags) is not among them.
    pub(crate) properties: BTreeMap<String, Element>,
    pub(crate) extended: BTreeMap<PropertyKey, PropertyValue>,
    pub(crate) is_read: bool,
    pub(crate) is_draft: bool,
    /// The MIME bytes; none: the server cannot convert this item.
    pub(crate) mime: Option<Content>,
    pub(crate) attachments: Vec<Attachment>,
    /// Times in milliseconds since 1970.
    pub(crate) created_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) received_ms: i64,
    pub(crate) sent_ms: i64,
    /// Survives moves and `UploadItems`.
    pub(crate) search_key: [u8; 16],
    pub(crate) place: Place,
}

/// Where an item is and when that changed; kept by the mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) number: ItemNumber,
    pub(crate) folder: FolderNumber,
    /// When it came into its folder.
    pub(crate) arrived: Sequence,
    /// When it was last modified; its version.
    pub(crate) changed: Sequence,
    /// When its read flag last changed.
    pub(crate) read_changed: Sequence,
}

impl Item {
    /// An item of this kind and class without properties; the mailbox sets its place and times.
    pub(crate) fn new(kind: Kind, class: &str) -> Self {
        Self {
            kind,
            class: class.to_owned(),
            properties: BTreeMap::new(),
            extended: BTreeMap::new(),
            is_read: true,
            is_draft: false,
            mime: None,
            attachments: Vec::new(),
            created_ms: 0,
            modified_ms: 0,
            received_ms: 0,
            sent_ms: 0,
            search_key: [0; 16],
            place: Place {
                number: ItemNumber(0),
                folder: FolderNumber(0),
                arrived: Sequence(0),
                changed: Sequence(0),
                read_changed: Sequence(0),
            },
        }
    }

    /// Sets a typed property to a text.
    pub(crate) fn set(&mut self, name: &str, text: impl Into<String>) {
        self.properties.insert(name.to_owned(), Element::value(name, text));
    }

    /// The text of a typed property; empty if it has none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", |element| element.text.as_str())
    }

    /// The subject.
    pub(crate) fn subject(&self) -> &str {
        self.text("Subject")
    }

    /// The categories, in order.
    pub(crate) fn categories(&self) -> Vec<String> {
        let list = self.properties.get("Categories");
        list.map(|list| list.children.iter().map(|child| child.text.clone()).collect()).unwrap_or_default()
    }

    /// Sets the categories; none removes the property.
    pub(crate) fn set_categories(&mut self, categories: &[&str]) {
        let list = Element::types("Categories")
            .with_children(categories.iter().map(|category| Element::value("String", *category)));
        if categories.is_empty() {
            self.properties.remove("Categories");
        } else {
            self.properties.insert("Categories".to_owned(), list);
        }
    }

    /// Bytes as `item:Size` tells them: the MIME, or what stands for it.
    pub(crate) fn size(&self) -> u64 {
        let typed = || 512 + self.attachments.iter().map(Attachment::size).sum::<u64>();
        self.mime.as_ref().map_or_else(typed, Content::len)
    }
}

/// A folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) number: FolderNumber,
    /// None for the root.
    pub(crate) parent: Option<FolderNumber>,
    pub(crate) name: String,
    /// Such as `IPF.Note`; empty for the roots.
    pub(crate) class: String,
    /// The id it is known by whatever its name; none for users' own folders.
    pub(crate) distinguished: Option<&'static str>,
    pub(crate) extended: BTreeMap<PropertyKey, PropertyValue>,
    pub(crate) created: Sequence,
    pub(crate) changed: Sequence,
}

impl Folder {
    /// The element folders of this class are shown as.
    pub(crate) fn element(&self) -> &'static str {
        let by_class = [
            ("IPF.Appointment", "CalendarFolder"),
            ("IPF.Contact", "ContactsFolder"),
            ("IPF.Task", "TasksFolder"),
        ];
        by_class
            .iter()
            .find(|(prefix, _)| self.class.starts_with(prefix))
            .map_or("Folder", |(_, element)| element)
    }
}
