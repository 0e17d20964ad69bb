//! How SharePoint behaves where tenants differ.

use serde::{Deserialize, Serialize};

/// What an expired change token is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiredTokens {
    /// What is left of the log, as if nothing were missing: what SharePoint Online was seen to do.
    #[default]
    Silent,
    /// An error that says so.
    Error,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Tokens are redeemed for cookies. Off: tokens are still issued, cookies no longer.
    pub legacy_auth: bool,
    /// The challenge names the endpoint for identity cookies.
    pub idcrl: bool,
    /// See [`ExpiredTokens`].
    pub expired_tokens: ExpiredTokens,
    /// Accounts may see who may do what.
    pub enumerate_permissions: bool,
    /// Most rows of a page of items, whatever is asked for: a short page is not the last one. None: as many as asked for.
    pub page_rows: Option<usize>,
    /// Most rows of people, lookups and the like that a query may join; a text form of all fields joins them all.
    pub joins: usize,
    /// What `Length` of office documents is wrong by; -1 stands for no length at all.
    pub office_lengths: i64,
    /// How long cookies last, in milliseconds.
    pub session_ms: i64,
    /// How long a form digest lasts, in seconds.
    pub digest_seconds: i64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            legacy_auth: true,
            idcrl: true,
            expired_tokens: ExpiredTokens::Silent,
            enumerate_permissions: true,
            page_rows: None,
            joins: 12,
            office_lengths: 0,
            session_ms: 24 * 3600 * 1000,
            digest_seconds: 1800,
        }
    }
}
