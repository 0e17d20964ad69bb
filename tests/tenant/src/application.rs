//! Applications registered in the tenant: their certificates and secrets, what they may do, and the tokens they hold.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountState, Mfa};
use crate::clock::UnixMillis;
use crate::content::Rng;

/// Lifetime of a token, as the login host tells it, in seconds.
const TOKEN_SECONDS: i64 = 3599;
/// Tokens and assertions' ids remembered; with one more, all are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// A certificate that nobody but its owner vouches for, with its key.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    der: Vec<u8>,
    certificate_pem: String,
    key_pem: String,
}

impl SelfSigned {
    /// A new one with an RSA key of 2048 bits, good for a long time.
    pub fn generate() -> Result<Self, rcgen::Error> {
        Self::until(4000)
    }

    /// A new one that runs out at the beginning of a year.
    pub fn until(year: i32) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = parameters.self_signed(&key)?;
        Ok(Self {
            der: certificate.der().to_vec(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// The same one whenever it is asked for: making a key takes a while.
    pub fn shared() -> Result<&'static Self, rcgen::Error> {
        static SHARED: OnceLock<SelfSigned> = OnceLock::new();
        match SHARED.get() {
            Some(made) => Ok(made),
            None => Self::generate().map(|made| SHARED.get_or_init(|| made)),
        }
    }

    /// The certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The key, as PKCS #8.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// Both in one text.
    pub fn pem(&self) -> String {
        format!("{}{}", self.key_pem, self.certificate_pem)
    }
}

/// What becomes of an application's requests for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationState {
    /// A right proof gets a token.
    Active,
    /// 700016: nobody consented to it here.
    Unknown,
    /// 7000112
    Disabled,
    /// 53003: a policy for applications blocks it.
    PolicyBlock,
    /// `temporarily_unavailable`
    Transient,
}

/// A secret of an application.
#[derive(Clone, Debug)]
pub struct ClientSecret {
    /// Its value.
    pub value: String,
    /// True once it has run out.
    pub expired: bool,
}

/// A registered application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its id, lower case.
    pub client_id: String,
    /// The certificates that may sign for it, as DER.
    pub certificates: Vec<Vec<u8>>,
    /// Its secrets.
    pub secrets: Vec<ClientSecret>,
    /// Has a permission for all sites.
    pub sharepoint: bool,
    /// Has full access to all mailboxes.
    pub exchange: bool,
    /// See [`ApplicationState`].
    pub state: ApplicationState,
    /// Server-relative sites that are closed to it.
    pub denied_sites: BTreeSet<String>,
}

impl Application {
    /// An application with both permissions and nothing to prove itself with.
    pub fn new(client_id: &str) -> Self {
        Self {
            client_id: client_id.to_ascii_lowercase(),
            certificates: Vec::new(),
            secrets: Vec::new(),
            sharepoint: true,
            exchange: true,
            state: ApplicationState::Active,
            denied_sites: BTreeSet::new(),
        }
    }

    /// The same with one more certificate.
    #[must_use]
    pub fn with_certificate(mut self, certificate: &SelfSigned) -> Self {
        self.certificates.push(certificate.der.clone());
        self
    }

    /// The same with one more secret.
    #[must_use]
    pub fn with_secret(mut self, value: &str) -> Self {
        self.secrets.push(ClientSecret { value: value.to_string(), expired: false });
        self
    }

