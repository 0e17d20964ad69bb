//! Signing in: from a user and an app password to the headers that a request needs.

mod basic;
mod cookies;
mod realm;
mod refusal;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod wstrust;
mod xml;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use larder_sdk::Secret;
use tokio::{sync::Mutex as AsyncMutex, time::Instant};
use url::Url;

use crate::{
    error::Explanation,
    http::{Expects, Http, HttpError, Request, Response},
    options::{Authentication, Service},
};

pub(crate) use basic::refused as refused_basic;
pub(crate) use realm::Realm;
pub(crate) use refusal::{federated, no_tenant};

/// Longest time a session is used, whatever its token says.
const SESSION_MAX: Duration = Duration::from_secs(12 * 3600);
/// Lifetime assumed of a token that does not tell.
const TOKEN_LIFETIME_UNSAID: Duration = Duration::from_secs(3600);
/// For how long a failed sign-in answers for those who were waiting for it.
const FAILURE_SHARED: Duration = Duration::from_secs(10);

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

/// What a signed-in request carries. Never printed.
pub(crate) struct Session {
    headers: Vec<(&'static str, String)>,
    renew_at: Option<Instant>,
}

impl Session {
    /// Puts the session's headers on a request.
    pub(crate) fn apply(&self, request: Request) -> Request {
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value.as_str()))
    }
    /// True if a new sign-in may give another session.
    pub(crate) fn is_renewable(&self) -> bool {
        self.renew_at.is_some()
    }
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
    password: Secret,
    authentication: Authentication,
    hosts: Mutex<HashMap<String, Arc<AsyncMutex<HostState>>>>,
}

impl SignIn {
    /// Makes no request.
    pub(crate) fn new(
        http: Http,
        login: Url,
        user: String,
        password: Secret,
        authentication: Authentication,
    ) -> Self {
        Self { http, login, user, password, authentication, hosts: Mutex::default() }
    }

    /// The session for a URL's host: the living one, or a new one.
    pub(crate) async fn session(&self, service: Service, url: &Url) -> Result<Arc<Session>, Refusal> {
        if service == Service::Exchange || self.authentication == Authentication::Basic {
            let headers = vec![("Authorization", basic::header(&self.user, &self.password))];
            return Ok(Arc::new(Session { headers, renew_at: None }));
        }
        let state = self.state(url);
        let mut state = state.lock().await;
        let now = Instant::now();
        if let Some(session) =
            state.session.as_ref().filter(|session| session.renew_at.is_none_or(|at| now < at))
        {
            return Ok(Arc::clone(session));
        }
        let fresh = |at: &Instant| now.saturating_duration_since(*at) < FAILURE_SHARED;
        if let Some((_, refusal)) = state.failure.as_ref().filter(|(at, _)| fresh(at)) {
            return Err(refusal.clone());
        }
        match self.cookies(url).await {
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

    /// Asks the login host what it knows of the account's domain.
    pub(crate) async fn realm(&self) -> Result<Realm, HttpError> {
        realm::realm(&self.http, &self.login, &self.user).await
    }

    fn state(&self, url: &Url) -> Arc<AsyncMutex<HostState>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(url.origin().ascii_serialization()).or_default())
    }

    /// A token for the host, and the host's cookies for the token: by both ways, the usual one first.
    async fn cookies(&self, url: &Url) -> Result<Session, Refusal> {
        let origin = url.origin().ascii_serialization();
        let issuer = wstrust::Issuer {
            http: &self.http,
            login: &self.login,
            user: &self.user,
            password: &self.password,
        };
        let token = issuer.token(&origin, None).await?;
        let mut lifetime = token.lifetime;
        let mut tried = cookies::fed_auth(&self.http, &origin, &token.text).await?;
        if tried.cookies.is_none()
            && let Some(offer) = cookies::idcrl_offer(&self.http, &origin).await?
        {
            let token = issuer.token(&offer.applies_to, Some(&offer.policy)).await?;
            lifetime = token.lifetime;
            let second = cookies::idcrl(&self.http, &offer, &token.text).await?;
            tried = cookies::Tried { blocked: tried.blocked || second.blocked, ..second };
        }
        let Some(cookies) = tried.cookies else {
            return Err(Refusal::Host(refusal::no_cookies(tried.blocked)));
        };
        let life = lifetime.unwrap_or(TOKEN_LIFETIME_UNSAID);
        let headers = vec![("Cookie", cookies), ("X-FORMS_BASED_AUTH_ACCEPTED", "f".to_owned())];
        Ok(Session { headers, renew_at: Some(Instant::now() + (life / 2).min(SESSION_MAX)) })
    }
}

/// True if an answer means that the session is gone rather than that the account may not.
pub(crate) fn session_is_dead(request: &Request, response: &Response) -> bool {
    if response.header("x-virus-infected").is_some() {
        return false;
    }
    match response.status() {
        401 => true,
        403 => response.header("x-forms_based_auth_required").is_some(),
        300..=399 => {
            let to = response.header("location").unwrap_or_default().to_ascii_lowercase();
            to.contains("/_layouts/15/authenticate.aspx")
                || to.contains("/_forms/default.aspx")
                || to.contains("login")
        }
        200 => response.is_html() && request.expects != Expects::Any,
        _ => false,
    }
}

/// Why a session that was just made is not taken.
pub(crate) fn refused_session(response: &Response) -> Explanation {
    if cookies::is_blocked(response) {
        return refusal::no_cookies(true);
    }
    Explanation::lasting(
        "session-refused",
        format!("signed in, but {} answered {} as if not", response.url(), response.status()),
        "check the site's access policies for this account (unmanaged devices, network location)",
    )
}
