//! Trees written into temporary directories, among them those of someone who wants more than a restore.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
};

use larder_sdk::{Container, ContainerId, Item, ItemId, Kind, Posix, StreamInfo, Tag, Time, Value};
use rustix::io::Errno;

use super::*;

const TIME: Time = Time { seconds: 1_000_000_000, nanos: 123_456_789 };

fn item(kind: Kind, mode: u32) -> Item {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Item {
        id: ItemId::from("id"),
        parent: ItemId::default(),
        name: Name::default(),
        folder: kind == Kind::FOLDER,
        streams: if kind == Kind::FILE { vec![StreamInfo::content("", None)] } else { Vec::new() },
        kind,
        tag: Tag::default(),
        modified: Some(TIME),
        posix: Some(Posix { mode, uid, gid, ..Posix::default() }),
        meta: Vec::new(),
    }
}

fn file_item() -> Item {
    item(Kind::FILE, 0o100_640)
}

fn names(path: &str) -> Vec<Name> {
    path.split('/').map(Name::from).collect()
}

fn target(root: &Path, overwrite: Overwrite) -> (DirectoryTarget, ContainerTarget) {
    let target =
        DirectoryTarget::create(root, &DirectoryOptions::default().with_overwrite(overwrite)).unwrap();
    let container = target.container();
    (target, container)
}

fn writer(container: &ContainerTarget, path: &[Name], item: &Item) -> FileWriter {
    match container.file(path, item, "content").unwrap() {
        FileTarget::Write(plan) => plan.begin().unwrap(),
        FileTarget::Done(outcome) => panic!("{outcome:?}"),
    }
}

fn write(container: &ContainerTarget, path: &str, item: &Item, bytes: &[u8]) -> Result<Outcome> {
    write_stream(container, &names(path), item, "content", bytes)
}

fn write_stream(
    container: &ContainerTarget,
    path: &[Name],
    item: &Item,
    stream: &str,
    bytes: &[u8],
) -> Result<Outcome> {
    match container.file(path, item, stream)? {
        FileTarget::Write(plan) => {
            let mut writer = plan.begin()?;
            writer.write(bytes)?;
            writer.finish()
        }
        FileTarget::Done(outcome) => Ok(outcome),
    }
}

fn assert_time(path: &Path) {
    let meta = fs::symlink_metadata(path).unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (TIME.seconds, i64::from(TIME.nanos)), "{path:?}");
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_tree_comes_back_with_modes_and_times() {
    let home = tempfile::tempdir().unwrap();
    let (target, container) = target(home.path(), Overwrite::Never);
    assert_eq!(container.folder(&names("a"), &item(Kind::FOLDER, 0o040_500)).unwrap(), Outcome::Written);
    assert_eq!(container.folder(&names("a/b"), &item(Kind::FOLDER, 0o043_711)).unwrap(), Outcome::Written);
    assert_eq!(
        write(&container, "a/b/file", &item(Kind::FILE, 0o104_755), b"bytes").unwrap(),
        Outcome::Written
    );
    let mut link = item(Kind::SYMLINK, 0o120_777);
    link.posix.as_mut().unwrap().target = b"../nowhere\xff".to_vec();
    container.special(&names("a/link"), &link).unwrap();
    container.special(&names("a/pipe"), &item(Kind::SPECIAL, 0o010_666)).unwrap();
    container.special(&names("a/socket"), &item(Kind::SPECIAL, 0o140_600)).unwrap();
    assert_eq!(mode(&home.path().join("a")), 0o700, "until the end");
    let finished = target.finish();
    assert!(finished.problems.is_empty() && finished.renamed.is_empty(), "{finished:?}");
    assert_eq!(finished.folders, 2);

    for (path, bits) in
        [("a", 0o500), ("a/b", 0o3711), ("a/b/file", 0o4755), ("a/pipe", 0o666), ("a/socket", 0o600)]
    {
        assert_eq!(mode(&home.path().join(path)), bits, "{path}");
        assert_time(&home.path().join(path));
    }
    assert_time(&home.path().join("a/link"));
    assert_eq!(fs::read_link(home.path().join("a/link")).unwrap().as_os_str().as_bytes(), b"../nowhere\xff");
    assert!(fs::metadata(home.path().join("a/pipe")).unwrap().file_type().is_fifo());
    assert!(fs::metadata(home.path().join("a/socket")).unwrap().file_type().is_socket());
    assert_eq!(fs::read(home.path().join("a/b/file")).unwrap(), b"bytes");
    assert_eq!(entries(home.path()), ["a"], "nothing temporary stays");
}

