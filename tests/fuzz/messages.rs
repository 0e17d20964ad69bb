//! What crosses the plugin boundary, in both directions.

use larder_sdk::{
    Capabilities, Container, Error, ErrorKind, Event, Explained, Finding, FindingLevel, Item, ItemId, Kind,
    ListPage, LogLevel, Name, ObjectInfo, ObjectKey, Offer, Owed, PluginInfo, Schema, SecretRef, StreamInfo,
    Tag, Takes, Time, Unread,
    abi::{
        check,
        messages::{
            AnswerOffers, AskCursor, AskItem, AskOwed, AskScopes, AskSecret, Batch, Delete, Described,
            Discovered, Done, Failure, Fetch, FetchResult, Fetched, Findings, Finish, Get, GetRange,
            Incoming, List, Log, Opened, Piece, Progress, Put, PutIfAbsent, Read, Stat, TheseCapabilities,
            TheseOwed, TheseScopes, ThisCursor, ThisItem, ThisObject, ThisPage, ThisSecret, encode_batch,
        },
    },
    codec::ENVELOPE_BYTES,
};

use crate::{
    records,
    target::{Target, envelope},
};

/// All of them.
pub(crate) fn targets() -> Vec<Target> {
    let mut targets = vec![batch()];
    targets.extend(of_plugins());
    targets.extend(of_readers());
    targets.extend(of_destinations());
    targets.extend(of_hosts());
    targets
}

fn item() -> Item {
    Item {
        id: "id".into(),
        parent: "parent".into(),
        name: "name".into(),
        kind: Kind::FILE,
        folder: false,
        tag: "tag".into(),
        modified: Some(Time { seconds: -1, nanos: 5 }),
        posix: Some(records::posix()),
        meta: records::values(),
        streams: vec![StreamInfo::content("text/plain", Some(300))],
    }
}

fn container() -> Container {
    Container {
        id: "id".into(),
        path: vec!["exchange".into(), "ann".into()],
        kind: Kind::new("mailbox"),
        title: "Ann".to_owned(),
        path_ids: false,
        meta: records::values(),
    }
}

fn failure() -> Failure {
    let error = Error::new(ErrorKind::Denied, "denied").with_hint("ask").with_code("code");
    Failure::from(&error.with_source(Error::bug("inner")))
}

/// A batch is read event by event, each as it is asked for.
fn batch() -> Target {
    let scope = || "scope".into();
    let events = [
        Event::Begin(scope()),
        Event::Offer(Offer { scope: scope(), item: item(), carry: None }),
        Event::Deleted("deleted".into()),
        Event::Unread(Unread {
            scope: scope(),
            id: "unread".into(),
            parent: ItemId::default(),
            name: Name::default(),
            error: Error::new(ErrorKind::Denied, "no"),
        }),
        Event::Skipped { id: "skipped".into(), name: "name".into(), cause: "locked".to_owned() },
        Event::End(scope()),
        Event::Settled(scope(), "cursor".into()),
        Event::ScopeGone(scope()),
        Event::Moved { was: "was".into(), id: "id".into(), tag: Tag::from("tag") },
    ];
    let message = encode_batch(&events).unwrap();
    let kind = u16::from_le_bytes([message[0], message[1]]);
    Target {
        name: "batch",
        seeds: vec![message[ENVELOPE_BYTES..].to_vec()],
        dress: Box::new(move |body| envelope(kind, 1, body)),
        decode: Box::new(|message| {
            let Some(events) = events_of(message) else { return false };
            for event in &events {
                drop(check::event(event));
            }
            let once = encode_batch(&events).unwrap();
            let again = encode_batch(&events_of(&once).unwrap()).unwrap();
            assert_eq!(once, again);
            true
        }),
        every: 1,
    }
}

fn events_of(message: &[u8]) -> Option<Vec<Event>> {
    let mut batch = Batch::open(message).ok()?;
    let mut events = Vec::new();
    while let Some(event) = batch.event().ok()? {
        events.push(match event {
            Incoming::Offer { scope, item } => Event::Offer(Offer { scope, item, carry: None }),
            Incoming::Other(event) => event,
        });
    }
    Some(events)
}

