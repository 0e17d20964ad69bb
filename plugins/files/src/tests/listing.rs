//! What a listing tells, and in which order.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::Path,
};

use larder_sdk::{ErrorKind, Event, Kind, Value, testing::conformance::check_source};
use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};

use super::*;

/// Names of up to 6 bytes that sort on both sides of a separator: below and above `/`, no text at all.
fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop::sample::select(vec![1_u8, b' ', b'!', b'.', b'0', b'a', b'b', 0x80, 0xff]),
        1..6,
    )
    .prop_filter("not a name", |name| name != b"." && name != b"..")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn listings_come_whole_and_in_order(tree in prop::collection::btree_set(prop::collection::vec(name(), 1..5), 0..40)) {
        let home = tempfile::tempdir().unwrap();
        let mut expected = BTreeSet::new();
        for parts in &tree {
            let path = parts.iter().fold(home.path().to_owned(), |path, part| path.join(OsStr::from_bytes(part)));
            fs::create_dir_all(path).unwrap();
            for depth in 1..=parts.len() {
                expected.insert((parts[..depth - 1].join(&0), parts[..depth].join(&0)));
            }
        }
        let events = list(&options(home.path(), ""));
        let told: Vec<_> = offers(&events)
            .iter()
            .map(|offer| (offer.item.parent.as_bytes().to_vec(), offer.item.id.as_bytes().to_vec()))
            .collect();
        prop_assert_eq!(told, expected.into_iter().collect::<Vec<_>>());
        prop_assert!(matches!(events.first(), Some(Event::Begin(_))));
        prop_assert!(matches!(&events[events.len() - 2..], [Event::End(_), Event::Settled(..)]));
    }
}

#[test]
fn every_sort_of_entry_is_described() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root");
    fs::create_dir_all(root.join("folder/inner")).unwrap();
    fs::write(root.join("folder/file"), b"twelve bytes").unwrap();
    fs::hard_link(root.join("folder/file"), root.join("second name")).unwrap();
    symlink("no/where", root.join("link")).unwrap();
    rustix::fs::mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    fs::write(root.join(OsStr::from_bytes(b"\xff\n\xfe")), b"").unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    let time = Timespec { tv_sec: -5, tv_nsec: 123_456_789 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, root.join("link"), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();

    let events = list(&options(&root, ""));
    assert_eq!(
        paths(&events),
        [
            "folder",
            "link",
            "pipe",
            "second name",
            "sparse",
            "\u{fffd}\n\u{fffd}",
            "folder/file",
            "folder/inner"
        ]
    );
    let file = item(&events, "folder/file");
    assert_eq!((&file.kind, file.folder, file.name.as_bytes()), (&Kind::FILE, false, &b"file"[..]));
    assert_eq!(file.streams.len(), 1);
    assert_eq!((file.streams[0].name.as_str(), file.streams[0].size), ("content", Some(12)));
    let (first, second) =
        (file.posix.as_ref().unwrap(), item(&events, "second name").posix.as_ref().unwrap());
    assert!(first.link.is_some() && first.link == second.link);
    assert!(!first.sparse);

    let link = item(&events, "link");
    assert_eq!((&link.kind, link.streams.len()), (&Kind::SYMLINK, 0));
    assert_eq!(link.posix.as_ref().unwrap().target, b"no/where");
    let modified = link.modified.unwrap();
    assert_eq!((modified.seconds, modified.nanos), (-5, 123_456_789));

    let pipe = item(&events, "pipe");
    assert_eq!((&pipe.kind, pipe.posix.as_ref().unwrap().mode & 0o170_000), (&Kind::SPECIAL, 0o010_000));
    assert!(item(&events, "folder").folder && item(&events, "folder").streams.is_empty());
    assert!(
        item(&events, "folder").posix.as_ref().unwrap().link.is_none(),
        "a folder's `.` is no second name"
    );
    assert!(item(&events, "sparse").posix.as_ref().unwrap().sparse);
}

#[test]
fn tags_stay_until_a_file_changes() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("a"), b"a").unwrap();
    fs::write(home.path().join("b"), b"b").unwrap();
    let before = list(&options(home.path(), ""));
    fs::write(home.path().join("b"), b"longer").unwrap();
    let after = list(&options(home.path(), ""));
    assert_eq!(item(&before, "a"), item(&after, "a"));
    assert_ne!(item(&before, "b").tag, item(&after, "b").tag);
}