    /// Who it is to the services: nobody's password opens it.
    fn account(&self) -> Account {
        Account {
            user: self.client_id.clone(),
            display_name: "Application".into(),
            password: String::new(),
            app_password: String::new(),
            mfa: Mfa::Enforced,
            state: AccountState::Active,
            tenant_admin: self.sharepoint,
            impersonation: self.exchange,
            denied_sites: self.denied_sites.clone(),
        }
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// None that we gave out, or for another host.
    Foreign,
    Expired,
    /// Made with a secret, where only a certificate counts.
    MadeWithSecret,
}

#[derive(Clone, Debug)]
struct Token {
    client_id: String,
    /// Scheme and host that it is for.
    resource: String,
    with_secret: bool,
    until: UnixMillis,
}

#[derive(Debug)]
struct Inner {
    registered: BTreeMap<String, Application>,
    tokens: HashMap<String, Token>,
    assertions: HashSet<String>,
    token_seconds: i64,
    rng: Rng,
}

/// All applications and their living tokens.
#[derive(Debug)]
pub struct Applications {
    inner: Mutex<Inner>,
    /// Scheme and host of each service.
    resources: OnceLock<Vec<String>>,
}

impl Applications {
    /// None yet; tokens follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let inner = Inner {
            registered: BTreeMap::new(),
            tokens: HashMap::new(),
            assertions: HashSet::new(),
            token_seconds: TOKEN_SECONDS,
            rng: Rng::new(seed).fork("bearer"),
        };
        Self { inner: Mutex::new(inner), resources: OnceLock::new() }
    }

    /// Registers an application, or replaces the one of that id.
    pub fn register(&self, application: Application) {
        self.lock().registered.insert(application.client_id.clone(), application);
    }

    /// Changes an application in place; false if there is none of that id.
    pub fn update(&self, client_id: &str, change: impl FnOnce(&mut Application)) -> bool {
        self.lock().registered.get_mut(&client_id.to_ascii_lowercase()).map(change).is_some()
    }

    /// Has all tokens run out that were given so far.
    pub fn expire_tokens(&self) {
        self.lock().tokens.values_mut().for_each(|token| token.until = UnixMillis::MIN);
    }

    /// How long tokens live that are given from now on, in seconds.
    pub fn set_token_seconds(&self, seconds: i64) {
        self.lock().token_seconds = seconds;
    }

    /// The application of an id, if it is registered.
    pub fn get(&self, client_id: &str) -> Option<Application> {
        self.lock().registered.get(&client_id.to_ascii_lowercase()).cloned()
    }

    /// Tells where the services are; the first call counts.
    pub(crate) fn set_resources(&self, resources: Vec<String>) {
        // A second call would be a mistake of ours without harm: the addresses cannot change.
        let _ = self.resources.set(resources);
    }

    pub(crate) fn has_resource(&self, resource: &str) -> bool {
        self.resources.get().is_some_and(|known| known.iter().any(|known| known == resource))
    }

    /// Remembers an assertion's id; false if it was there already.
    pub(crate) fn note_assertion(&self, id: &str) -> bool {
        let mut inner = self.lock();
        if inner.assertions.len() >= REMEMBERED_MAX {
            inner.assertions.clear();
        }
        inner.assertions.insert(id.to_string())
    }

    /// A new token, and for how many seconds it is good.
    pub(crate) fn issue(
        &self,
        client_id: &str,
        resource: &str,
        with_secret: bool,
        now: UnixMillis,
    ) -> (String, i64) {
        let mut inner = self.lock();
        let mut part = |words: usize| {
            let bytes: Vec<u8> = (0..words).flat_map(|_| inner.rng.next_u64().to_be_bytes()).collect();
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let text = format!("eyJ{}.{}.{}", part(4), part(16), part(32));
        if inner.tokens.len() >= REMEMBERED_MAX {
            inner.tokens.clear();
        }
        let seconds = inner.token_seconds;
        let token = Token {
            client_id: client_id.to_string(),
            resource: resource.to_string(),
            with_secret,
            until: now + seconds * 1000,
        };
        inner.tokens.insert(text.clone(), token);
        (text, seconds)
    }

    /// Who asks a service at `resource` with a token.
    pub(crate) fn admit(
        &self,
        text: &str,
        resource: &str,
        secrets_count: bool,
        now: UnixMillis,
    ) -> Result<(Application, Account), BadToken> {
        let inner = self.lock();
        let token =
            inner.tokens.get(text).filter(|token| token.resource == resource).ok_or(BadToken::Foreign)?;
        if token.until <= now {
            return Err(BadToken::Expired);
        }
        if token.with_secret && !secrets_count {
            return Err(BadToken::MadeWithSecret);
        }
        let application = inner.registered.get(&token.client_id).ok_or(BadToken::Foreign)?;
        Ok((application.clone(), application.account()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token of an `Authorization` header, if it is a bearer's.
pub(crate) fn bearer(headers: &axum::http::HeaderMap) -> Option<&str> {
    let value = headers.get(axum::http::header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_host_and_a_time() {
        let applications = Applications::new(1);
        applications.register(Application::new("A"));
        let (token, seconds) = applications.issue("a", "http://h", true, 0);
        let admit = |host: &str, secrets: bool, now| {
            applications.admit(&token, host, secrets, now).map(|(application, _)| application.client_id)
        };
        assert_eq!(admit("http://h", true, 0).as_deref(), Ok("a"));
        assert_eq!(admit("http://other", true, 0), Err(BadToken::Foreign));
        assert_eq!(admit("http://h", false, 0), Err(BadToken::MadeWithSecret));
        assert_eq!(admit("http://h", true, seconds * 1000), Err(BadToken::Expired));
        assert!(applications.note_assertion("1") && !applications.note_assertion("1"));
    }
}
