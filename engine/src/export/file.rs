//! The file that is written.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    error::{EngineError, Result},
    hash::ObjectName,
};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// A file under a temporary name beside its own. It takes its own with [`ExportFile::finish`]; dropped before, it is removed.
pub(super) struct ExportFile {
    path: PathBuf,
    temporary: Option<PathBuf>,
    file: BufWriter<File>,
}

impl ExportFile {
    /// Begins a file that must not be there yet.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            EngineError::failed(format!("making a file beside `{}`", path.display())).with_source(error)
        };
        if path.symlink_metadata().is_ok() {
            return Err(there_already(path));
        }
        let Some(name) = path.file_name() else {
            return Err(EngineError::usage(format!("`{}` is no name for a file", path.display())));
        };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", &ObjectName::random()?.to_string()[..8]));
        let temporary = path.with_file_name(hidden);
        let file = File::create_new(&temporary).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            temporary: Some(temporary),
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
        })
    }

    /// Makes it durable and gives it its name, unless something else took that meanwhile.
    pub(super) fn finish(mut self) -> Result<()> {
        let failed = |error: io::Error| {
            EngineError::failed(format!("writing `{}`", self.path.display())).with_source(error)
        };
        self.file.flush().map_err(failed)?;
        self.file.get_ref().sync_all().map_err(failed)?;
        let Some(temporary) = &self.temporary else { return Ok(()) };
        // A link does not replace what is there, as renaming would.
        match fs::hard_link(temporary, &self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(there_already(&self.path)),
            // A file system without hard links.
            Err(_) => {
                fs::rename(temporary, &self.path).map_err(failed)?;
                self.temporary = None;
                Ok(())
            }
        }
    }
}

fn there_already(path: &Path) -> EngineError {
    EngineError::failed(format!("`{}` is there already", path.display()))
        .with_hint("take another name, or remove it first")
}

impl Write for ExportFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for ExportFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // What is left behind is hidden and harmless.
            drop(fs::remove_file(temporary));
        }
    }
}
