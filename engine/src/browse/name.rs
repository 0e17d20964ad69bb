//! How names look to people, and which of equal names is which.

use std::{collections::HashMap, fmt::Write as _};

use larder_sdk::{ItemId, Name};

use crate::error::{EngineError, Result};

/// A name as text: UTF-8 as it is, other bytes as `\xNN`. Paths are compared in this form.
pub fn display_name(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// The parts of a path like `/exchange/ann@contoso.com/Inbox`; empty for the top.
pub fn split_path(path: &str) -> Result<Vec<String>> {
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if parts.iter().any(|part| part == "." || part == "..") {
        return Err(EngineError::usage(format!("`{path}` is no path in a snapshot: it has `.` or `..`")));
    }
    Ok(parts)
}

/// Tells equal names in one folder apart: each of them gets a few digits from its item's id, the same in every snapshot.
#[derive(Default)]
pub(super) struct Doubles(HashMap<u64, bool>);

impl Doubles {
    /// Notes a name that the folder has.
    pub(super) fn note(&mut self, name: &[u8]) {
        self.0.entry(fingerprint(name)).and_modify(|double| *double = true).or_insert(false);
    }

    /// The name to show.
    pub(super) fn name(&self, name: &Name, id: &ItemId) -> Name {
        if self.0.get(&fingerprint(name.as_bytes())) == Some(&true) {
            distinct(name, id)
        } else {
            name.clone()
        }
    }
}

fn fingerprint(name: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(name).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// `report.txt` becomes `report~1f09ab.txt`.
pub(super) fn distinct(name: &Name, id: &ItemId) -> Name {
    let suffix = format!("~{}", &blake3::hash(id.as_bytes()).to_hex()[..6]);
    let bytes = name.as_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0).unwrap_or(bytes.len());
    Name::new([&bytes[..at], suffix.as_bytes(), &bytes[at..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_names_get_a_suffix_and_it_keeps_the_extension() {
        let mut doubles = Doubles::default();
        for name in ["a.txt", "a.txt", "b", ".c", ".c"] {
            doubles.note(name.as_bytes());
        }
        let shown =
            |name: &str, id: &str| doubles.name(&Name::from(name), &ItemId::from(id)).display().into_owned();
        assert_eq!(shown("b", "1"), "b");
        assert_ne!(shown("a.txt", "1"), shown("a.txt", "2"));
        assert!(shown("a.txt", "1").starts_with("a~") && shown("a.txt", "1").strip_suffix(".txt").is_some());
        assert!(shown(".c", "1").starts_with(".c~"));
        assert_eq!(display_name(b"a\xffb"), "a\\xffb");
    }
}
