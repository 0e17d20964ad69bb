//! What is stored as records, and the keys and nodes of trees.

use larder::{
    catalog::{self, Content, CursorRecord, ItemRecord, ListingRecord, OwedRecord, StreamRecord},
    crypto::{KdfCost, KeySlot, Keys},
    hash::{BlobId, Digest, ObjectName, RepositoryId, ShortId},
    index::{BlobKind, SegmentDirectory, SegmentPage},
    pack::{DirectoryBlob, DirectoryFrame, PackDirectory},
    repository::{ConfigRecord, DRAFT, SlotNote},
    snapshot::{
        CheckpointRecord, ContainerOutcome, ContainerRecord, ContainerWork, EndRecord, MarkRecord, Purpose,
        RemovalRecord, RemovedSnapshot, SessionRecord, SnapshotOutcome, SnapshotRecord, Totals,
    },
    tree::{Child, Node, Root},
};
use larder_sdk::{Container, Finding, FindingLevel, Kind, Posix, Secret, Time, Value, codec};

use crate::target::Target;

const TIME: Time = Time { seconds: -1_700_000_000, nanos: 999_999_999 };
const NAME: ObjectName = ObjectName([0xab; 16]);
const ROOT: Root = Root { id: BlobId([0xcd; 32]), level: 2, entries: 70_000 };

/// All of them.
pub(crate) fn targets() -> Vec<Target> {
    let keys = Keys::generate().unwrap();
    let cheap = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
    let slot = KeySlot::wrap(&keys, &Secret::new("password"), NAME, cheap).unwrap();
    let bundle = codec::encode_plain(&keys).unwrap();
    let mut targets = vec![
        Target::plain("wrapped keys", vec![codec::encode_plain(&slot).unwrap()], |bytes| {
            codec::decode_plain::<KeySlot>(bytes).is_ok()
        }),
        Target::plain("key bundle", vec![bundle], |bytes| codec::decode_plain::<Keys>(bytes).is_ok()),
        Target::record("slot's note", &[SlotNote::new(TIME, "host", "paper", true)]),
        Target::record("config", &[config()]),
        Target::record("snapshot", &[snapshot()]),
        Target::record("container", &containers()),
        Target::record("item", &[item()]),
    ];
    targets.extend(short_lived());
    targets.extend(catalogue());
    targets
}

fn config() -> ConfigRecord {
    let id = RepositoryId([7; 16]);
    ConfigRecord { id, draft: DRAFT, created: TIME, put_if_absent: true, list_after_put: false }
}

/// A snapshot's record.
pub(crate) fn snapshot() -> SnapshotRecord {
    SnapshotRecord {
        set: "home".to_owned(),
        run: 300,
        base: Some(NAME),
        started: TIME,
        finished: TIME,
        host: "host".to_owned(),
        program: "larder 0.1.0".to_owned(),
        tags: vec!["keep".to_owned(), "before-upgrade".to_owned()],
        root: Some(ROOT),
        outcome: SnapshotOutcome::Incomplete,
        totals: Totals { items: 70_000, stored_bytes: 1 << 40, ..Totals::default() },
        segments: vec![(BlobKind::Data, NAME), (BlobKind::Tree, NAME)],
        findings: vec![finding()],
        more_findings: 0,
    }
}

fn finding() -> Finding {
    Finding {
        level: FindingLevel::Warning,
        subject: "/sharepoint".to_owned(),
        code: "search-failed".to_owned(),
        message: "search does not answer".to_owned(),
        hint: Some("name the sites".to_owned()),
    }
}

fn work() -> ContainerWork {
    ContainerWork {
        run: 300,
        listed: 5,
        read_items: 4,
        read_bytes: 70_000,
        deleted: 1,
        millis: 1500,
        skipped: vec![("infected".to_owned(), 2)],
        waited_millis: vec![("backup1@contoso.com".to_owned(), 12_000)],
    }
}

fn containers() -> Vec<ContainerRecord> {
    let record = |outcome| ContainerRecord {
        container: Container {
            id: "id".into(),
            path: vec!["exchange".into(), "ann@contoso.com".into()],
            kind: Kind::new("mailbox"),
            title: "Ann".to_owned(),
            path_ids: true,
            meta: values(),
        },
        root: Some(ROOT),
        items: 5,
        owed: 1,
        read: Some(TIME),
        outcome,
        gone_since: None,
        deleted: 3,
        work: work(),
    };
    let failed = ContainerOutcome::Failed("denied".to_owned());
    [ContainerOutcome::Done, ContainerOutcome::Unfinished, failed, ContainerOutcome::HeldBack(30, 100)]
        .map(record)
        .to_vec()
}

/// One of each kind of value.
pub(crate) fn values() -> Vec<(larder_sdk::Word, Value)> {
    let one = |name: &str, value| (name.into(), value);
    vec![
        one("null", Value::Null),
        one("bool", Value::Bool(true)),
        one("int", Value::Int(i64::MIN)),
        one("float", Value::Float(-0.5)),
        one("text", Value::Text("text".to_owned())),
        one("bytes", Value::Bytes(vec![0, 0xff])),
        one("time", Value::Time(TIME)),
        one("list", Value::List(vec![Value::Null, Value::List(vec![Value::Int(3)])])),
        one("map", Value::Map(vec![("key".to_owned(), Value::Map(Vec::new()))])),
    ]
}

