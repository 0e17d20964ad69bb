//! Answers as servers send them, with something of everything that is read.

/// A message with properties of every type, one that failed, and one that asks for patience.
pub(super) const ITEMS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header><h:ServerVersionInfo xmlns:h="t" MajorVersion="15"/></s:Header>
<s:Body><m:GetItemResponse xmlns:m="m" xmlns:t="t"><m:ResponseMessages>
<m:GetItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Message>
<t:ItemId Id="AAMkAD=" ChangeKey="CQAAABY"/><t:ItemClass>IPM.Appointment</t:ItemClass><t:Subject>a &amp; b / &#x1F600;</t:Subject>
<t:Sensitivity>Normal</t:Sensitivity><t:DateTimeReceived>2026-03-01T08:00:00.25Z</t:DateTimeReceived><t:Size>1234</t:Size>
<t:Categories><t:String>Red</t:String><t:String>Blue</t:String></t:Categories><t:HasAttachments>true</t:HasAttachments>
<t:Attachments><t:FileAttachment><t:AttachmentId Id="x"/><t:Name>a.pdf</t:Name><t:ContentType>application/pdf</t:ContentType></t:FileAttachment>
<t:ItemAttachment><t:AttachmentId Id="y"/><t:Name>b</t:Name></t:ItemAttachment></t:Attachments>
<t:LastModifiedTime>1969-12-31T23:59:59.5Z</t:LastModifiedTime>
<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0xe07" PropertyType="Integer"/><t:Value>1</t:Value></t:ExtendedProperty>
<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x300B" PropertyType="Binary"/><t:Value>AAECAw==</t:Value></t:ExtendedProperty>
<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="00062008-0000-0000-C000-000000000046" PropertyId="34096" PropertyType="String"/>
<t:Value>Follow up</t:Value></t:ExtendedProperty>
<t:From><t:Mailbox><t:Name>Ann</t:Name><t:EmailAddress>ann@contoso.example</t:EmailAddress></t:Mailbox></t:From>
<t:ToRecipients><t:Mailbox><t:Name>Bob &#xFC;</t:Name><t:EmailAddress>bob@contoso.example</t:EmailAddress></t:Mailbox></t:ToRecipients>
</t:Message></m:Items></m:GetItemResponseMessage>
<m:GetItemResponseMessage ResponseClass="Error"><m:MessageText>gone</m:MessageText><m:ResponseCode>ErrorItemNotFound</m:ResponseCode>
<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey><m:Items/></m:GetItemResponseMessage>
<m:GetItemResponseMessage ResponseClass="Warning"><m:MessageText><![CDATA[busy]]></m:MessageText>
<m:ResponseCode>ErrorBatchProcessingStopped</m:ResponseCode><m:MessageXml><t:Value Name="BackOffMilliseconds">297749</t:Value>
<t:Value Name="InnerErrorResponseCode">ErrorServerBusy</t:Value></m:MessageXml></m:GetItemResponseMessage>
</m:ResponseMessages></m:GetItemResponse></s:Body></s:Envelope>"#;

/// A refusal of the whole request.
pub(super) const FAULT: &str = r#"<s:Envelope xmlns:s="s"><s:Body><s:Fault><faultcode xmlns:a="t">a:ErrorServerBusy</faultcode>
<faultstring xml:lang="en-US">The server cannot service this request right now.</faultstring><detail>
<e:ResponseCode xmlns:e="e">ErrorServerBusy</e:ResponseCode><e:Message xmlns:e="e">busy</e:Message>
<t:MessageXml xmlns:t="t"><t:Value Name="BackOffMilliseconds">17</t:Value></t:MessageXml></detail></s:Fault></s:Body></s:Envelope>"#;

/// A page of changes.
pub(super) const CHANGES: &str = r#"<s:Envelope xmlns:s="s"><s:Body><m:SyncFolderItemsResponse xmlns:m="m" xmlns:t="t"><m:ResponseMessages>
<m:SyncFolderItemsResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:SyncState>H4sIAAAA</m:SyncState>
<m:IncludesLastItemInRange>false</m:IncludesLastItemInRange><m:Changes>
<t:Create><t:Message><t:ItemId Id="a" ChangeKey="1"/></t:Message></t:Create>
<t:Update><t:CalendarItem><t:ItemId Id="b" ChangeKey="2"/></t:CalendarItem></t:Update>
<t:ReadFlagChange><t:ItemId Id="a" ChangeKey="1"/><t:IsRead>true</t:IsRead></t:ReadFlagChange>
<t:Delete><t:ItemId Id="c" ChangeKey="3"/></t:Delete></m:Changes></m:SyncFolderItemsResponseMessage>
</m:ResponseMessages></m:SyncFolderItemsResponse></s:Body></s:Envelope>"#;

/// Changes of a tree of folders.
pub(super) const FOLDERS: &str = r#"<s:Envelope xmlns:s="s"><s:Body><m:SyncFolderHierarchyResponse xmlns:m="m" xmlns:t="t"><m:ResponseMessages>
<m:SyncFolderHierarchyResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:SyncState>H4sIAAAA</m:SyncState>
<m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange><m:Changes><t:Create><t:Folder><t:FolderId Id="f" ChangeKey="1"/>
<t:ParentFolderId Id="p" ChangeKey="2"/><t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>Inbox / old</t:DisplayName>
<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x3601" PropertyType="Integer"/><t:Value>1</t:Value></t:ExtendedProperty>
<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x10f4" PropertyType="Boolean"/><t:Value>true</t:Value></t:ExtendedProperty>
</t:Folder></t:Create><t:Delete><t:FolderId Id="g" ChangeKey="3"/></t:Delete></m:Changes></m:SyncFolderHierarchyResponseMessage>
</m:ResponseMessages></m:SyncFolderHierarchyResponse></s:Body></s:Envelope>"#;

/// What the address book knows.
pub(super) const RESOLVED: &str = r#"<s:Envelope xmlns:s="s"><s:Body><m:ResolveNamesResponse xmlns:m="m" xmlns:t="t"><m:ResponseMessages>
<m:ResolveNamesResponseMessage ResponseClass="Warning"><m:MessageText>Multiple results were found.</m:MessageText>
<m:ResponseCode>ErrorNameResolutionMultipleResults</m:ResponseCode><m:ResolutionSet TotalItemsInView="2" IncludesLastItemInRange="true">
<t:Resolution><t:Mailbox><t:Name>Ann</t:Name><t:EmailAddress>Ann@Contoso.example</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType>
<t:MailboxType>Mailbox</t:MailboxType></t:Mailbox></t:Resolution><t:Resolution><t:Mailbox><t:EmailAddress>all@contoso.example</t:EmailAddress>
<t:MailboxType>PublicDL</t:MailboxType></t:Mailbox></t:Resolution></m:ResolutionSet></m:ResolveNamesResponseMessage>
</m:ResponseMessages></m:ResolveNamesResponse></s:Body></s:Envelope>"#;

/// The MIME of an item.
pub(super) const CONTENT: &str = r#"<s:Envelope xmlns:s="s"><s:Body><m:GetItemResponse xmlns:m="m" xmlns:t="t"><m:ResponseMessages>
<m:GetItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode><m:Items><t:Message>
<t:MimeContent CharacterSet="UTF-8">U3ViamVjdDogeA0KDQpo&#x0D;
ZWxsbw0K</t:MimeContent><t:ItemId Id="a" ChangeKey="1"/></t:Message></m:Items></m:GetItemResponseMessage>
</m:ResponseMessages></m:GetItemResponse></s:Body></s:Envelope>"#;
