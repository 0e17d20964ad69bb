//! The site itself: its settings, columns, content types, roles, groups and people, each a document in a folder of its own.

use std::sync::Arc;

use bytes::Bytes;
use larder_sdk::{
    Error, ErrorKind, Event, Item, ItemId, Kind, Name, Offer, Result, ScopeId, StreamInfo, Tag, Unread,
};
use serde_json::{Value as Json, json};

use super::{
    changes::{self, Position},
    items::{Carry, Extras, Of},
    json, paths,
    reading::Reading,
    schema,
    sheet::{PERMISSIONS, Sheet},
    walk::{LISTED_AGE_MAX_SECONDS, ends_all},
    web::Form,
};
use crate::feed::Sink;

/// The scope, the folder's id and the folder's name.
pub(super) const SITE: &str = "@site";
/// What the folder and its documents are.
const KIND: &str = "settings";
/// What is asked of a web.
const WEB: &str = "Id,Title,Description,ServerRelativeUrl,Language,WebTemplate,Configuration,Created,NoCrawl,QuickLaunchEnabled,\
    HasUniqueRoleAssignments";
/// Most rows of one document.
const ROWS_MAX: usize = 200_000;
/// The document that lists the recycle bin.
const RECYCLE_BIN: &str = "recycle-bin.json";

/// A document and what it is read from.
struct Part {
    name: &'static str,
    /// Below `_api/`.
    tail: String,
}

/// The site as it was asked for.
struct Site<'a> {
    reading: &'a Reading,
    web: Json,
    /// Where the log of the site collection stands; empty if that is not told.
    token: String,
    /// True if it is the top of its site collection, whose people and groups are the collection's.
    top: bool,
}

/// Reads what changed of the site, or all of it; all of it if `anew`.
pub(super) async fn walk(reading: &Reading, anew: bool, now: i64, sink: &mut Sink) -> Result<()> {
    let site = Site::ask(reading).await?;
    let mut here = Position { profile: reading.profile(), ..Position::new(&site.token, now) };
    let before = reading.host.cursor(&scope()).await?.and_then(|cursor| Position::read(&cursor));
    let before =
        before.filter(|before| !anew && before.profile == here.profile && before.is_fresh(&site.token, now));
    let changed = match before {
        Some(before) => {
            let old = now.saturating_sub(before.listed_at) >= LISTED_AGE_MAX_SECONDS;
            let changed = old || !before.is_current(&site.token) && site.changed(&before.token).await?;
            here.listed_at = if changed { now } else { before.listed_at };
            changed
        }
        None => true,
    };
    if changed {
        site.tell(sink).await?;
    }
    if reading.recycle_bin {
        site.tell_recycle_bin(sink).await?;
    } else if reading.host.item(&id(RECYCLE_BIN)).await?.is_some() {
        sink.push(Event::Deleted(id(RECYCLE_BIN))).await?;
    }
    sink.push(Event::Settled(scope(), here.cursor())).await?;
    sink.flush().await
}

impl<'a> Site<'a> {
    async fn ask(reading: &'a Reading) -> Result<Self> {
        let web = reading.web.get(&format!("web?$select={WEB}"), Form::Bare).await?;
        let site = "site?$select=Id,ServerRelativeUrl,CurrentChangeToken";
        let site = match reading.web.get(site, Form::Bare).await {
            Ok(site) => site,
            // Then all of it is read each time.
            Err(error) if !ends_all(&error) => Json::Null,
            Err(error) => return Err(error),
        };
        let token = site.get("CurrentChangeToken").map(|token| json::text(token, "StringValue"));
        let path = |of: &Json| paths::folded(json::text(of, "ServerRelativeUrl"));
        Ok(Self { reading, token: token.unwrap_or_default().to_owned(), top: path(&web) == path(&site), web })
    }

