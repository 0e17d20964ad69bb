//! How the server differs from a plain Exchange: switches for tests that need another product's behaviour.

use serde::{Deserialize, Serialize};

/// Behaviour that differs between EWS servers. The default is a plain Exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches, each thrown by itself")]
pub struct Switches {
    /// EWS is served at all; without it every request of a signed-in account is answered 403.
    pub enabled: bool,
    /// Passwords are taken at all, as on premises; Exchange Online has taken none since 2022.
    pub basic: bool,
    /// `ExportItems` and `UploadItems` exist.
    pub export_items: bool,
    /// The entry id of an item whose exported stream is cut, with a remark in its place, as a server does that is interrupted.
    pub truncated_export: Option<String>,
    /// Illegal characters in subjects are written as references (`&#x1;`) rather than left out.
    pub illegal_references: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            enabled: true,
            basic: true,
            export_items: true,
            truncated_export: None,
            illegal_references: true,
        }
    }
}
