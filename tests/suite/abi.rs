//! The handshake: what a host says to libraries that are no plugins for it, or not to be trusted.

use std::fs;

use larder::plugin::{CallLimits, Origin, PluginError, Registry};

use crate::support::plugins::{Installed, find, host};

const MISBEHAVING: &str = "larder_misbehaving";

fn refusal(suffix: &str) -> String {
    let installed = Installed::new(MISBEHAVING, suffix);
    let error = Registry::new().add_path(&installed.path, None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&installed.path.display().to_string()), "the file is not named: {text}");
    match std::error::Error::source(&error) {
        Some(cause) => format!("{text}: {cause}"),
        None => text,
    }
}

#[test]
fn lies_of_a_table_are_answered_precisely() {
    for (suffix, words) in [
        ("_abi", "it was built for plugin ABI 9.3, this program speaks 1.1"),
        ("_size", "its table has 32 bytes, where plugin ABI 1.1 needs 64"),
        ("_magic", "its entry returns no Larder plugin table"),
        ("_abort", "a panic ends the process"),
        ("_panics", "panicked: as told"),
        ("_garbage", "does not say who it is"),
        ("_nameless", "`../x` is no plugin name"),
    ] {
        let text = refusal(suffix);
        assert!(text.contains(words), "{suffix}: {text}");
    }
}

#[test]
fn a_plugin_of_a_later_minor_version_is_taken() {
    let installed = Installed::new(MISBEHAVING, "_larger");
    let registry = installed.load(CallLimits::default());
    let plugin = find(&registry, "misbehaving");
    assert_eq!(plugin.abi().to_string(), "1.7");
    plugin.source(r#"{"mode":"good"}"#, host()).unwrap().validate().unwrap();
}

#[test]
fn a_library_that_was_renamed_has_no_entry() {
    let text = refusal("_other");
    assert!(text.contains("`larder_plugin_larder_misbehaving_other`"), "{text}");
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let installed = Installed::new(MISBEHAVING, "");
    installed.set_mode(0o775);
    let error = Registry::new().add_path(&installed.path, None).unwrap_err();
    assert!(matches!(error, PluginError::Untrusted { .. }), "{error}");
}

#[test]
fn a_pin_must_be_the_files() {
    let installed = Installed::new(MISBEHAVING, "");
    let digest = blake3::hash(&fs::read(&installed.path).unwrap());
    let mut registry = Registry::new();
    let error = registry.add_path(&installed.path, Some(blake3::hash(b"another"))).unwrap_err();
    assert!(error.to_string().contains(digest.to_hex().as_str()), "{error}");
    registry.add_path(&installed.path, Some(digest)).unwrap();
    let origin = find(&registry, "misbehaving").origin().clone();
    assert_eq!(origin, Origin::File { path: fs::canonicalize(&installed.path).unwrap(), digest });
}

#[test]
fn a_folder_is_searched_and_what_is_bad_in_it_is_told() {
    let installed = Installed::new(MISBEHAVING, "");
    fs::write(installed.folder().join("libjunk.so"), b"no library").unwrap();
    fs::write(installed.folder().join("README"), b"no library either").unwrap();
    let mut registry = Registry::new();
    let failed = registry.search(&[installed.folder(), installed.folder().join("missing")]);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].0.ends_with("libjunk.so"));
    assert!(registry.list().iter().any(|plugin| plugin.info.name == "misbehaving"));
    let error = registry.find("missing").unwrap_err();
    assert!(error.to_string().contains("misbehaving"), "{error}");
}