fn of_plugins() -> Vec<Target> {
    let schema = Schema::new()
        .required("word", Takes::word(&["a", "b"]), "One of two.")
        .optional("number", Takes::Integer(-1, 300), "A number.")
        .optional("many", Takes::AnyOf(vec![Takes::texts(), Takes::Bool, Takes::Secret, Takes::Map]), "Many.")
        .optional("table", Takes::Table(Schema::new().optional("text", Takes::Text, "Text.")), "A table.");
    let info = PluginInfo {
        name: "plugin".to_owned(),
        version: "1.0.0".to_owned(),
        summary: "A plugin.".to_owned(),
        source: Some(schema),
        destination: None,
        codes: vec![Explained {
            code: "code".to_owned(),
            meaning: "Meaning.".to_owned(),
            remedy: "Remedy.".to_owned(),
            more: Some("docs".to_owned()),
        }],
    };
    let finding = Finding {
        level: FindingLevel::Warning,
        subject: "account".to_owned(),
        code: "code".to_owned(),
        message: "message".to_owned(),
        hint: Some("hint".to_owned()),
    };
    let findings = vec![finding; 2];
    let containers = vec![container(); 2];
    vec![
        Target::record("who the plugin is", &[Described { info }]),
        Target::record("failure", &[failure()]),
        Target::record("done", &[Done {}]),
        Target::record("opened", &[Opened { handle: 300 }]),
        Target::record("findings", &[Findings { findings: findings.clone() }]),
        Target::record("discovered", &[Discovered { containers, findings, rest: Some(7) }]),
    ]
}

fn of_readers() -> Vec<Target> {
    let results = vec![
        FetchResult::Whole { length: 70_000 },
        FetchResult::Open { length: 0, body: 3 },
        FetchResult::Failed(failure()),
    ];
    vec![
        Target::record("read", &[Read { container: container(), services: 2 }]),
        Target::record("answer to offers", &[AnswerOffers { wanted: vec![true, false, true] }]),
        Target::record("fetch", &[Fetch { wants: vec![(1, 0), (300, 2)] }]),
        Target::record("fetched", &[Fetched { results }]),
        Target::record("finish", &[Finish { offers: vec![1, 70_000] }]),
        Target::record("piece", &[Piece { end: true }]),
    ]
}

fn of_destinations() -> Vec<Target> {
    let key = || ObjectKey::new("data/ab/name").unwrap();
    let info = ObjectInfo { size: 1 << 33, modified: Some(Time::from_seconds(1)) };
    let page = ListPage {
        objects: vec![(key(), info.clone()); 3],
        folders: vec!["data/ab".to_owned()],
        next: Some("token".to_owned()),
    };
    let capabilities = Capabilities {
        location: "s3://bucket".to_owned(),
        put_if_absent: true,
        list_after_put: true,
        ranges: true,
        object_bytes_max: Some(1 << 40),
        concurrency: 8,
    };
    vec![
        Target::record("capabilities", &[TheseCapabilities { capabilities }]),
        Target::record("put", &[Put { key: key() }]),
        Target::record("put if absent", &[PutIfAbsent { key: key() }]),
        Target::record("get", &[Get { key: key() }]),
        Target::record("get a range", &[GetRange { key: key(), start: 1, end: 70_000 }]),
        Target::record("stat", &[Stat { key: key() }]),
        Target::record("object", &[ThisObject { info }]),
        Target::record("list", &[List { folder: "data".to_owned(), token: Some("token".to_owned()) }]),
        Target::record("page", &[ThisPage { page }]),
        Target::record("delete", &[Delete { key: key() }]),
    ]
}

fn of_hosts() -> Vec<Target> {
    let owed = Owed { id: "id".into(), parent: "p".into(), name: "n".into(), scope: "s".into(), tries: 3 };
    let references = [SecretRef::Env("NAME".to_owned()), SecretRef::Command("pass show x".to_owned())];
    vec![
        Target::record("log", &[Log { level: LogLevel::Warning, text: "text".to_owned() }]),
        Target::record("ask for a secret", &references.map(|reference| AskSecret { reference })),
        Target::record("secret", &[ThisSecret { value: "value".to_owned() }]),
        Target::record("ask for scopes", &[AskScopes { services: 1 }]),
        Target::record("scopes", &[TheseScopes { scopes: vec!["a".into(), "b".into()] }]),
        Target::record("ask for a cursor", &[AskCursor { services: 1, scope: "scope".into() }]),
        Target::record("a scope's cursor", &[ThisCursor { cursor: Some("cursor".into()) }]),
        Target::record("ask for an item", &[AskItem { services: 1, id: "id".into() }]),
        Target::record("an item's state", &[ThisItem { item: Some(item()) }]),
        Target::record(
            "ask for what is owed",
            &[AskOwed { services: 1, after: Some("id".into()), most: 100 }],
        ),
        Target::record("items owed", &[TheseOwed { owed: vec![owed; 2] }]),
        Target::record("progress", &[Progress { services: 1, text: "text".to_owned() }]),
    ]
}
