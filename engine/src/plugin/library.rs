//! Loading a plugin from a file: who may have written it, whether it is the pinned one, and the handshake.
#![expect(unsafe_code, reason = "loading a library runs its code, and its entry is a C function")]

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    path::{Path, PathBuf},
};

use larder_sdk::abi::{PluginLink, PluginTable};
use libloading::Library;

use super::{CallLimits, LoadedPlugin, Origin, PluginError};

/// Largest file taken for a plugin, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Loads a plugin for the rest of the process's life.
///
/// The file and its folder must belong to root or to the user, and be writable by no one else; with a pin, the file's BLAKE3 must be it.
pub(super) fn load(
    path: &Path,
    pin: Option<blake3::Hash>,
    limits: CallLimits,
) -> Result<LoadedPlugin, PluginError> {
    let path = fs::canonicalize(path).map_err(|source| unreadable(path, source))?;
    check_trust(&path)?;
    let found = digest(&path)?;
    if let Some(pinned) = pin.filter(|pinned| *pinned != found) {
        return Err(PluginError::Pin { path, pinned, found });
    }
    // SAFETY: a library's initialisers run unchecked. That only root or this user can have written it is what makes it trusted.
    let library =
        unsafe { Library::new(&path) }.map_err(|source| PluginError::Load { path: path.clone(), source })?;
    // Never unloaded: threads, statics and buffers of a plugin may outlive every handle.
    let library = Box::leak(Box::new(library));
    let link = handshake(library, &path)?;
    LoadedPlugin::new(link, Origin::File { path, digest: found }, limits)
}

fn handshake(library: &'static Library, path: &Path) -> Result<PluginLink, PluginError> {
    type Entry = unsafe extern "C" fn() -> *const PluginTable;
    let symbol = entry_symbol(path);
    // SAFETY: a symbol of this name is, by the boundary's contract, a function of this type; the library is never unloaded.
    let entry = unsafe { library.get::<Entry>(symbol.as_bytes()) }
        .map_err(|_| PluginError::NoEntry { path: path.to_owned(), symbol })?;
    // SAFETY: the entry returns the address of a table that lives as long as the library, which is for ever, and the link
    // reads no more of it than its head announces.
    unsafe { PluginLink::from_raw(entry()) }
        .map_err(|refusal| PluginError::Refused { what: path.display().to_string(), refusal })
}

/// `libmy_plugin.so` was built from the crate `my_plugin`, and exports `larder_plugin_my_plugin`.
fn entry_symbol(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = file.strip_suffix(DLL_SUFFIX).unwrap_or(&file);
    let name = stem.strip_prefix(DLL_PREFIX).unwrap_or(stem);
    format!("larder_plugin_{}", name.replace('-', "_"))
}

/// The files of a folder that are named like libraries, in order of name. A folder that is not there has none.
pub(super) fn candidates(folder: &Path) -> Result<Vec<PathBuf>, PluginError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| unreadable(folder, source))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(DLL_PREFIX) && name.ends_with(DLL_SUFFIX) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(unix)]
fn check_trust(path: &Path) -> Result<(), PluginError> {
    use std::os::unix::fs::MetadataExt;

    let user = rustix::process::geteuid().as_raw();
    for place in [Some(path), path.parent()].into_iter().flatten() {
        let metadata = fs::metadata(place).map_err(|source| unreadable(place, source))?;
        let untrusted = |why: String| Err(PluginError::Untrusted { path: place.to_owned(), why });
        if metadata.uid() != 0 && metadata.uid() != user {
            return untrusted(format!("it belongs to user {}, neither to root nor to you", metadata.uid()));
        }
        if metadata.mode() & 0o022 != 0 {
            return untrusted(format!(
                "others may write to it (mode {:03o}); take that away with `chmod go-w`",
                metadata.mode() & 0o777
            ));
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_trust(_path: &Path) -> Result<(), PluginError> {
    Ok(())
}

fn digest(path: &Path) -> Result<blake3::Hash, PluginError> {
    let read = || {
        let mut file = fs::File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
            return Err(std::io::Error::other("no file that could be a library"));
        }
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut file, &mut hasher)?;
        Ok(hasher.finalize())
    };
    read().map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: std::io::Error) -> PluginError {
    PluginError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_asked_for_the_symbol_of_its_crate() {
        let path = PathBuf::from(format!("/usr/lib/larder/{DLL_PREFIX}my-plugin{DLL_SUFFIX}"));
        assert_eq!(entry_symbol(&path), "larder_plugin_my_plugin");
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_plugins() {
        assert_eq!(candidates(Path::new("/nonexistent/larder")).unwrap(), Vec::<PathBuf>::new());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libx.so");
        fs::write(&path, b"no library").unwrap();
        let load = || load(&path, None, CallLimits::default()).unwrap_err();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert!(matches!(load(), PluginError::Untrusted { .. }));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load(), PluginError::Load { .. }));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = load();
        assert!(matches!(error, PluginError::Untrusted { .. }), "{error}");
        assert!(error.to_string().contains("mode 777"), "{error}");
    }
}