/// What a POSIX file system knows of a file.
pub(crate) fn posix() -> Posix {
    Posix { mode: 0o100_644, link: Some((1, u64::MAX)), target: b"to".to_vec(), ..Posix::default() }
}

fn item() -> ItemRecord {
    let stream = |content| StreamRecord {
        name: "content".into(),
        media: "message/rfc822".into(),
        bytes: 1_000_000,
        digest: Digest([9; 32]),
        content,
    };
    ItemRecord {
        name: "name".into(),
        kind: Kind::FILE,
        folder: false,
        scope: Some("scope".into()),
        tag: "tag".into(),
        modified: Some(TIME),
        posix: Some(posix()),
        meta: values(),
        streams: vec![
            stream(Content::Empty),
            stream(Content::One),
            stream(Content::List { depth: 1, ids: vec![BlobId([1; 32]), BlobId([2; 32])] }),
        ],
    }
}

fn short_lived() -> Vec<Target> {
    let host = || "host".to_owned();
    let session = |purpose| SessionRecord {
        purpose,
        set: "home".to_owned(),
        host: host(),
        machine: NAME,
        started: TIME,
        roots: vec![ROOT, ROOT],
        marks: vec![NAME],
    };
    let checkpoint = CheckpointRecord {
        set: "home".to_owned(),
        run: 2,
        session: NAME,
        number: 3,
        base: Some(NAME),
        taken: TIME,
        root: Some(ROOT),
        segments: vec![(BlobKind::Tree, NAME)],
    };
    let mark = MarkRecord { condemned: vec![(BlobKind::Data, NAME); 3], made: TIME, host: host() };
    let removed = vec![RemovedSnapshot { run: 1, id: NAME, root: Some(ROOT) }];
    let removal = RemovalRecord { set: "home".to_owned(), removed, removed_at: TIME, host: host() };
    let end = EndRecord { by: NAME, ended: TIME, host: host(), keeps: Some(NAME) };
    vec![
        Target::record("session", &[Purpose::Write, Purpose::Read, Purpose::Prune].map(session)),
        Target::record("checkpoint", &[checkpoint]),
        Target::record("mark", &[mark]),
        Target::record("removal", &[removal]),
        Target::record("end of a session", &[end]),
    ]
}

fn catalogue() -> Vec<Target> {
    let owed = OwedRecord {
        parent: "parent".into(),
        name: "name".into(),
        scope: "scope".into(),
        reason: "denied".to_owned(),
        since: TIME,
        tries: 3,
    };
    let mut listing = ListingRecord { base: Some(ROOT), ..ListingRecord::default() };
    for rank in [0, 1, 64, 1000] {
        listing.seen.insert(rank);
    }
    let blobs = vec![DirectoryBlob { id: ShortId([3; 16]), bytes: 70_000 }; 3];
    let pack = PackDirectory { frames: vec![DirectoryFrame { sealed_bytes: 300, blobs }; 2] };
    let page = SegmentPage { first: ShortId([4; 16]), offset: 48, sealed_bytes: 100_000 };
    let segment = SegmentDirectory { pages: vec![page; 3], replaces: vec![NAME] };
    let leaf = Node::Leaf(vec![(b"key 1".to_vec(), b"value".to_vec()), (b"key 2".to_vec(), vec![0; 300])]);
    let child = Child { id: BlobId([5; 32]), entries: 1000 };
    let inner = Node::Inner(1, vec![(b"key 1".to_vec(), child), (b"kez".to_vec(), child)]);
    let keys = vec![catalog::child_key(&"par\0ent".into(), &"id\0".into()), catalog::owed_key(&"id".into())];
    vec![
        Target::record("owed", &[owed]),
        Target::record("listing", &[listing]),
        Target::record("cursor", &[CursorRecord("cursor".into())]),
        Target::record("pack directory", &[pack]),
        Target::record("segment directory", &[segment]),
        Target::plain("tree node", vec![leaf.encode(), inner.encode()], node),
        Target::plain("key of a container's tree", keys, key),
        Target::plain("object name", vec![NAME.to_string().into_bytes()], |bytes| {
            let name = std::str::from_utf8(bytes).ok().and_then(ObjectName::parse);
            name.is_some_and(|name| name.to_string().as_bytes() == bytes)
        }),
    ]
}

fn node(bytes: &[u8]) -> bool {
    let Ok(node) = Node::decode(bytes) else { return false };
    assert_eq!(Node::decode(&node.encode()).unwrap(), node);
    true
}

fn key(bytes: &[u8]) -> bool {
    if let Some((parent, id)) = catalog::parse_child(bytes) {
        assert_eq!(catalog::child_key(&parent, &id), bytes);
        return true;
    }
    let owed = catalog::parse_owed(bytes);
    assert!(owed.as_ref().is_none_or(|id| catalog::owed_key(id) == bytes));
    owed.is_some()
}
