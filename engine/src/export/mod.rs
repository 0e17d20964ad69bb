//! From a snapshot into one file of a form that other programs read, or into a folder of messages. Everything is streamed: memory does
//! not grow with what is taken out, beside the table of contents that a zip file ends with.

mod content;
mod eml;
mod file;
mod mbox;
mod run;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::{io::Write, path::PathBuf};

pub use run::export;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// A folder of messages, each as it is in MIME.
    Eml,
    /// One mailbox file, in the variant mboxrd.
    Mbox,
    /// A tape archive with POSIX (pax) headers: all names, sizes, times, modes, owners and links.
    Tar,
    /// A zip file, zip64 where needed.
    Zip,
}

impl ExportFormat {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eml => "eml",
            Self::Mbox => "mbox",
            Self::Tar => "tar",
            Self::Zip => "zip",
        }
    }

    /// True if only messages can be in it.
    pub fn is_for_messages(self) -> bool {
        matches!(self, Self::Eml | Self::Mbox)
    }
}

/// Where it goes.
pub enum ExportTo<'run> {
    /// A file that is not there yet, or for [`ExportFormat::Eml`] a folder. A file has its name once it is whole.
    Path(PathBuf),
    /// A stream. Not for [`ExportFormat::Eml`].
    Stream(&'run mut (dyn Write + Send)),
}

/// What was taken out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Folders.
    pub folders: u64,
    /// Items.
    pub items: u64,
    /// Their streams.
    pub files: u64,
    /// Bytes of these, before compression.
    pub bytes: u64,
    /// Items that the format has no place for.
    pub left_out: u64,
    /// Items that could not be read to their end, and why.
    pub failed: Vec<(String, String)>,
    /// How many more there are than are listed.
    pub more_failed: u64,
}