#[test]
fn owners_come_back_if_asked_and_set_id_bits_only_with_them() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut theirs = item(Kind::FILE, 0o106_755);
    theirs.posix.as_mut().unwrap().uid = 12345;
    theirs.posix.as_mut().unwrap().gid = 54321;
    for owners in [true, false] {
        let options = DirectoryOptions::default().with_owners(owners).with_overwrite(Overwrite::Always);
        let target = DirectoryTarget::create(home.path(), &options).unwrap();
        write(&target.container(), "file", &theirs, b"x").unwrap();
        let meta = fs::metadata(home.path().join("file")).unwrap();
        let expected = if owners { (12345, 54321, 0o6755) } else { (0, 0, 0o755) };
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), expected);
    }
}

#[test]
fn a_containers_root_gets_what_the_container_knows_of_it() {
    let home = tempfile::tempdir().unwrap();
    let (target, place) = target(home.path(), Overwrite::Never);
    let container = Container {
        id: ContainerId::from("/srv"),
        path: names("srv"),
        kind: Kind::new("directory"),
        title: String::new(),
        path_ids: true,
        meta: vec![
            ("posix.mode".into(), Value::Int(0o041_755)),
            ("posix.uid".into(), Value::Int(rustix::process::geteuid().as_raw().into())),
            ("posix.gid".into(), Value::Int(rustix::process::getegid().as_raw().into())),
            ("modified".into(), Value::Time(TIME)),
        ],
    };
    place.root(&container.path, &container).unwrap();
    write(&place, "srv/file", &file_item(), b"x").unwrap();
    place.root(&[], &container).unwrap();
    assert_eq!(target.finish().folders, 2);
    assert_eq!(mode(&home.path().join("srv")), 0o1755);
    assert_time(&home.path().join("srv"));
    assert_time(home.path());
}

#[test]
fn names_that_attack_stay_inside() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root");
    let (target, container) = target(&root, Overwrite::Always);
    let attacks: [&[&[u8]]; 6] = [
        &[b"..", b"out"],
        &[b"../out"],
        &[b"/etc/out"],
        &[b"a", b"..", b"..", b"out"],
        &[b".", b"out\0more"],
        &[b""],
    ];
    for attack in attacks {
        let path: Vec<Name> = attack.iter().map(|&name| Name::new(name)).collect();
        write_stream(&container, &path, &file_item(), "content", b"x").unwrap();
    }
    for stream in ["attachment/../../out", "version/..", "../out", "attachment/", "/"] {
        write_stream(&container, &names("mail.eml"), &file_item(), stream, b"x").unwrap();
    }
    let renamed = target.finish().renamed;
    assert!(
        renamed.iter().any(|(name, path)| name.as_bytes() == b"../out" && *path == root.join("..%{2F}out"))
    );
    assert_eq!(entries(home.path()), ["root"]);
    assert_eq!(
        entries(&root),
        [
            "%{2E}",
            "%{2E}.",
            "%{2F}etc%{2F}out",
            "%{}",
            "..%{2F}out",
            "a",
            "mail.eml.%{2F}",
            "mail.eml...%{2F}out",
            "mail.eml.attachments",
            "mail.eml.versions",
        ]
    );
    assert_eq!(entries(&root.join("mail.eml.attachments")), ["%{}", "..%{2F}..%{2F}out"]);
    assert_eq!(entries(&root.join("mail.eml.versions")), ["%{2E}."]);
    assert!(write_stream(&container, &[], &file_item(), "content", b"x").is_err(), "the root is no file");
}

