//! What cannot be read is told, and told again, and stops nothing.

use std::{fs, os::unix::fs::PermissionsExt};

use larder_sdk::{ErrorKind, Name};

use super::*;

/// Runs on a thread that has given up root's right to read everything, so that modes count for root too.
fn without_rights(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let reads_all = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        let mut sets = capabilities(None).unwrap();
        sets.effective -= reads_all;
        set_capabilities(None, sets).unwrap();
        work();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn unread(events: &[Event]) -> Vec<(String, ErrorKind)> {
    let unread =
        events.iter().filter_map(|event| if let Event::Unread(unread) = event { Some(unread) } else { None });
    unread.map(|unread| (unread.id.display().replace('\0', "/"), unread.error.kind())).collect()
}

#[test]
fn a_folder_that_cannot_be_listed_hides_nothing() {
    without_rights(|| {
        let home = tempfile::tempdir().unwrap();
        for (folder, mode) in [("closed", 0), ("no-search", 0o600), ("no-list", 0o300), ("open", 0o700)] {
            fs::create_dir(home.path().join(folder)).unwrap();
            fs::write(home.path().join(folder).join("file"), b"").unwrap();
            fs::set_permissions(home.path().join(folder), fs::Permissions::from_mode(mode)).unwrap();
        }
        let events = list(&options(home.path(), ""));
        for folder in ["closed", "no-search", "no-list"] {
            fs::set_permissions(home.path().join(folder), fs::Permissions::from_mode(0o700)).unwrap();
        }
        assert_eq!(paths(&events), ["open", "open/file"]);
        let denied = ["closed", "no-list", "no-search"].map(|path| (path.to_owned(), ErrorKind::Denied));
        assert_eq!(unread(&events), denied);
        let told_end = events.iter().any(|event| matches!(event, Event::End(_) | Event::Settled(..)));
        assert!(!told_end, "the engine would drop what those folders held");
    });
}

#[test]
fn a_file_that_cannot_be_opened_is_denied_when_opened() {
    without_rights(|| {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), b"x").unwrap();
        fs::set_permissions(home.path().join("file"), fs::Permissions::from_mode(0o000)).unwrap();
        block_on(async {
            let (_, reader) = open(&options(home.path(), ""), ReaderMemory::new()).await;
            let events = events(&*reader).await;
            assert!(unread(&events).is_empty());
            let error = content(&*reader, offers(&events)[0]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied);
            assert!(error.message().contains("file"), "{error}");
        });
    });
}

#[test]
fn what_is_owed_is_told_first() {
    without_rights(|| {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("back"), b"").unwrap();
        fs::write(home.path().join("out.tmp"), b"").unwrap();
        fs::create_dir(home.path().join("shut")).unwrap();
        fs::set_permissions(home.path().join("shut"), fs::Permissions::from_mode(0o000)).unwrap();
        let owed = |id: &str| Owed {
            id: ItemId::from(id.replace('/', "\0")),
            parent: ItemId::default(),
            name: Name::from(id),
            scope: ScopeId::default(),
            tries: 1,
        };
        let mut debts: Vec<Owed> = (0..600).map(|number| owed(&format!("gone{number:03}"))).collect();
        debts.insert(0, owed("back"));
        debts.extend([owed("out.tmp"), owed("shut"), owed("shut/inner")]);
        let memory = ReaderMemory::new();
        for debt in debts {
            memory.owe(debt);
        }
        let events = block_on(async {
            let (_, reader) = open(&options(home.path(), r#","exclude": ["*.tmp"]"#), memory).await;
            events(&*reader).await
        });
        fs::set_permissions(home.path().join("shut"), fs::Permissions::from_mode(0o700)).unwrap();
        let begin = events.iter().position(|event| matches!(event, Event::Begin(_))).unwrap();
        let (first, listing) = events.split_at(begin);
        assert_eq!(paths(first), ["back"]);
        let deleted = first.iter().filter(|event| matches!(event, Event::Deleted(_))).count();
        assert_eq!(deleted, 601, "the 600 that are gone and the one now excluded");
        let shut = ["shut", "shut/inner"].map(|path| (path.to_owned(), ErrorKind::Denied));
        assert_eq!(unread(first), shut);
        assert_eq!(paths(listing), ["back"]);
    });
}

#[test]
fn a_root_that_cannot_be_listed_is_an_error_of_its_container() {
    without_rights(|| {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o000)).unwrap();
        block_on(async {
            let source = source(&options(&root, ""));
            let container = source.discover().await.unwrap().containers.remove(0);
            let error = source.read(&container, ReaderHost::new(ReaderMemory::new())).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Denied);
            fs::remove_dir(&root).unwrap();
            let error = source.read(&container, ReaderHost::new(ReaderMemory::new())).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        });
    });
}
