//! Tokens handed out and not yet run out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::clock::UnixMillis;
use crate::content::Rng;

/// How long a token lives.
pub(crate) const TOKEN_MS: i64 = 24 * 3600 * 1000;
/// Tokens remembered; with one more, those run out are dropped.
const TOKENS_MAX: usize = 100_000;

#[derive(Debug)]
struct Inner {
    issued: HashMap<String, (String, UnixMillis)>,
    rng: Rng,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tokens {
    inner: Mutex<Inner>,
}

impl Tokens {
    /// None yet; their text follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let rng = Rng::new(seed).fork("tokens");
        Self { inner: Mutex::new(Inner { issued: HashMap::new(), rng }) }
    }

    /// A new token for `user`: `t=…&p=`, with letters that careless encoding breaks.
    pub(crate) fn issue(&self, user: &str, now: UnixMillis) -> String {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let secret: Vec<u8> = (0..24).flat_map(|_| inner.rng.next_u64().to_be_bytes()).collect();
        let token = format!("t=EwD/+{}&p=", STANDARD.encode(secret));
        if inner.issued.len() >= TOKENS_MAX {
            inner.issued.retain(|_, (_, until)| *until > now);
        }
        inner.issued.insert(token.clone(), (user.to_string(), now + TOKEN_MS));
        token
    }

    /// Whose token this is, if it is one and has not run out.
    pub(crate) fn redeem(&self, token: &str, now: UnixMillis) -> Option<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.issued.get(token).filter(|(_, until)| *until > now).map(|(user, _)| user.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_runs_out() {
        let tokens = Tokens::new(1);
        let token = tokens.issue("ann", 0);
        assert_eq!(tokens.redeem(&token, TOKEN_MS - 1).as_deref(), Some("ann"));
        assert_eq!(tokens.redeem(&token, TOKEN_MS), None);
        assert_eq!(tokens.redeem(&token.replace('&', "&amp;"), 0), None);
    }
}
