//! Which entries a walk leaves out.
//!
//! A pattern is a glob over whole paths: `*` and `?` stay within a name, `**` goes across folders, `[a-z]` and `{a,b}` choose.
//! - `*.tmp`, `cache/*.bin`: the end of a path, starting at any folder.
//! - `/home/*/Downloads/**`: begins with `/`, so it is the whole path from `/`.
//! - `node_modules/`: ends with `/`, so only folders.
//! - `!keep.tmp`: takes back what an earlier pattern excluded; of all that match, the last one counts.
//!
//! What an excluded folder holds is excluded with it. A configured root is never excluded.

use std::path::Path;

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};
use larder_sdk::{Error, ErrorKind, Result};

/// Compiled patterns.
pub(crate) struct Exclude {
    globs: GlobSet,
    marks: Vec<Mark>,
}

/// What the glob alone does not say.
struct Mark {
    folders_only: bool,
    takes_back: bool,
}

impl Exclude {
    /// Compiles patterns. Fails on one that is no glob.
    pub(crate) fn new(patterns: &[String]) -> Result<Self> {
        let mut globs = GlobSetBuilder::new();
        let mut marks = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            let wrong = || {
                Error::new(ErrorKind::Configuration, format!("exclude pattern {pattern:?} is not a glob"))
                    .with_hint("examples: \"*.tmp\", \"node_modules/\", \"/home/*/Downloads/**\"")
            };
            let (rest, takes_back) =
                pattern.strip_prefix('!').map_or((pattern.as_str(), false), |rest| (rest, true));
            let (glob, folders_only) = rest.strip_suffix('/').map_or((rest, false), |glob| (glob, true));
            if glob.is_empty() {
                return Err(wrong());
            }
            let whole = if glob.starts_with('/') { glob.to_owned() } else { format!("**/{glob}") };
            let compiled = GlobBuilder::new(&whole).literal_separator(true).backslash_escape(true).build();
            globs.add(compiled.map_err(|error| wrong().with_source(error))?);
            marks.push(Mark { folders_only, takes_back });
        }
        let globs = globs.build().map_err(|error| {
            Error::new(ErrorKind::Configuration, "the exclude patterns are too large together")
                .with_source(error)
        })?;
        Ok(Self { globs, marks })
    }

    /// True if there are no patterns, so that callers need not build paths.
    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// True if the entry with this absolute path is left out.
    pub(crate) fn excludes(&self, path: &Path, folder: bool) -> bool {
        let matching = self.globs.matches_candidate(&Candidate::new(path));
        let last = matching.into_iter().rev().find_map(|index| {
            let mark = &self.marks[index];
            (folder || !mark.folders_only).then_some(!mark.takes_back)
        });
        last.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    fn excludes(patterns: &[&str], path: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let (path, folder) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
        Exclude::new(&patterns).unwrap().excludes(Path::new(path), folder)
    }

    #[test]
    fn a_name_matches_at_any_depth() {
        assert!(excludes(&["*.tmp"], "/home/a/b.tmp"));
        assert!(excludes(&["*.tmp"], "/b.tmp"));
        assert!(!excludes(&["*.tmp"], "/home/b.tmp/kept"), "only by leaving out its folder");
        assert!(!excludes(&["*.tmp"], "/home/tmp"));
    }

    #[test]
    fn a_part_of_a_path_matches_at_any_depth() {
        assert!(excludes(&["cache/*.bin"], "/home/a/cache/x.bin"));
        assert!(!excludes(&["cache/*.bin"], "/home/a/cache/deep/x.bin"));
    }

    #[test]
    fn a_leading_slash_anchors() {
        assert!(excludes(&["/home/a/**"], "/home/a/x/y"));
        assert!(!excludes(&["/home/a/**"], "/home/a/"), "the folder itself stays");
        assert!(!excludes(&["/home/a/**"], "/srv/home/a/x"));
        assert!(!excludes(&["/home/*/x"], "/home/a/b/x"));
    }

    #[test]
    fn a_trailing_slash_means_folders() {
        assert!(excludes(&["target/"], "/code/target/"));
        assert!(!excludes(&["target/"], "/code/target"));
    }

    #[test]
    fn the_last_match_counts() {
        assert!(!excludes(&["*.tmp", "!keep.tmp"], "/a/keep.tmp"));
        assert!(excludes(&["!keep.tmp", "*.tmp"], "/a/keep.tmp"));
        assert!(excludes(&["*.tmp", "!keep.tmp/"], "/a/keep.tmp"), "taken back only for folders");
    }

    #[test]
    fn names_that_are_no_text_match_too() {
        let exclude = Exclude::new(&["*.tmp".to_owned()]).unwrap();
        assert!(exclude.excludes(Path::new(OsStr::from_bytes(b"/a/\xff\xfe.tmp")), false));
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for pattern in ["[", "", "!", "/", "{a"] {
            let error = Exclude::new(&[pattern.to_owned()]).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{pattern}");
        }
    }
}
