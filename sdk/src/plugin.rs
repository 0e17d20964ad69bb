//! What a plugin is: a name, what it offers, and how an instance is made.

use serde::{Deserialize, Serialize};

use crate::{Destination, Error, ErrorKind, Host, Result, Schema, Source};

/// A plugin. Implement it for a unit struct and hand that to [`crate::export_plugin!`].
pub trait Plugin: Send + Sync + 'static {
    /// Who it is and what it offers. Makes no request and cannot fail.
    fn info(&self) -> PluginInfo;

    /// Makes a source from a set's options: JSON text that fits [`PluginInfo::source`].
    fn source(&self, options: &str, host: Host) -> Result<Box<dyn Source>> {
        let _ = (options, host);
        Err(Error::new(ErrorKind::Unsupported, "this plugin is no source"))
    }

    /// Makes a destination from a repository's URL and options: JSON text `{"url": …, "options": {…}}`.
    fn destination(&self, options: &str, host: Host) -> Result<Box<dyn Destination>> {
        let _ = (options, host);
        Err(Error::new(ErrorKind::Unsupported, "this plugin is no destination"))
    }
}

/// Who a plugin is and what it offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Its name, as a config file writes it: lower case, digits and `-`.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// The options of a source, if it is one.
    pub source: Option<Schema>,
    /// The options of a destination, if it is one. Options are texts; `Takes::Map` lets any through.
    pub destination: Option<Schema>,
    /// What the codes of its findings and errors mean; each once.
    pub codes: Vec<Explained>,
}

/// What a code means that findings and errors carry: a page of `larder explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The code: lower case, digits and `-`, at most 64 bytes.
    pub code: String,
    /// One plain sentence: what is so when this code is seen.
    pub meaning: String,
    /// What to do about it, a step a line; empty if nothing is to be done.
    pub remedy: String,
    /// Where more is written: a URL or the name of a page.
    pub more: Option<String>,
}

impl PluginInfo {
    /// A plugin that offers nothing yet.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            source: None,
            destination: None,
            codes: Vec::new(),
        }
    }
    /// It is a source with these options.
    #[must_use]
    pub fn with_source(mut self, options: Schema) -> Self {
        self.source = Some(options);
        self
    }
    /// It is a destination with these options.
    #[must_use]
    pub fn with_destination(mut self, options: Schema) -> Self {
        self.destination = Some(options);
        self
    }
    /// Its findings and errors carry codes, which mean this.
    #[must_use]
    pub fn with_codes(mut self, codes: Vec<Explained>) -> Self {
        self.codes = codes;
        self
    }
}
