//! Which containers the options give, and what `validate` finds.

use std::{fs, os::unix::fs::symlink};

use larder_sdk::{ErrorKind, FindingLevel};

use super::*;

fn options_of(paths: &[&Path]) -> String {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    format!(r#"{{"paths": {}}}"#, serde_json::to_string(&paths).unwrap())
}

#[test]
fn single_files_share_a_container_for_their_directory() {
    let home = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::write(home.path().join(name), name).unwrap();
    }
    symlink("a", home.path().join("link")).unwrap();
    let (b, link) = (home.path().join("b"), home.path().join("link"));
    let (container, events) = block_on(async {
        let (container, reader) = open(&options_of(&[&link, &b]), ReaderMemory::new()).await;
        (container, events(&*reader).await)
    });
    assert_eq!(container.title, home.path().to_str().unwrap());
    assert_eq!(paths(&events), ["b", "link"]);
    assert!(matches!(events.last(), Some(Event::Settled(..))));
}

#[test]
fn containers_inside_one_another_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let (file, folder) = (home.path().join("file"), home.path().join("folder"));
    fs::write(&file, b"").unwrap();
    fs::create_dir(&folder).unwrap();
    let error = block_on(source(&options_of(&[&file, &folder])).discover()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("folder") && error.hint().is_some(), "{error}");
}

#[test]
fn a_missing_path_is_found_and_the_others_stay() {
    let home = tempfile::tempdir().unwrap();
    let (here, missing) = (home.path().join("here"), home.path().join("missing"));
    fs::create_dir(&here).unwrap();
    let source = source(&options_of(&[&here, &missing]));
    let discovery = block_on(source.discover()).unwrap();
    assert_eq!(discovery.containers.len(), 1);
    assert_eq!(discovery.findings[0].code, "path-missing");
    let findings = block_on(source.validate()).unwrap();
    let levels: Vec<_> = findings.iter().take(2).map(|finding| finding.level).collect();
    assert_eq!(levels, [FindingLevel::Good, FindingLevel::Error]);
    let warned = findings.iter().any(|finding| finding.code == "not-root");
    assert_eq!(warned, !rustix::process::geteuid().is_root());
}

#[test]
fn a_container_of_another_set_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let mut container = block_on(open(&options_of(&[home.path()]), ReaderMemory::new())).0;
    container.id = "/".into();
    let reader =
        block_on(source(&options_of(&[home.path()])).read(&container, ReaderHost::new(ReaderMemory::new())));
    assert_eq!(reader.err().unwrap().kind(), ErrorKind::NotFound);
}