#[test]
fn planted_links_are_never_followed() {
    for overwrite in [Overwrite::Never, Overwrite::Changed, Overwrite::Always] {
        let home = tempfile::tempdir().unwrap();
        let (root, outside) = (home.path().join("root"), home.path().join("outside"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("file"), b"theirs").unwrap();
        fs::set_permissions(outside.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&outside, root.join("folder")).unwrap();
        symlink(&outside, root.join("other")).unwrap();
        symlink(outside.join("file"), root.join("file")).unwrap();
        symlink(outside.join("new"), root.join("dangling")).unwrap();
        symlink(outside.join("file"), root.join("pipe")).unwrap();

        let (target, container) = target(&root, overwrite);
        let in_folder = write(&container, "folder/new", &file_item(), b"ours");
        let folder = container.folder(&names("other"), &item(Kind::FOLDER, 0o040_777));
        let file = write(&container, "file", &file_item(), b"ours").unwrap();
        let dangling = write(&container, "dangling", &file_item(), b"ours").unwrap();
        container.special(&names("pipe"), &item(Kind::SPECIAL, 0o010_666)).unwrap();
        target.finish();

        assert_eq!(entries(&outside), ["file"], "{overwrite:?}");
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"theirs");
        assert_eq!(mode(&outside.join("file")), 0o600);
        if overwrite == Overwrite::Never {
            assert_eq!(in_folder.unwrap_err().kind(), RestoreErrorKind::InTheWay);
            assert_eq!(folder.unwrap_err().kind(), RestoreErrorKind::InTheWay);
            assert_eq!((file, dangling), (Outcome::Kept, Outcome::Kept));
        } else {
            assert!(in_folder.is_ok() && folder.is_ok());
            assert_eq!((file, dangling), (Outcome::Written, Outcome::Written));
            assert!(fs::symlink_metadata(root.join("file")).unwrap().is_file());
        }
    }
}

#[test]
fn a_link_planted_during_the_restore_is_not_followed_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let (root, outside) = (home.path().join("root"), home.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    let before = mode(&outside);
    let (target, container) = target(&root, Overwrite::Always);
    container.folder(&names("folder"), &item(Kind::FOLDER, 0o040_777)).unwrap();
    fs::remove_dir(root.join("folder")).unwrap();
    symlink(&outside, root.join("folder")).unwrap();
    let finished = target.finish();
    assert_eq!((finished.folders, finished.problems.len()), (0, 1));
    assert_eq!(finished.problems[0].kind(), RestoreErrorKind::Attributes);
    assert_eq!(mode(&outside), before);
}

#[test]
fn what_is_there_is_treated_as_told() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let mut sized = file_item();
    sized.streams[0].size = Some(4);
    let run = |overwrite, bytes: &[u8]| {
        let (target, container) = target(home.path(), overwrite);
        let outcome = write(&container, "file", &sized, bytes).unwrap();
        target.finish();
        (outcome, fs::read(&path).unwrap())
    };
    assert_eq!(run(Overwrite::Never, b"one."), (Outcome::Written, b"one.".to_vec()));
    assert_eq!(run(Overwrite::Never, b"two."), (Outcome::Kept, b"one.".to_vec()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(run(Overwrite::Changed, b"two."), (Outcome::Kept, b"one.".to_vec()));
    assert_eq!(mode(&path), 0o640, "only the mode was another");
    assert_eq!(run(Overwrite::Always, b"two."), (Outcome::Written, b"two.".to_vec()));
    fs::write(&path, b"new.").unwrap();
    assert_eq!(run(Overwrite::Changed, b"two."), (Outcome::Written, b"two.".to_vec()), "another time");
    assert_time(&path);
}

#[test]
fn folders_with_something_in_them_are_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("full/inner")).unwrap();
    fs::create_dir_all(home.path().join("empty")).unwrap();
    let (_target, container) = target(home.path(), Overwrite::Always);
    assert_eq!(write(&container, "full", &file_item(), b"x").unwrap_err().kind(), RestoreErrorKind::InTheWay);
    assert_eq!(write(&container, "empty", &file_item(), b"x").unwrap(), Outcome::Written);
    assert_eq!(entries(home.path()), ["empty", "full"]);
}

