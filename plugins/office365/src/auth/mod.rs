//! Signing in: from what the config names to the headers that a request needs.

mod adfs;
mod basic;
mod certificate;
mod cookies;
mod oauth;
mod realm;
mod refusal;
mod session;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod wstrust;
mod xml;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use larder_sdk::Secret;
use tokio::{
    sync::{Mutex as AsyncMutex, OnceCell},
    time::Instant,
};
use url::Url;

use crate::{
    codes,
    error::Explanation,
    http::{Http, HttpError, Response},
    options::{Service, is_app_password},
};
use wstrust::{Issuer, Proof, Token};

pub(crate) use oauth::{Application, Proof as ApplicationProof};
pub(crate) use realm::Realm;
pub(crate) use refusal::{federated, unreachable};
pub(crate) use session::{Session, session_is_dead};

/// Longest time a session is used, whatever its token says.
const SESSION_MAX: Duration = Duration::from_secs(12 * 3600);
/// Lifetime assumed of a token that does not tell.
const TOKEN_LIFETIME_UNSAID: Duration = Duration::from_secs(3600);
/// For how long a failed sign-in answers for those who were waiting for it.
const FAILURE_SHARED: Duration = Duration::from_secs(1);
/// How long to stay away if the login host says "too many" without a time.
const BACK_OFF_UNSAID: Duration = Duration::from_secs(60);
/// The cloud's name at federation services, unless realm discovery tells another.
const AUDIENCE: &str = "urn:federation:MicrosoftOnline";

/// Why there is no session.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The account cannot sign in anywhere.
    Account(Explanation),
    /// The account signs in, but this host gives it no session.
    Host(Explanation),
    /// Too many requests for now.
    Throttled(Duration),
}

impl Refusal {
    /// What to tell people.
    pub(crate) fn explanation(self) -> Explanation {
        match self {
            Self::Account(why) | Self::Host(why) => why,
            Self::Throttled(wait) => refusal::throttled(wait),
        }
    }
}

/// How an account signs in, with what it needs for that. Never printed.
pub(crate) enum Way {
    /// The cloud's own sign-in for SharePoint, Basic for Exchange.
    Office365(Secret),
    /// The same, and the domain's federation service if the cloud does not take the password.
    Adfs(Secret),
    /// Basic for both.
    Basic(Secret),
    /// An application's tokens for both.
    Oauth(Application),
}

/// One host's session of one account.
#[derive(Default)]
struct HostState {
    session: Option<Arc<Session>>,
    failure: Option<(Instant, Refusal)>,
}

/// How one account signs in, and its sessions by host. Sign-ins to one host happen one at a time.
pub(crate) struct SignIn {
    http: Http,
    login: Url,
    user: String,
    way: Way,
    /// Set once the federation service took the password: the cloud need not refuse it again.
    federated: AtomicBool,
    realm: OnceCell<Realm>,
    hosts: Mutex<HashMap<String, Arc<AsyncMutex<HostState>>>>,
}

impl SignIn {
    /// Makes no request.
    pub(crate) fn new(http: Http, login: Url, user: String, way: Way) -> Self {
        Self {
            http,
            login,
            user,
            way,
            federated: AtomicBool::new(false),
            realm: OnceCell::new(),
            hosts: Mutex::default(),
        }
    }

    /// How it signs in.
    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// The session for a URL's host: the living one, or a new one.
    pub(crate) async fn session(&self, service: Service, url: &Url) -> Result<Arc<Session>, Refusal> {
        match &self.way {
            Way::Basic(password) => return Ok(Arc::new(Session::basic(&self.user, password, false))),
            Way::Office365(password) | Way::Adfs(password) if service == Service::Exchange => {
                return Ok(Arc::new(Session::basic(&self.user, password, true)));
            }
            Way::Office365(_) | Way::Adfs(_) | Way::Oauth(_) => {}
        }
        let state = self.state(url);
        let mut state = state.lock().await;
        let now = Instant::now();
        if let Some(session) = state.session.as_ref().filter(|session| session.is_fresh(now)) {
            return Ok(Arc::clone(session));
        }
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < FAILURE_SHARED;
        if let Some((_, refusal)) = state.failure.as_ref().filter(|(at, _)| fresh(at)) {
            return Err(refusal.clone());
        }
        let origin = url.origin().ascii_serialization();
        let begun = match &self.way {
            Way::Oauth(application) => application
                .token(&self.http, &origin)
                .await
                .map(|token| Session::bearer(&token, application.has_secret(), Instant::now())),
            _ => self.cookies(&origin).await,
        };
        match begun {
            Ok(session) => {
                let session = Arc::new(session);
                *state = HostState { session: Some(Arc::clone(&session)), failure: None };
                Ok(session)
            }
            Err(refusal) => {
                *state = HostState { session: None, failure: Some((Instant::now(), refusal.clone())) };
                Err(refusal)
            }
        }
    }

