//! The properties of items and folders: their names in requests, their elements, their order, and which shapes hold them.

use super::world::Kind;

/// The smallest base shape that holds a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// In every shape.
    Id,
    /// In `Default` and `AllProperties`.
    Default,
    /// In `AllProperties` only.
    All,
    /// Only when named.
    Named,
}

/// A property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Such as `item:Subject`.
    pub(crate) uri: &'static str,
    /// Such as `Subject`.
    pub(crate) element: &'static str,
    pub(crate) level: Level,
}

const fn field(uri: &'static str, element: &'static str, level: Level) -> Field {
    Field { uri, element, level }
}

/// The place of extended properties among the fields of items.
pub(crate) const EXTENDED: &str = "ExtendedProperty";

use Level::{All, Default as Usual, Id, Named};

/// Of every item, in schema order.
const ITEM: &[Field] = &[
    field("item:MimeContent", "MimeContent", Named),
    field("item:ItemId", "ItemId", Id),
    field("item:ParentFolderId", "ParentFolderId", All),
    field("item:ItemClass", "ItemClass", All),
    field("item:Subject", "Subject", Usual),
    field("item:Sensitivity", "Sensitivity", Usual),
    field("item:Body", "Body", Usual),
    field("item:Attachments", "Attachments", Usual),
    field("item:DateTimeReceived", "DateTimeReceived", All),
    field("item:Size", "Size", Usual),
    field("item:Categories", "Categories", All),
    field("item:Importance", "Importance", All),
    field("item:InReplyTo", "InReplyTo", All),
    field("item:IsSubmitted", "IsSubmitted", All),
    field("item:IsDraft", "IsDraft", All),
    field("item:IsFromMe", "IsFromMe", All),
    field("item:IsResend", "IsResend", All),
    field("item:IsUnmodified", "IsUnmodified", All),
    field("item:InternetMessageHeaders", "InternetMessageHeaders", All),
    field("item:DateTimeSent", "DateTimeSent", Usual),
    field("item:DateTimeCreated", "DateTimeCreated", Usual),
    field("item:ResponseObjects", "ResponseObjects", Named),
    field("item:ReminderDueBy", "ReminderDueBy", All),
    field("item:ReminderIsSet", "ReminderIsSet", All),
    field("item:ReminderNextTime", "ReminderNextTime", Named),
    field("item:ReminderMinutesBeforeStart", "ReminderMinutesBeforeStart", All),
    field("item:DisplayCc", "DisplayCc", All),
    field("item:DisplayTo", "DisplayTo", All),
    field("item:DisplayBcc", "DisplayBcc", Named),
    field("item:HasAttachments", "HasAttachments", Usual),
    field("", EXTENDED, Named),
    field("item:Culture", "Culture", All),
    field("item:EffectiveRights", "EffectiveRights", All),
    field("item:LastModifiedName", "LastModifiedName", All),
    field("item:LastModifiedTime", "LastModifiedTime", All),
    field("item:IsAssociated", "IsAssociated", All),
    field("item:WebClientReadFormQueryString", "WebClientReadFormQueryString", Named),
    field("item:WebClientEditFormQueryString", "WebClientEditFormQueryString", Named),
    field("item:ConversationId", "ConversationId", All),
    field("item:UniqueBody", "UniqueBody", Named),
    field("item:Flag", "Flag", All),
    field("item:StoreEntryId", "StoreEntryId", Named),
    field("item:InstanceKey", "InstanceKey", Named),
    field("item:NormalizedBody", "NormalizedBody", Named),
    field("item:PolicyTag", "PolicyTag", Named),
    field("item:ArchiveTag", "ArchiveTag", Named),
    field("item:RetentionDate", "RetentionDate", Named),
    field("item:Preview", "Preview", Named),
    field("item:IconIndex", "IconIndex", Named),
    field("item:TextBody", "TextBody", Named),
    field("item:Hashtags", "Hashtags", Named),
    field("item:Mentions", "Mentions", Named),
];

const MEETING: &[Field] = &[
    field("meeting:AssociatedCalendarItemId", "AssociatedCalendarItemId", Named),
    field("meeting:IsDelegated", "IsDelegated", Named),
    field("meeting:IsOutOfDate", "IsOutOfDate", Named),
    field("meeting:HasBeenProcessed", "HasBeenProcessed", Named),
    field("meeting:ResponseType", "ResponseType", Named),
    field("meeting:ProposedStart", "ProposedStart", Named),
    field("meeting:ProposedEnd", "ProposedEnd", Named),
    field("meetingRequest:MeetingRequestType", "MeetingRequestType", Named),
    field("meetingRequest:IntendedFreeBusyStatus", "IntendedFreeBusyStatus", Named),
    field("meetingRequest:ChangeHighlights", "ChangeHighlights", Named),
];

