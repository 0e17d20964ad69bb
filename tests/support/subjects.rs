//! What the conformance suite is run on, each with something to read or a place to write.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

/// A plugin's name, its options, and what they point at for as long as this lives.
pub struct Subject {
    pub name: &'static str,
    pub krate: &'static str,
    pub options: String,
    _place: Option<TempDir>,
}

/// The sources.
pub fn sources() -> Vec<Subject> {
    let place = tempfile::tempdir().unwrap();
    for root in ["one", "two"] {
        let folder = place.path().join(root).join("a folder/with another");
        fs::create_dir_all(&folder).unwrap();
        for number in 0..40_usize {
            fs::write(folder.join(format!("file {number}")), vec![number as u8; number * 997]).unwrap();
        }
        fs::write(place.path().join(root).join("large"), vec![7; 3 << 20]).unwrap();
        fs::write(place.path().join(root).join("empty"), b"").unwrap();
        std::os::unix::fs::symlink("large", place.path().join(root).join("link")).unwrap();
    }
    let paths = [place.path().join("one"), place.path().join("two")];
    vec![
        Subject {
            name: "files",
            krate: "larder_files",
            options: json!({ "paths": paths }).to_string(),
            _place: Some(place),
        },
        Subject { name: "misbehaving", krate: "larder_misbehaving", options: good(), _place: None },
    ]
}

/// The destinations.
pub fn destinations() -> Vec<Subject> {
    let options = json!({ "url": "memory:", "options": { "mode": "good" } }).to_string();
    let place = tempfile::tempdir().unwrap();
    let folder = json!({ "url": format!("file://{}/repository", place.path().display()), "options": {} });
    let memory = json!({ "url": "memory:///conformance", "options": {} });
    let object_store = |options: serde_json::Value, place| Subject {
        name: "object-store",
        krate: "larder_object_store",
        options: options.to_string(),
        _place: place,
    };
    vec![
        object_store(folder, Some(place)),
        object_store(memory, None),
        Subject { name: "misbehaving", krate: "larder_misbehaving", options, _place: None },
    ]
}

fn good() -> String {
    json!({ "mode": "good" }).to_string()
}