    /// Drops a session that no longer works, unless it has been replaced already.
    pub(crate) async fn forget(&self, url: &Url, dead: &Arc<Session>) {
        let state = self.state(url);
        let mut state = state.lock().await;
        if state.session.as_ref().is_some_and(|session| Arc::ptr_eq(session, dead)) {
            state.session = None;
        }
    }

    /// Asks the login host, once, what it knows of the account's domain.
    pub(crate) async fn realm(&self) -> Result<&Realm, HttpError> {
        self.realm.get_or_try_init(|| realm::realm(&self.http, &self.login, &self.user)).await
    }

    fn state(&self, url: &Url) -> Arc<AsyncMutex<HostState>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(url.origin().ascii_serialization()).or_default())
    }

    /// A token for the host, and the host's cookies for the token: by both ways, the usual one first.
    async fn cookies(&self, origin: &str) -> Result<Session, Refusal> {
        let mut assertion = None;
        let token = self.token(&mut assertion, origin, None).await?;
        let mut lifetime = token.lifetime;
        let mut cookies = cookies::fed_auth(&self.http, origin, &token.text).await?;
        if cookies.is_none()
            && let Some(offer) = cookies::idcrl_offer(&self.http, origin).await?
        {
            let token = self.token(&mut assertion, &offer.applies_to, Some(&offer.policy)).await?;
            lifetime = token.lifetime;
            cookies = cookies::idcrl(&self.http, &offer, &token.text).await?;
        }
        let Some(cookies) = cookies else {
            return Err(Refusal::Host(refusal::no_cookies(session::is_retired(origin))));
        };
        let life = lifetime.unwrap_or(TOKEN_LIFETIME_UNSAID);
        Ok(Session::cookies(cookies, Instant::now() + (life / 2).min(SESSION_MAX)))
    }

    /// A token of the login host. The cloud itself is asked first, since it checks app passwords of federated domains too; a federation
    /// service only by accounts that say so, once, if the password is none that the cloud knows.
    async fn token(
        &self,
        assertion: &mut Option<adfs::Assertion>,
        applies_to: &str,
        policy: Option<&str>,
    ) -> Result<Token, Refusal> {
        let (password, may_ask_provider) = match &self.way {
            Way::Adfs(password) => (password, true),
            Way::Office365(password) | Way::Basic(password) => (password, false),
            Way::Oauth(_) => return Err(Refusal::Account(Explanation::of(codes::REFUSED))),
        };
        if assertion.is_none() && !self.federated.load(Ordering::Relaxed) {
            let proof = Proof::Password { user: &self.user, password };
            let issuer = Issuer { http: &self.http, login: &self.login, proof };
            match issuer.token(applies_to, policy).await {
                Err(Refusal::Account(why)) if why.code == codes::WRONG_PASSWORD.code => {
                    let why = Self::wrong(why, password);
                    if !may_ask_provider {
                        return Err(Refusal::Account(why));
                    }
                    *assertion = Some(self.assertion(password, why).await?);
                }
                told => return told,
            }
        }
        let said = match assertion.take() {
            Some(said) => said,
            None => self.assertion(password, Explanation::of(codes::WRONG_PASSWORD)).await?,
        };
        let issuer = Issuer { http: &self.http, login: &self.login, proof: Proof::Assertion(&said) };
        let token = issuer.token(applies_to, policy).await?;
        self.federated.store(true, Ordering::Relaxed);
        *assertion = Some(said);
        Ok(token)
    }

    /// What the domain's federation service says of the user; `refused` is why the cloud's own sign-in failed.
    async fn assertion(&self, password: &Secret, refused: Explanation) -> Result<adfs::Assertion, Refusal> {
        let realm = self.realm().await.map_err(|error| Refusal::Account(unreachable(&error)))?;
        let federation = match realm {
            Realm::Federated(federation) => federation,
            Realm::Managed => return Err(Refusal::Account(refused)),
            Realm::Unknown => return Err(Refusal::Account(Explanation::of(codes::NO_TENANT))),
        };
        let Some(active) = &federation.active else {
            return Err(Refusal::Account(Explanation::of(codes::ADFS_NO_ENDPOINT)));
        };
        let provider = adfs::Provider {
            http: &self.http,
            active,
            audience: federation.audience.as_deref().unwrap_or(AUDIENCE),
            user: &self.user,
            password,
        };
        provider.assertion().await
    }

    /// A password that the cloud does not take: what looks like an app password fails for reasons of its own.
    fn wrong(why: Explanation, password: &Secret) -> Explanation {
        if is_app_password(password.expose()) { Explanation::of(codes::APP_PASSWORD_REFUSED) } else { why }
    }
}

/// How long a 429 asks to stay away.
fn told_wait(response: &Response) -> Duration {
    response
        .header("retry-after")
        .and_then(|text| text.trim().parse().ok())
        .map_or(BACK_OFF_UNSAID, Duration::from_secs)
}
