//! Patterns that items are looked for by.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{EngineError, Result};

/// Some globs: one without `/` is held against an item's name, one with `/` against its whole path in the snapshot. `*` stays within a
/// name, `**` does not.
pub(super) struct Patterns {
    names: GlobSet,
    paths: GlobSet,
    /// What the name must match for any of `paths` to have a chance; `None` if that cannot be told.
    last_names: Option<GlobSet>,
}

impl Patterns {
    pub(super) fn new(patterns: &[String], ignore_case: bool) -> Result<Self> {
        let (mut names, mut paths, mut last_names) =
            (GlobSetBuilder::new(), GlobSetBuilder::new(), Some(GlobSetBuilder::new()));
        let glob = |pattern: &str| {
            GlobBuilder::new(pattern)
                .literal_separator(true)
                .case_insensitive(ignore_case)
                .build()
                .map_err(|error| EngineError::usage(format!("`{pattern}` is no glob")).with_source(error))
        };
        for pattern in patterns {
            if pattern.is_empty() {
                return Err(EngineError::usage("an empty pattern matches nothing"));
            }
            let Some((_, last)) = pattern.rsplit_once('/') else {
                names.add(glob(pattern)?);
                continue;
            };
            paths.add(glob(pattern.trim_start_matches('/'))?);
            // Within braces or brackets a `/` need not part names.
            let whole = !last.is_empty() && !last.contains("**") && !pattern.contains(['{', '[', '\\']);
            last_names = last_names.filter(|_| whole);
            if let Some(names) = &mut last_names {
                names.add(glob(last)?);
            }
        }
        let build = |set: GlobSetBuilder| {
            set.build().map_err(|error| {
                EngineError::usage("these patterns are too many or too large").with_source(error)
            })
        };
        Ok(Self {
            names: build(names)?,
            paths: build(paths)?,
            last_names: last_names.map(build).transpose()?,
        })
    }

    /// True if an item of this name is meant, wherever it is.
    pub(super) fn name(&self, name: &str) -> bool {
        self.names.is_match(name)
    }

    /// True if an item of this name may be meant, which its path decides.
    pub(super) fn may_by_path(&self, name: &str) -> bool {
        !self.paths.is_empty() && self.last_names.as_ref().is_none_or(|names| names.is_match(name))
    }

    /// True if the item at this path is meant.
    pub(super) fn path(&self, path: &str) -> bool {
        self.paths.is_match(path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_makes_it_the_whole_path() {
        let patterns = |list: &[&str]| {
            Patterns::new(&list.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>(), false)
        };
        let one = patterns(&["*.txt", "/home/*/b", "/srv/**"]).unwrap();
        assert!(one.name("a.txt") && !one.name("a.TXT") && !one.name("b"));
        assert!(one.path("/home/ann/b") && !one.path("/home/ann/x/b") && one.path("/srv/a/b/c"));
        assert!(one.may_by_path("anything"), "`**` may end in any name");
        let two = patterns(&["/home/*/b"]).unwrap();
        assert!(two.may_by_path("b") && !two.may_by_path("c") && !two.name("b"));
        assert!(!patterns(&["*.txt"]).unwrap().may_by_path("a.txt"));
        assert!(Patterns::new(&["*.TXT".to_owned()], true).unwrap().name("a.txt"));
        assert!(patterns(&["[a"]).is_err() && patterns(&[""]).is_err());
    }
}
