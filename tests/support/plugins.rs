//! Plugins as users have them: libraries in a folder of their own.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder::plugin::{CallLimits, LoadedPlugin, Registry};
use larder_sdk::testing::TestHost;
use tempfile::TempDir;

/// Where cargo put the library of a crate: beside the test's own binary.
pub(crate) fn built(krate: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.with_file_name(format!("{DLL_PREFIX}{krate}{DLL_SUFFIX}"))
}

/// A plugin installed in a folder that only this user may write to.
pub(crate) struct Installed {
    folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Installed {
    /// Copies a crate's library, under its own name with something added.
    pub(crate) fn new(krate: &str, suffix: &str) -> Self {
        Self::copy(&built(krate), krate, suffix)
    }

    /// Copies a library from anywhere.
    pub(crate) fn copy(library: &Path, krate: &str, suffix: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("{DLL_PREFIX}{krate}{suffix}{DLL_SUFFIX}"));
        fs::copy(library, &path).unwrap();
        let installed = Self { folder, path };
        installed.set_mode(0o755);
        installed
    }

    /// Sets the file's mode.
    pub(crate) fn set_mode(&self, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The folder it lies in.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Loads it, in a registry of its own.
    pub(crate) fn load(&self, limits: CallLimits) -> Registry {
        let mut registry = Registry::with_limits(limits);
        registry.add_path(&self.path, None).unwrap();
        registry
    }
}

/// A host for an instance.
pub(crate) fn host() -> Arc<TestHost> {
    Arc::new(TestHost::new())
}

/// The plugin of a name.
pub(crate) fn find<'a>(registry: &'a Registry, name: &str) -> &'a LoadedPlugin {
    registry.find(name).unwrap()
}
