//! `SNAPSHOT[:PATH]`, as the command line has it.

use std::str::FromStr;

/// A snapshot and perhaps a path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The beginning of an id, or `latest`.
    pub(super) snapshot: String,
    /// The path, `/`-separated; empty for everything.
    pub(super) path: String,
}

impl FromStr for Target {
    type Err = String;

    /// Everything up to the first `:` is the snapshot, the rest the path.
    fn from_str(text: &str) -> Result<Self, String> {
        let (snapshot, path) = text.split_once(':').unwrap_or((text, ""));
        let is_id = !snapshot.is_empty() && snapshot.bytes().all(|byte| byte.is_ascii_hexdigit());
        if snapshot != "latest" && !is_id {
            return Err("write SNAPSHOT or SNAPSHOT:PATH, where SNAPSHOT is the beginning of an id (`larder snapshots` lists them) or `latest`".to_owned());
        }
        Ok(Self { snapshot: snapshot.to_ascii_lowercase(), path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_and_path_are_told_apart() {
        let target = |text: &str| text.parse::<Target>().map(|target| (target.snapshot, target.path));
        assert_eq!(target("latest"), Ok(("latest".to_owned(), String::new())));
        assert_eq!(target("1A2b:/a:b"), Ok(("1a2b".to_owned(), "/a:b".to_owned())));
        for wrong in ["", ":/a", "home", "/a", "last:/a"] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