#[test]
fn a_large_folder_comes_in_bounded_batches() {
    let home = tempfile::tempdir().unwrap();
    for number in 0..10_000 {
        fs::write(home.path().join(format!("{number:05}")), b"").unwrap();
    }
    block_on(async {
        let (_, reader) = open(&options(home.path(), ""), ReaderMemory::new()).await;
        let batches = batches(&*reader).await;
        assert!(batches.len() >= 3);
        assert_eq!(batches.iter().map(|batch| offers(batch).len()).sum::<usize>(), 10_000);
    });
}

#[test]
fn a_path_too_long_for_any_call_is_unread_and_the_rest_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let long = "n".repeat(250);
    let mut folder = rustix::fs::open(home.path(), rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&folder, &long, Mode::RWXU).unwrap();
        folder = rustix::fs::openat(&folder, &long, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    fs::write(home.path().join("z"), b"").unwrap();
    let events = list(&options(home.path(), ""));
    assert_eq!(offers(&events).len(), 17, "16 folders fit, and the file");
    let unread: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Unread(unread) = event { Some(unread) } else { None })
        .collect();
    assert_eq!(unread.len(), 1);
    assert_eq!(unread[0].error.kind(), ErrorKind::Unsupported);
    assert!(unread[0].id.fits());
    assert!(matches!(events.last(), Some(Event::Settled(..))), "nothing that was ever told is hidden");
}

#[test]
fn exclusions_leave_out_folders_with_what_they_hold() {
    let home = tempfile::tempdir().unwrap();
    for path in ["a/target/x", "a/b.tmp", "a/keep.tmp", "c/cache/data", "c/false-cache/data"] {
        fs::create_dir_all(home.path().join(path).parent().unwrap()).unwrap();
        fs::write(home.path().join(path), b"").unwrap();
    }
    let signature = b"Signature: 8a477f597d28d172789f06886806bc55\n# more";
    fs::write(home.path().join("c/cache/CACHEDIR.TAG"), signature).unwrap();
    fs::write(home.path().join("c/false-cache/CACHEDIR.TAG"), b"Signature: none").unwrap();
    let more = r#","exclude": ["*.tmp", "!keep.tmp", "target/"], "exclude_caches": true"#;
    assert_eq!(
        paths(&list(&options(home.path(), more))),
        [
            "a",
            "c",
            "a/keep.tmp",
            "c/cache",
            "c/false-cache",
            "c/cache/CACHEDIR.TAG",
            "c/false-cache/CACHEDIR.TAG",
            "c/false-cache/data",
        ]
    );
    let anchored = format!(r#","exclude": ["{}/c/**", "/a"]"#, home.path().display());
    assert_eq!(
        paths(&list(&options(home.path(), &anchored))),
        ["a", "c", "a/b.tmp", "a/keep.tmp", "a/target", "a/target/x"]
    );
}

#[test]
fn a_root_keeps_its_own_mode_and_time_in_its_container() {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o2750)).unwrap();
    let container = block_on(open(&options(home.path(), ""), ReaderMemory::new())).0;
    let names: Vec<&str> = container.meta.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["posix.mode", "posix.uid", "posix.gid", "modified"]);
    assert_eq!(container.meta[0].1, Value::Int(0o042_750));
    assert!(container.path_ids);
    assert_eq!(container.id.as_bytes(), home.path().as_os_str().as_bytes());
    let parts: Vec<_> = container.path.iter().map(|part| part.display()).collect();
    assert_eq!(Path::new("/").join(parts.join("/")), home.path());
}

#[test]
fn the_source_keeps_its_contract() {
    let home = tempfile::tempdir().unwrap();
    for (folder, number) in ["a", "a/b", "c"].iter().zip(0..) {
        fs::create_dir_all(home.path().join(folder)).unwrap();
        fs::write(home.path().join(folder).join("file"), vec![7; number << 20]).unwrap();
    }
    symlink("a", home.path().join("link")).unwrap();
    let (a, c) = (home.path().join("a"), home.path().join("c"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    for roots in [vec![home.path()], vec![&a, &c]] {
        let options = format!(r#"{{"paths": {roots:?}}}"#);
        let report = runtime.block_on(check_source(&*source(&options))).unwrap();
        assert_eq!((report.containers, report.streams > 0), (roots.len(), true));
    }
}