const POST: &[Field] = &[field("postitem:PostedTime", "PostedTime", All)];

const MESSAGE: &[Field] = &[
    field("message:Sender", "Sender", All),
    field("message:ToRecipients", "ToRecipients", All),
    field("message:CcRecipients", "CcRecipients", All),
    field("message:BccRecipients", "BccRecipients", All),
    field("message:IsReadReceiptRequested", "IsReadReceiptRequested", All),
    field("message:IsDeliveryReceiptRequested", "IsDeliveryReceiptRequested", All),
    field("message:ConversationIndex", "ConversationIndex", All),
    field("message:ConversationTopic", "ConversationTopic", All),
    field("message:From", "From", Usual),
    field("message:InternetMessageId", "InternetMessageId", All),
    field("message:IsRead", "IsRead", Usual),
    field("message:IsResponseRequested", "IsResponseRequested", All),
    field("message:References", "References", All),
    field("message:ReplyTo", "ReplyTo", All),
    field("message:ReceivedBy", "ReceivedBy", All),
    field("message:ReceivedRepresenting", "ReceivedRepresenting", All),
    field("message:ApprovalRequestData", "ApprovalRequestData", Named),
    field("message:VotingInformation", "VotingInformation", Named),
    field("message:ReminderMessageData", "ReminderMessageData", Named),
];

const CALENDAR: &[Field] = &[
    field("calendar:UID", "UID", All),
    field("calendar:RecurrenceId", "RecurrenceId", All),
    field("calendar:DateTimeStamp", "DateTimeStamp", All),
    field("calendar:Start", "Start", Usual),
    field("calendar:End", "End", Usual),
    field("calendar:OriginalStart", "OriginalStart", All),
    field("calendar:IsAllDayEvent", "IsAllDayEvent", All),
    field("calendar:LegacyFreeBusyStatus", "LegacyFreeBusyStatus", Usual),
    field("calendar:Location", "Location", Usual),
    field("calendar:When", "When", All),
    field("calendar:IsMeeting", "IsMeeting", All),
    field("calendar:IsCancelled", "IsCancelled", All),
    field("calendar:IsRecurring", "IsRecurring", All),
    field("calendar:MeetingRequestWasSent", "MeetingRequestWasSent", All),
    field("calendar:IsResponseRequested", "IsResponseRequested", All),
    field("calendar:CalendarItemType", "CalendarItemType", Usual),
    field("calendar:MyResponseType", "MyResponseType", All),
    field("calendar:Organizer", "Organizer", Usual),
    field("calendar:RequiredAttendees", "RequiredAttendees", All),
    field("calendar:OptionalAttendees", "OptionalAttendees", All),
    field("calendar:Resources", "Resources", All),
    field("calendar:ConflictingMeetingCount", "ConflictingMeetingCount", Named),
    field("calendar:AdjacentMeetingCount", "AdjacentMeetingCount", Named),
    field("calendar:ConflictingMeetings", "ConflictingMeetings", Named),
    field("calendar:AdjacentMeetings", "AdjacentMeetings", Named),
    field("calendar:Duration", "Duration", Named),
    field("calendar:TimeZone", "TimeZone", Named),
    field("calendar:AppointmentReplyTime", "AppointmentReplyTime", All),
    field("calendar:AppointmentSequenceNumber", "AppointmentSequenceNumber", All),
    field("calendar:AppointmentState", "AppointmentState", All),
    field("calendar:Recurrence", "Recurrence", All),
    field("calendar:FirstOccurrence", "FirstOccurrence", Named),
    field("calendar:LastOccurrence", "LastOccurrence", Named),
    field("calendar:ModifiedOccurrences", "ModifiedOccurrences", All),
    field("calendar:DeletedOccurrences", "DeletedOccurrences", All),
    field("calendar:MeetingTimeZone", "MeetingTimeZone", Named),
    field("calendar:StartTimeZone", "StartTimeZone", All),
    field("calendar:EndTimeZone", "EndTimeZone", All),
    field("calendar:ConferenceType", "ConferenceType", All),
    field("calendar:AllowNewTimeProposal", "AllowNewTimeProposal", All),
    field("calendar:IsOnlineMeeting", "IsOnlineMeeting", All),
    field("calendar:MeetingWorkspaceUrl", "MeetingWorkspaceUrl", All),
    field("calendar:NetShowUrl", "NetShowUrl", All),
    field("calendar:EnhancedLocation", "EnhancedLocation", Named),
    field("calendar:StartWallClock", "StartWallClock", Named),
    field("calendar:EndWallClock", "EndWallClock", Named),
    field("calendar:StartTimeZoneId", "StartTimeZoneId", Named),
    field("calendar:EndTimeZoneId", "EndTimeZoneId", Named),
];