#[test]
fn names_of_one_file_become_one_file() {
    let home = tempfile::tempdir().unwrap();
    let (target, container) = target(home.path(), Overwrite::Changed);
    let mut linked = file_item();
    linked.posix.as_mut().unwrap().link = Some((1, 2));
    let mut first = writer(&container, &names("first"), &linked);
    assert_eq!(
        write(&container, "early", &linked, b"").unwrap(),
        Outcome::Linked,
        "while the first is being written"
    );
    first.write(b"content").unwrap();
    assert_eq!(first.finish().unwrap(), Outcome::Written);
    assert_eq!(write(&container, "sub/late", &linked, b"").unwrap(), Outcome::Linked);
    let other = target.container();
    assert_eq!(write(&other, "another container's", &linked, b"other").unwrap(), Outcome::Written);
    assert_eq!(write(&container, "early", &linked, b"").unwrap(), Outcome::Kept, "it is one with the first");
    fs::write(home.path().join("stale"), b"stale").unwrap();
    assert_eq!(write(&container, "stale", &linked, b"").unwrap(), Outcome::Linked);

    let inode = |path: &str| fs::metadata(home.path().join(path)).unwrap().ino();
    for path in ["early", "sub/late", "stale"] {
        assert_eq!(inode(path), inode("first"), "{path}");
    }
    assert_ne!(inode("another container's"), inode("first"));
    assert!(target.finish().problems.is_empty());
}

#[test]
fn names_that_wait_for_a_file_that_fails_are_told() {
    let home = tempfile::tempdir().unwrap();
    let (target, container) = target(home.path(), Overwrite::Changed);
    let mut linked = file_item();
    linked.posix.as_mut().unwrap().link = Some((1, 2));
    let first = writer(&container, &names("first"), &linked);
    write(&container, "second", &linked, b"").unwrap();
    drop(first);
    assert_eq!(
        write(&container, "third", &linked, b"x").unwrap(),
        Outcome::Written,
        "the next is a first one again"
    );
    let finished = target.finish();
    assert_eq!(finished.problems.len(), 1);
    assert_eq!(finished.problems[0].path(), home.path().join("second"));
    assert_eq!(entries(home.path()), ["third"]);
}

#[test]
fn zeros_of_a_sparse_file_become_holes() {
    let home = tempfile::tempdir().unwrap();
    let (_target, container) = target(home.path(), Overwrite::Never);
    let mut sparse = file_item();
    sparse.posix.as_mut().unwrap().sparse = true;
    let mut bytes = vec![0; 3_000_001];
    bytes[1_000_000..1_000_010].fill(7);
    let mut writer = writer(&container, &names("sparse"), &sparse);
    for piece in bytes.chunks(100_003) {
        writer.write(piece).unwrap();
    }
    assert_eq!(writer.length(), 3_000_001);
    writer.finish().unwrap();
    let path = home.path().join("sparse");
    assert!(fs::read(&path).unwrap() == bytes);
    let meta = fs::metadata(&path).unwrap();
    assert!(meta.blocks() * 512 < 100_000, "{} blocks", meta.blocks());
}

