//! Who looks, from where, and when.

use std::collections::BTreeSet;

use crate::clock::UnixMillis;
use crate::sharepoint::model::Guid;

/// The caller's side of a request.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// The caller as a person of the tenant.
    pub(crate) person: u32,
    /// Scheme and host the caller used: absolute addresses in answers begin with it.
    pub(crate) origin: String,
    pub(crate) now: UnixMillis,
    /// See [`crate::sharepoint::Switches::office_lengths`].
    pub(crate) office_lengths: i64,
    /// Webs that are not there for the caller.
    pub(crate) hidden: BTreeSet<Guid>,
}