const CONTACT: &[Field] = &[
    field("contacts:FileAs", "FileAs", All),
    field("contacts:FileAsMapping", "FileAsMapping", All),
    field("contacts:DisplayName", "DisplayName", Usual),
    field("contacts:GivenName", "GivenName", All),
    field("contacts:Initials", "Initials", All),
    field("contacts:MiddleName", "MiddleName", All),
    field("contacts:Nickname", "Nickname", All),
    field("contacts:CompleteName", "CompleteName", Usual),
    field("contacts:CompanyName", "CompanyName", Usual),
    field("contacts:EmailAddresses", "EmailAddresses", Usual),
    field("contacts:PhysicalAddresses", "PhysicalAddresses", Usual),
    field("contacts:PhoneNumbers", "PhoneNumbers", Usual),
    field("contacts:AssistantName", "AssistantName", All),
    field("contacts:Birthday", "Birthday", All),
    field("contacts:BusinessHomePage", "BusinessHomePage", All),
    field("contacts:Children", "Children", All),
    field("contacts:Companies", "Companies", All),
    field("contacts:ContactSource", "ContactSource", All),
    field("contacts:Department", "Department", All),
    field("contacts:Generation", "Generation", All),
    field("contacts:ImAddresses", "ImAddresses", All),
    field("contacts:JobTitle", "JobTitle", All),
    field("contacts:Manager", "Manager", All),
    field("contacts:Mileage", "Mileage", All),
    field("contacts:OfficeLocation", "OfficeLocation", All),
    field("contacts:PostalAddressIndex", "PostalAddressIndex", All),
    field("contacts:Profession", "Profession", All),
    field("contacts:SpouseName", "SpouseName", All),
    field("contacts:Surname", "Surname", All),
    field("contacts:WeddingAnniversary", "WeddingAnniversary", All),
    field("contacts:HasPicture", "HasPicture", All),
    field("contacts:PhoneticFullName", "PhoneticFullName", Named),
    field("contacts:PhoneticFirstName", "PhoneticFirstName", Named),
    field("contacts:PhoneticLastName", "PhoneticLastName", Named),
    field("contacts:Alias", "Alias", Named),
    field("contacts:Notes", "Notes", Named),
    field("contacts:Photo", "Photo", Named),
    field("contacts:UserSMIMECertificate", "UserSMIMECertificate", Named),
    field("contacts:MSExchangeCertificate", "MSExchangeCertificate", Named),
    field("contacts:DirectoryId", "DirectoryId", Named),
    field("contacts:ManagerMailbox", "ManagerMailbox", Named),
    field("contacts:DirectReports", "DirectReports", Named),
    field("distributionlist:Members", "Members", Named),
];

const TASK: &[Field] = &[
    field("task:ActualWork", "ActualWork", All),
    field("task:AssignedTime", "AssignedTime", All),
    field("task:BillingInformation", "BillingInformation", All),
    field("task:ChangeCount", "ChangeCount", All),
    field("task:Companies", "Companies", All),
    field("task:CompleteDate", "CompleteDate", All),
    field("task:Contacts", "Contacts", All),
    field("task:DelegationState", "DelegationState", All),
    field("task:Delegator", "Delegator", All),
    field("task:DueDate", "DueDate", Usual),
    field("task:IsAssignmentEditable", "IsAssignmentEditable", All),
    field("task:IsComplete", "IsComplete", All),
    field("task:IsRecurring", "IsRecurring", All),
    field("task:IsTeamTask", "IsTeamTask", All),
    field("task:Mileage", "Mileage", All),
    field("task:Owner", "Owner", All),
    field("task:PercentComplete", "PercentComplete", Usual),
    field("task:Recurrence", "Recurrence", All),
    field("task:StartDate", "StartDate", Usual),
    field("task:Status", "Status", Usual),
    field("task:StatusDescription", "StatusDescription", All),
    field("task:TotalWork", "TotalWork", All),
];