#[test]
fn streams_lie_beside_each_other_with_default_modes() {
    let home = tempfile::tempdir().unwrap();
    let (target, container) = target(home.path(), Overwrite::Never);
    let mut mail = file_item();
    mail.posix = None;
    let mut list = item(Kind::LIST, 0);
    (list.posix, list.folder) = (None, true);
    let mail_path = names("Inbox/Hello.eml");
    for stream in ["content", "attachment/a.pdf", "version/1.0", "properties.json"] {
        write_stream(&container, &mail_path, &mail, stream, stream.as_bytes()).unwrap();
    }
    container.folder(&names("Tasks"), &list).unwrap();
    write_stream(&container, &names("Tasks"), &list, "content", b"schema").unwrap();
    target.finish();
    let inbox = home.path().join("Inbox");
    assert_eq!(
        entries(&inbox),
        ["Hello.eml", "Hello.eml.attachments", "Hello.eml.properties.json", "Hello.eml.versions"]
    );
    assert_eq!(fs::read(inbox.join("Hello.eml.attachments/a.pdf")).unwrap(), b"attachment/a.pdf");
    assert_eq!(fs::read(inbox.join("Hello.eml.versions/1.0")).unwrap(), b"version/1.0");
    assert_eq!(fs::read(home.path().join("Tasks.content")).unwrap(), b"schema");
    for path in ["Inbox/Hello.eml", "Inbox/Hello.eml.attachments/a.pdf", "Tasks"] {
        assert_time(&home.path().join(path));
    }
    fs::write(home.path().join("as the user makes it"), b"").unwrap();
    assert_eq!(mode(&inbox.join("Hello.eml")), mode(&home.path().join("as the user makes it")));
}

#[test]
fn a_full_disk_is_named_as_that() {
    let error = RestoreError::new("writing", "/a".into(), Errno::NOSPC);
    assert_eq!(error.kind(), RestoreErrorKind::Full);
    assert_eq!(error.of_attributes().kind(), RestoreErrorKind::Full);
}

#[test]
fn long_paths_and_long_names_are_written() {
    let home = tempfile::tempdir().unwrap();
    let (target, container) = target(home.path(), Overwrite::Never);
    let mut path = vec![Name::from("n".repeat(200)); 25];
    path.push(Name::from(format!("{}.eml", "m".repeat(300))));
    container.folder(&path[..25], &item(Kind::FOLDER, 0o040_755)).unwrap();
    write_stream(&container, &path, &file_item(), "content", b"deep").unwrap();
    let finished = target.finish();
    assert_eq!((finished.folders, finished.problems.len(), finished.renamed.len()), (1, 0, 1));
    assert_eq!(finished.renamed[0].0, path[25]);
}

#[test]
fn many_threads_may_write() {
    let home = tempfile::tempdir().unwrap();
    let (target, container) = target(home.path(), Overwrite::Never);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let container = container.clone();
            scope.spawn(move || {
                for number in 0..200 {
                    let mut linked = file_item();
                    linked.posix.as_mut().unwrap().link = Some((0, number % 20));
                    let path = format!("{}/{}/{thread}-{number}", number % 7, number % 3);
                    write(&container, &path, &linked, format!("{}", number % 20).as_bytes()).unwrap();
                }
            });
        }
    });
    assert!(target.finish().problems.is_empty());
    let mut inodes = std::collections::BTreeSet::new();
    for thread in 0..4 {
        for number in 0..200_u64 {
            let path = home.path().join(format!("{}/{}/{thread}-{number}", number % 7, number % 3));
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}", number % 20));
            inodes.insert(fs::metadata(&path).unwrap().ino());
        }
    }
    assert_eq!(inodes.len(), 20);
}

/// What stands in a folder that a restore made, while a file in it is being written and after that fails.
#[test]
fn in_a_folder_of_its_own_a_file_is_written_under_its_own_name_and_removed_if_it_fails() {
    let home = tempfile::tempdir().unwrap();
    let (_target, container) = target(home.path(), Overwrite::Changed);
    container.folder(&names("new"), &item(Kind::FOLDER, 0o040_755)).unwrap();
    let new = home.path().join("new");
    let mut half = writer(&container, &names("new/file"), &file_item());
    half.write(b"half").unwrap();
    assert_eq!(entries(&new), ["file"]);
    assert_eq!(mode(&new.join("file")), 0o600, "nobody else reads it before it is whole");
    drop(half);
    assert!(entries(&new).is_empty());

    let half = writer(&container, &names("new/file"), &file_item());
    fs::rename(new.join("file"), new.join("moved")).unwrap();
    fs::write(new.join("file"), b"theirs").unwrap();
    drop(half);
    assert_eq!(fs::read(new.join("file")).unwrap(), b"theirs", "it is not ours to remove");
}

