//! The threat model names the test that holds each promise: each is there, under the name that it gives.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Folders in which nothing is ours.
const FOREIGN: [&str; 3] = ["target", ".git", "golden"];

/// Every file of a kind below a folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() && !FOREIGN.contains(&name.as_ref()) {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let code: String = files(&root, "rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let defined: BTreeSet<&str> = code
        .split("fn ")
        .skip(1)
        .map(|after| {
            &after[..after.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_')).unwrap_or(0)]
        })
        .collect();
    // Names of tests are sentences.
    let is_test = |word: &&str| {
        let letters = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
        word.matches('_').count() >= 2 && word.chars().all(letters)
    };
    let named: BTreeSet<&str> = quoted(&model).filter(is_test).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<_> = named.difference(&defined).collect();
    assert!(missing.is_empty(), "docs/threat-model.md names tests that are not there: {missing:?}");
    let scripts = quoted(&model)
        .filter_map(|word| word.split(' ').next())
        .filter(|word| word.strip_suffix(".py").is_some());
    for script in scripts {
        let path = root.join("tests/acceptance").join(script.rsplit('/').next().unwrap());
        assert!(path.exists(), "docs/threat-model.md names {script}, which is not there");
    }
}
