//! Cookies: whose they are, for which host, until when.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::model::Host;
use crate::clock::UnixMillis;
use crate::content::Rng;

/// Sessions remembered; with one more, all are forgotten (clients sign in again).
const SESSIONS_MAX: usize = 100_000;
/// Cookies that carry a session.
const COOKIE_NAMES: [&str; 2] = ["FedAuth", "SPOIDCRL"];

#[derive(Debug)]
struct Session {
    user: String,
    host: Host,
    until: UnixMillis,
}

#[derive(Debug)]
struct Inner {
    sessions: HashMap<String, Session>,
    rng: Rng,
}

/// The living sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    inner: Mutex<Inner>,
}

impl Sessions {
    pub(super) fn new(seed: u64) -> Self {
        let rng = Rng::new(seed).fork("cookies");
        Self { inner: Mutex::new(Inner { sessions: HashMap::new(), rng }) }
    }

    /// Opens a session and returns the cookie's value.
    pub(super) fn open(&self, user: &str, host: Host, until: UnixMillis) -> String {
        let mut inner = self.lock();
        if inner.sessions.len() >= SESSIONS_MAX {
            inner.sessions.clear();
        }
        let value = format!("77u/{}{}", inner.rng.guid().replace('-', ""), inner.rng.guid().replace('-', ""));
        inner.sessions.insert(value.clone(), Session { user: user.to_string(), host, until });
        value
    }

    /// Whose living session for this host a `Cookie` header carries.
    pub(super) fn find(&self, cookies: &str, host: Host, now: UnixMillis) -> Option<String> {
        let inner = self.lock();
        let values = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        values
            .filter(|(name, _)| COOKIE_NAMES.contains(name))
            .filter_map(|(_, value)| inner.sessions.get(value))
            .find(|session| session.host == host && session.until > now)
            .map(|session| session.user.clone())
    }

    /// Forgets the sessions of one account, or of all.
    pub(super) fn forget(&self, user: Option<&str>) {
        let of = |session: &Session| user.is_none_or(|user| session.user.eq_ignore_ascii_case(user));
        self.lock().sessions.retain(|_, session| !of(session));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_good_for_its_host_and_time() {
        let sessions = Sessions::new(1);
        let cookie = format!("rtFa=x; FedAuth={}", sessions.open("ann", Host::Main, 100));
        assert_eq!(sessions.find(&cookie, Host::Main, 99).as_deref(), Some("ann"));
        assert_eq!(sessions.find(&cookie, Host::My, 99), None);
        assert_eq!(sessions.find(&cookie, Host::Main, 100), None);
        sessions.forget(Some("ANN"));
        assert_eq!(sessions.find(&cookie, Host::Main, 0), None);
    }
}