/// Of every folder, in schema order.
const FOLDER: &[Field] = &[
    field("folder:FolderId", "FolderId", Id),
    field("folder:ParentFolderId", "ParentFolderId", All),
    field("folder:FolderClass", "FolderClass", All),
    field("folder:DisplayName", "DisplayName", Usual),
    field("folder:TotalCount", "TotalCount", Usual),
    field("folder:ChildFolderCount", "ChildFolderCount", Usual),
    field("", EXTENDED, Named),
    field("folder:ManagedFolderInformation", "ManagedFolderInformation", Named),
    field("folder:EffectiveRights", "EffectiveRights", All),
    field("folder:DistinguishedFolderId", "DistinguishedFolderId", Named),
    field("folder:PolicyTag", "PolicyTag", Named),
    field("folder:ArchiveTag", "ArchiveTag", Named),
    field("folder:UnreadCount", "UnreadCount", Usual),
    field("folder:PermissionSet", "PermissionSet", Named),
    field("folder:SharingEffectiveRights", "SharingEffectiveRights", Named),
    field("folder:SearchParameters", "SearchParameters", Named),
];

/// Fields that listings (Find, Sync) never give, however they are asked.
const NOT_LISTED: [&str; 11] = [
    "MimeContent",
    "Body",
    "TextBody",
    "UniqueBody",
    "Attachments",
    "ToRecipients",
    "CcRecipients",
    "BccRecipients",
    "ReplyTo",
    "InternetMessageHeaders",
    "Recurrence",
];

/// The fields of folders.
pub(crate) const fn of_folders() -> &'static [Field] {
    FOLDER
}

/// The fields of items of a kind, in the order answers give and requests must keep.
pub(crate) fn of_items(kind: Kind) -> impl Iterator<Item = &'static Field> {
    let groups: &[&'static [Field]] = match kind {
        Kind::Message => &[ITEM, MESSAGE],
        Kind::MeetingRequest => &[ITEM, MESSAGE, MEETING, CALENDAR],
        Kind::Post => &[ITEM, MESSAGE, POST],
        Kind::Calendar => &[ITEM, CALENDAR],
        Kind::Contact => &[ITEM, CONTACT],
        Kind::Task => &[ITEM, TASK],
    };
    groups.iter().copied().flatten()
}

/// The field with that URI, whoever has it.
pub(crate) fn find(uri: &str) -> Option<&'static Field> {
    let groups = [ITEM, MESSAGE, MEETING, POST, CALENDAR, CONTACT, TASK, FOLDER];
    groups.into_iter().flatten().find(|field| !uri.is_empty() && field.uri == uri)
}

/// The field an `IndexedFieldURI` is a part of.
pub(crate) fn find_indexed(uri: &str) -> Option<&'static Field> {
    let whole = match uri.split(':').collect::<Vec<_>>().as_slice() {
        ["contacts", "EmailAddress"] => "contacts:EmailAddresses",
        ["contacts", "PhoneNumber"] => "contacts:PhoneNumbers",
        ["contacts", "ImAddress"] => "contacts:ImAddresses",
        ["contacts", "PhysicalAddress", _] => "contacts:PhysicalAddresses",
        ["item", "InternetMessageHeader"] => "item:InternetMessageHeaders",
        ["distributionlist", "Members", "Member"] => "distributionlist:Members",
        _ => return None,
    };
    find(whole)
}

/// Whether items of this kind can be asked for the field: mail for anything of mail and meetings, the others for
/// their own.
pub(crate) fn fits(kind: Kind, field: &Field) -> bool {
    let group = field.uri.split(':').next().unwrap_or_default();
    match group {
        "item" => true,
        "message" | "meeting" | "meetingRequest" | "postitem" => kind.is_mail(),
        "calendar" => kind.is_mail() || kind == Kind::Calendar,
        "contacts" | "distributionlist" => kind == Kind::Contact,
        "task" => kind == Kind::Task,
        _ => false,
    }
}

/// Whether listings give the field.
pub(crate) fn is_listed(field: &Field) -> bool {
    !NOT_LISTED.contains(&field.element)
}