    /// Whether the log of the site collection tells of something that stands in these documents, or cannot tell.
    async fn changed(&self, token: &str) -> Result<bool> {
        let own = paths::guid(json::text(&self.web, "Id"));
        let mut concerns = false;
        let mut take = |entry: &Json| {
            let class =
                entry.get("__metadata").map(|metadata| json::text(metadata, "type")).unwrap_or_default();
            let other_web = class.ends_with("ChangeWeb") && paths::guid(json::text(entry, "WebId")) != own;
            concerns |= entry.get("ListId").is_none_or(Json::is_null) && !other_web;
            true
        };
        let read = changes::read(&self.reading.web, "site", &query(), token, &mut take).await;
        match read {
            Ok(read) => Ok(concerns || read.is_none()),
            Err(error) if !ends_all(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn parts(&self) -> Vec<Part> {
        let part = |name, tail: &str| Part { name, tail: tail.to_owned() };
        let mut parts = vec![
            part("fields.json", &format!("web/fields?$select={}", schema::FIELD)),
            part(
                "content-types.json",
                &format!("web/contenttypes?$select={},FieldLinks&$expand=FieldLinks", schema::CONTENT_TYPE),
            ),
        ];
        if self.top {
            let users = "web/siteusers?$select=Id,LoginName,Title,Email,PrincipalType,IsSiteAdmin";
            parts.push(part("users.json", users));
        }
        if self.reading.permissions {
            parts.push(part("role-definitions.json", "web/roledefinitions"));
            if self.top {
                parts.push(part("groups.json", "web/sitegroups?$expand=Users,Owner"));
            }
        }
        parts
    }

    /// Says all of it.
    async fn tell(&self, sink: &mut Sink) -> Result<()> {
        sink.push(Event::Begin(scope())).await?;
        sink.push(offer(folder(), None)).await?;
        sink.push(document("web.json", &Sheet::new("content", &self.web))).await?;
        for part in self.parts() {
            let read = self.reading.web.all(&part.tail, ROWS_MAX).await;
            let sheet = read
                .map(|rows| Sheet::new("content", &Json::Array(rows.into_iter().filter(is_own).collect())));
            for event in self.said(part.name, sheet).await? {
                sink.push(event).await?;
            }
        }
        if self.reading.permissions && json::flag(&self.web, "HasUniqueRoleAssignments") {
            let mut extras = Extras::default();
            let known = self.reading.host.item(&id(PERMISSIONS)).await?;
            self.reading.permissions_of(SITE, "web", known.as_ref(), &mut extras).await?;
            let read = match (extras.sheets.pop(), extras.failed) {
                (Some(sheet), _) => Ok(sheet),
                (None, Some(error)) => Err(error),
                (None, None) => Err(Error::new(ErrorKind::Denied, "no account may see them")),
            };
            for event in self.said(PERMISSIONS, read).await? {
                sink.push(event).await?;
            }
        }
        sink.push(Event::End(scope())).await
    }

    async fn tell_recycle_bin(&self, sink: &mut Sink) -> Result<()> {
        let tail = "web/RecycleBin?$select=Id,Title,LeafName,DirName,ItemType,ItemState,Size,DeletedDate,DeletedByName,AuthorName,AuthorEmail";
        let read = self.reading.web.all(tail, ROWS_MAX).await;
        let sheet = read.map(|rows| Sheet::new("content", &Json::Array(rows)));
        for event in self.said(RECYCLE_BIN, sheet).await? {
            sink.push(event).await?;
        }
        Ok(())
    }

    /// What is said of a document that was read, or was not.
    async fn said(&self, name: &'static str, read: Result<Sheet>) -> Result<Vec<Event>> {
        let error = match read {
            Ok(sheet) => return Ok(vec![document(name, &sheet)]),
            Err(error) if ends_all(&error) => return Err(error),
            Err(error) => error,
        };
        let known = self.reading.host.item(&id(name)).await?;
        if error.kind() == ErrorKind::Denied {
            // Not every account that may read a site may see its people and permissions: that is no debt.
            let skipped = Event::Skipped { id: id(name), name: Name::from(name), cause: "denied".to_owned() };
            return Ok(known.map(|known| offer(known, None)).into_iter().chain([skipped]).collect());
        }
        let unread = Unread { scope: scope(), id: id(name), parent: SITE.into(), name: name.into(), error };
        Ok(vec![Event::Unread(unread)])
    }
}

/// Columns that every site has by itself are left out.
fn is_own(row: &Json) -> bool {
    !json::flag(row, "FromBaseType")
}

fn query() -> Json {
    json!({
        "Add": true, "Update": true, "SystemUpdate": true, "DeleteObject": true, "Rename": true,
        "Web": true, "Field": true, "ContentType": true, "User": true, "Group": true, "SecurityPolicy": true,
        "GroupMembershipAdd": true, "GroupMembershipDelete": true, "RoleAssignmentAdd": true, "RoleAssignmentDelete": true,
        "RoleDefinitionAdd": true, "RoleDefinitionDelete": true, "RoleDefinitionUpdate": true,
    })
}

pub(super) fn scope() -> ScopeId {
    ScopeId::from(SITE)
}

fn id(name: &str) -> ItemId {
    ItemId::from(format!("{SITE}/{name}"))
}

fn offer(item: Item, content: Option<Bytes>) -> Event {
    let carry = content.map(|content| {
        Arc::new(Carry { of: Of::Settings(content), address: String::new(), sheets: Vec::new() }) as _
    });
    Event::Offer(Offer { scope: scope(), item, carry })
}

fn folder() -> Item {
    Item {
        id: SITE.into(),
        parent: ItemId::default(),
        name: SITE.into(),
        kind: Kind::new(KIND),
        folder: true,
        tag: Tag::from("folder"),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: Vec::new(),
    }
}

fn document(name: &'static str, sheet: &Sheet) -> Event {
    let item = Item {
        id: id(name),
        parent: SITE.into(),
        name: name.into(),
        folder: false,
        tag: Tag::from(sheet.info.media.as_str()),
        streams: vec![StreamInfo::content("application/json", sheet.info.size)],
        ..folder()
    };
    offer(item, Some(sheet.bytes.clone()))
}