#[test]
fn what_others_put_into_a_new_folder_is_replaced_whole_or_kept() {
    for overwrite in [Overwrite::Never, Overwrite::Changed] {
        let home = tempfile::tempdir().unwrap();
        let (_target, container) = target(home.path(), overwrite);
        container.folder(&names("new"), &item(Kind::FOLDER, 0o040_755)).unwrap();
        let path = home.path().join("new/file");
        fs::write(&path, b"theirs").unwrap();
        let mut ours = writer(&container, &names("new/file"), &file_item());
        ours.write(b"ours").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"theirs", "it stays whole until it is replaced");
        let (outcome, content) = match overwrite {
            Overwrite::Never => (Outcome::Kept, &b"theirs"[..]),
            _ => (Outcome::Written, &b"ours"[..]),
        };
        assert_eq!(ours.finish().unwrap(), outcome);
        assert_eq!(fs::read(&path).unwrap(), content);
        assert_eq!(entries(&home.path().join("new")), ["file"]);
    }
}

#[test]
fn what_a_killed_restore_leaves_is_written_again() {
    let home = tempfile::tempdir().unwrap();
    let (_target, container) = target(home.path(), Overwrite::Changed);
    let mut sized = file_item();
    sized.streams[0].size = Some(4);
    container.folder(&names("new"), &item(Kind::FOLDER, 0o040_755)).unwrap();
    let mut killed = writer(&container, &names("new/file"), &sized);
    killed.write(b"ha").unwrap();
    killed.write(b"lf").unwrap();
    std::mem::forget(killed);
    let (_target, again) = target(home.path(), Overwrite::Changed);
    assert_eq!(write(&again, "new/file", &sized, b"full").unwrap(), Outcome::Written);
    assert_eq!(fs::read(home.path().join("new/file")).unwrap(), b"full");

    // A restore that keeps whatever is there never leaves a piece under a file's own name.
    let (_target, careful) = target(home.path(), Overwrite::Never);
    careful.folder(&names("other"), &item(Kind::FOLDER, 0o040_755)).unwrap();
    let mut killed = writer(&careful, &names("other/file"), &sized);
    killed.write(b"half").unwrap();
    assert!(!home.path().join("other/file").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_restore_leaves_what_was_there_and_no_other_names() {
    use rustix::fs::{Mode, OFlags};
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("there"), "before").unwrap();
    let nameless =
        rustix::fs::open(home.path(), OFlags::TMPFILE | OFlags::WRONLY, Mode::from_raw_mode(0o600)).is_ok();
    let (_target, container) = target(home.path(), Overwrite::Changed);
    let mut half = writer(&container, &names("there"), &file_item());
    half.write(b"aft").unwrap();
    // A process that is killed drops nothing.
    std::mem::forget(half);
    assert_eq!(fs::read(home.path().join("there")).unwrap(), b"before");
    assert_eq!(entries(home.path()).len(), if nameless { 1 } else { 2 });
    assert_eq!(write(&container, "there", &file_item(), b"after").unwrap(), Outcome::Written);
    assert_eq!(write(&container, "beside", &file_item(), b"new").unwrap(), Outcome::Written);
    assert_eq!(fs::read(home.path().join("there")).unwrap(), b"after");
    let visible: Vec<_> =
        entries(home.path()).into_iter().filter(|name| !name.starts_with(".larder-")).collect();
    assert_eq!(visible, ["beside", "there"]);
    assert_time(&home.path().join("there"));
}
