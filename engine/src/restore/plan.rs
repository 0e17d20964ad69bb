//! What is to be restored, and what became of it.

use std::path::PathBuf;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::{EngineError, Result};

/// What to do about a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// Leave it.
    Never,
    /// Write over it if size or time differ.
    #[default]
    Changed,
    /// Write over it.
    Always,
}

/// How a restore is made.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The directory to write into.
    pub to: PathBuf,
    /// Globs on the path below the one restored; if there are any, only what one of them matches is restored.
    pub include: Vec<String>,
    /// Globs on the path; what one of them matches is left out, with everything below it.
    pub exclude: Vec<String>,
    /// What to do about files that are there.
    pub overwrite: Overwrite,
    /// Look only: write nothing.
    pub dry_run: bool,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Folders made or found.
    pub folders: u64,
    /// Items written.
    pub items: u64,
    /// Streams written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Items left as they were.
    pub kept: u64,
    /// Names that the file system could not hold, and what they became.
    pub renamed: Vec<(String, String)>,
    /// Items that could not be restored, and why.
    pub failed: Vec<(String, String)>,
}

/// The include and exclude globs, compiled.
pub(super) struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    pub(super) fn new(options: &RestoreOptions) -> Result<Self> {
        let include = (!options.include.is_empty()).then(|| globs(&options.include)).transpose()?;
        Ok(Self { include, exclude: globs(&options.exclude)? })
    }

    /// True if a path, relative to what is restored, is left out with everything below it.
    pub(super) fn excludes(&self, path: &str) -> bool {
        self.exclude.is_match(path)
    }

    /// True if an item at this path, or one of the folders above it, is asked for.
    pub(super) fn includes(&self, path: &str) -> bool {
        let Some(include) = &self.include else { return true };
        std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above))
            .any(|path| include.is_match(path))
    }
}

/// A glob without `/` matches a name at any depth, one with `/` the whole path.
fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let anchored = pattern.trim_start_matches('/');
        let whole = if pattern.contains('/') { anchored.to_owned() } else { format!("**/{anchored}") };
        let glob = GlobBuilder::new(&whole)
            .literal_separator(true)
            .build()
            .map_err(|error| EngineError::usage(format!("`{pattern}` is no glob")).with_source(error))?;
        set.add(glob);
    }
    set.build()
        .map_err(|error| EngineError::usage("these globs are too many or too large").with_source(error))
}
