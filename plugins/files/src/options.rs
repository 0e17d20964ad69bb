//! The options of a set with `source = "files"`.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use larder_sdk::{ContainerId, Error, ErrorKind, Result, Schema, Takes};
use serde::Deserialize;

use crate::{exclude::Exclude, failure::quoted};

/// The options, checked.
pub(crate) struct Options {
    /// Absolute, none inside another, in the config's order.
    pub(crate) paths: Vec<PathBuf>,
    /// How a walk goes.
    pub(crate) rules: Rules,
}

/// How a walk goes.
pub(crate) struct Rules {
    /// What is left out.
    pub(crate) exclude: Exclude,
    /// Stay on the root's file system; a mount point is kept as an empty folder.
    pub(crate) one_file_system: bool,
    /// Of a folder with a `CACHEDIR.TAG`, keep only that file.
    pub(crate) exclude_caches: bool,
}

/// The options as the config has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    paths: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    one_file_system: bool,
    #[serde(default)]
    exclude_caches: bool,
}

/// The options' keys, for the host to check a config with.
pub(crate) fn schema() -> Schema {
    Schema::new()
        .required("paths", Takes::texts(), "directories, or single files, to back up")
        .optional(
            "exclude",
            Takes::texts(),
            "globs to leave out: \"*.tmp\" at any depth, \"/home/*/x/**\" from the root, \"dir/\" only folders, \"!…\" takes back",
        )
        .optional("one_file_system", Takes::Bool, "stay on the file system each path lies on (default: false)")
        .optional(
            "exclude_caches",
            Takes::Bool,
            "leave out what folders with a CACHEDIR.TAG hold (default: false)",
        )
}

impl Options {
    /// Reads options from JSON text. Touches no file.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let raw: Raw = serde_json::from_str(text)
            .map_err(|error| configuration(format!("options of `files`: {error}")).with_source(error))?;
        if raw.paths.is_empty() {
            return Err(configuration("`paths` names no directory".to_owned()));
        }
        let paths = raw.paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>>>()?;
        for (place, path) in paths.iter().enumerate() {
            let holds = |other: &&PathBuf| path.starts_with(other);
            if let Some(other) = paths[..place].iter().chain(&paths[place + 1..]).find(holds) {
                return Err(configuration(format!(
                    "path {} is or lies inside {}",
                    quoted(path),
                    quoted(other)
                ))
                .with_hint("name each directory once; what it holds is backed up with it"));
            }
        }
        let exclude = Exclude::new(&raw.exclude)?;
        let rules =
            Rules { exclude, one_file_system: raw.one_file_system, exclude_caches: raw.exclude_caches };
        Ok(Self { paths, rules })
    }
}

/// Makes a path absolute without looking at the file system, so that a container's id never depends on what is mounted.
fn absolute(text: &str) -> Result<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        return Err(configuration(format!("path {text:?} is no path")));
    }
    if Path::new(text).components().any(|part| part == Component::ParentDir) {
        return Err(
            configuration(format!("path {text:?} contains `..`")).with_hint("write the path without it")
        );
    }
    let path = std::path::absolute(text).map_err(|error| {
        configuration(format!("path {text:?} cannot be made absolute: {error}")).with_source(error)
    })?;
    // `components` drops a trailing slash, doubled slashes and `.`.
    let path: PathBuf = path.components().collect();
    if path.as_os_str().as_bytes().len() > ContainerId::BYTES_MAX {
        return Err(configuration(format!("a path is longer than {} bytes", ContainerId::BYTES_MAX)));
    }
    Ok(path)
}

fn configuration(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = Options::parse(text).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        error.message().to_owned()
    }

    #[test]
    fn paths_become_absolute_and_plain() {
        let options = Options::parse(r#"{"paths": ["/home//ann/./", "relative"]}"#).unwrap();
        assert_eq!(options.paths[0], Path::new("/home/ann"));
        assert_eq!(options.paths[1], std::env::current_dir().unwrap().join("relative"));
        assert!(!options.rules.one_file_system && !options.rules.exclude_caches);
    }

    #[test]
    fn wrong_options_are_refused_by_name() {
        assert!(refusal(r#"{"paths": []}"#).contains("paths"));
        assert!(refusal(r#"{"paths": ["/a"], "exlude": []}"#).contains("exlude"));
        assert!(refusal(r#"{"paths": ["/a/../b"]}"#).contains(".."));
        assert!(refusal(r#"{"paths": ["/a", "/a/b"]}"#).contains("/a/b"));
        assert!(refusal(r#"{"paths": ["/a", "/a/"]}"#).contains("/a"));
        assert!(refusal("{}").contains("paths"));
    }

    #[test]
    fn a_common_prefix_of_a_name_is_no_nesting() {
        assert!(Options::parse(r#"{"paths": ["/a", "/ab"]}"#).is_ok());
    }
}
