//! A folder store beyond what every store is checked for: modes, what is left behind, what is no object.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, SystemTime},
};

use rustix::io::Errno;

use super::*;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new(name).unwrap()
}

fn open(root: &std::path::Path) -> LocalStore {
    LocalStore::open(root.to_owned(), format!("file://{}", root.display()))
}

#[test]
fn files_and_folders_are_for_this_user_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("deep/store");
    block_on(open(&root).put(&key("packs/ab/one"), Bytes::from_static(b"1"))).unwrap();
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(""), mode("packs"), mode("packs/ab"), mode("packs/ab/one")),
        (0o700, 0o700, 0o700, 0o600)
    );
}

#[test]
fn nothing_passing_is_listed_or_left_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let store = open(temporary.path());
    block_on(store.put(&key("one"), Bytes::from_static(b"1"))).unwrap();
    block_on(store.put_if_absent(&key("one"), Bytes::from_static(b"2"))).unwrap_err();
    block_on(store.put_if_absent(&key("two"), Bytes::from_static(b"2"))).unwrap();
    assert_eq!(fs::read_dir(temporary.path().join("~tmp")).unwrap().count(), 0);
    let page = block_on(store.list("", None)).unwrap();
    assert_eq!((page.objects.len(), page.folders.len()), (2, 0));
    assert_eq!(&*block_on(store.get(&key("one"))).unwrap(), b"1");
}

#[test]
fn what_the_dead_left_is_swept_after_a_day() {
    let temporary = tempfile::tempdir().unwrap();
    let passing = temporary.path().join("~tmp");
    fs::create_dir(&passing).unwrap();
    for (name, hours) in [("old", 25), ("young", 1)] {
        let file = fs::File::create(passing.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600)).unwrap();
    }
    block_on(open(temporary.path()).put(&key("one"), Bytes::new())).unwrap();
    assert!(!passing.join("old").exists() && passing.join("young").exists());
}

#[test]
fn foreign_entries_are_passed_over() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path();
    fs::write(root.join("good"), "1").unwrap();
    fs::write(root.join("not ours"), "1").unwrap();
    symlink("/nowhere", root.join("dangling")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let store = open(root);
    let page = block_on(store.list("", None)).unwrap();
    assert_eq!(page.objects.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(block_on(store.get(&key("pipe"))).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn an_object_cannot_be_a_folder_too() {
    let temporary = tempfile::tempdir().unwrap();
    let store = open(temporary.path());
    block_on(store.put(&key("a"), Bytes::new())).unwrap();
    let error = block_on(store.put(&key("a/b"), Bytes::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(block_on(store.get(&key("a/b"))).unwrap_err().kind(), ErrorKind::NotFound);
    block_on(store.put(&key("c/d"), Bytes::new())).unwrap();
    assert_eq!(block_on(store.put(&key("c"), Bytes::new())).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(block_on(store.get(&key("c"))).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let temporary = tempfile::tempdir().unwrap();
    let store = open(temporary.path());
    block_on(store.put(&key("a/b"), Bytes::new())).unwrap();
    fs::remove_dir_all(temporary.path().join("a")).unwrap();
    block_on(store.put(&key("a/b"), Bytes::new())).unwrap();
    block_on(store.head(&key("a/b"))).unwrap();
}

#[test]
fn errors_of_the_system_have_their_class() {
    let kind = |number| explain(io::Error::from_raw_os_error(number), "writing", "a", "file:///x").kind();
    let numbers = Errno::raw_os_error;
    assert_eq!(kind(numbers(Errno::NOSPC)), ErrorKind::Full);
    assert_eq!(kind(numbers(Errno::DQUOT)), ErrorKind::Full);
    assert_eq!(kind(numbers(Errno::ROFS)), ErrorKind::Denied);
    assert_eq!(kind(numbers(Errno::ACCESS)), ErrorKind::Denied);
    assert_eq!(kind(numbers(Errno::IO)), ErrorKind::Unavailable);
    assert_eq!(kind(numbers(Errno::STALE)), ErrorKind::Unavailable);
}
