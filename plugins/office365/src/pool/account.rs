//! One account of the pool: who it is, how it signs in, and how it has fared.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use larder_sdk::{Error, Host, Result, Secret, SecretRef};
use tokio::time::Instant;

use crate::{
    auth::{Application, ApplicationProof, SignIn, Way},
    codes::{self, Code},
    error::Explanation,
    http::Http,
    options::{AccountOptions, Authentication, Hosts, Service, clean_password},
};

/// How long a refused account is left alone the first time, unless the refusal says otherwise. A changed password or policy
/// takes minutes to spread, and each try counts towards a lockout.
const SET_ASIDE: Duration = Duration::from_secs(600);
/// Longest time an account is left alone.
const SET_ASIDE_MAX: Duration = Duration::from_secs(3600);
/// Bounds of the first pause between tries of a new credential: a twentieth of its grace, within these.
const GRACE_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Refusals that a change which has not spread yet may cause.
const MAY_BE_NEW: [&Code; 9] = [
    codes::WRONG_PASSWORD,
    codes::APP_PASSWORD_REFUSED,
    codes::MFA_OR_PASSWORD,
    codes::MFA_NOT_APP_PASSWORD,
    codes::MFA_ENROL,
    codes::POLICY_BLOCK,
    codes::OAUTH_CERTIFICATE_UNKNOWN,
    codes::OAUTH_SECRET_WRONG,
    codes::OAUTH_APP_UNKNOWN,
];

/// An account by its place in the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AccountId(pub(super) usize);

/// What does not change about an account while a set runs.
pub(super) struct Account {
    pub(super) user: String,
    /// For messages: the user, and the app password's label if it has one.
    pub(super) shown: String,
    pub(super) services: Vec<Service>,
    pub(super) sign_in: SignIn,
    /// For how long from the beginning a credential that was never accepted counts as new.
    grace: Duration,
    begun: Instant,
}

impl Account {
    /// The account that the config names. Finds its secrets; makes no request.
    pub(super) fn new(given: &AccountOptions, hosts: &Hosts, http: &Http, host: &Host) -> Result<Self> {
        let shown = match &given.label {
            Some(label) => format!("{} ({label})", given.user),
            None => given.user.clone(),
        };
        let way = way(given, hosts, host, &shown)?;
        Ok(Self {
            sign_in: SignIn::new(http.clone(), hosts.login.clone(), given.user.clone(), way),
            user: given.user.clone(),
            shown,
            services: given.services.clone(),
            grace: Duration::from_secs(given.grace_seconds.into()),
            begun: Instant::now(),
        })
    }

    /// A refusal in the light of how new the credential is: one that was never accepted may not be in effect yet.
    pub(super) fn judge(&self, why: Explanation, accepted: bool, now: Instant) -> Explanation {
        let left = (self.begun + self.grace).saturating_duration_since(now);
        let may_be = MAY_BE_NEW.iter().any(|code| code.code == why.code);
        if accepted || left.is_zero() || !may_be {
            return why;
        }
        let pause = (self.grace / 20).clamp(GRACE_PAUSE.0, GRACE_PAUSE.1);
        Explanation::of_passing(codes::NOT_YET_IN_EFFECT, pause).saying(&format!(
            "it is tried again for {} s ({})",
            left.as_secs().max(1),
            why.message
        ))
    }
}

/// How an account signs in, with its secrets.
fn way(given: &AccountOptions, hosts: &Hosts, host: &Host, shown: &str) -> Result<Way> {
    let found = |what: &str, reference: Option<&SecretRef>| {
        let reference = reference.ok_or_else(|| Error::bug("it is missing, and passed the check"));
        let secret = reference.and_then(|reference| host.secret(reference));
        secret.map_err(|error| error.context(format!("the {what} of {shown}")))
    };
    let password = || found("password", given.password.as_ref()).map(|secret| clean_password(&secret));
    Ok(match given.authentication {
        Authentication::Office365 => Way::Office365(password()?),
        Authentication::Adfs => Way::Adfs(password()?),
        Authentication::Basic | Authentication::Ntlm => Way::Basic(password()?),
        Authentication::Oauth => {
            let proof = if let Some(secret) = &given.client_secret {
                let secret = found("client_secret", Some(secret))?;
                ApplicationProof::Secret(Secret::new(secret.expose().trim()))
            } else {
                let pem = found("certificate", given.certificate.as_ref())?;
                ApplicationProof::certificate(&pem).map_err(|error| error.context(shown))?
            };
            Way::Oauth(Application {
                client_id: given.client_id.clone().unwrap_or_default(),
                proof,
                endpoint: Application::endpoint(&hosts.login, &hosts.authority),
            })
        }
    })
}

/// Why an account is set aside, and until when.
#[derive(Clone, Debug)]
pub(super) struct Quarantine {
    pub(super) reason: Explanation,
    pub(super) probe_at: Instant,
    /// How often in a row.
    pub(super) times: u32,
}

impl Quarantine {
    /// The next quarantine after `before`, each twice as long as the last.
    pub(super) fn next(before: Option<&Self>, reason: Explanation, now: Instant) -> Self {
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        let wait = reason.again_after.unwrap_or(SET_ASIDE).saturating_mul(1 << (times - 1).min(10));
        Self { probe_at: now + wait.min(SET_ASIDE_MAX), reason, times }
    }
}

/// Whether a request on its way is alive: the server owes something, or somebody reads what has come.
#[derive(Debug)]
pub(super) struct Activity(Mutex<(bool, Instant)>);

impl Activity {
    /// A request about to be sent.
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new((true, now)))
    }
    /// Notes whether somebody waits for the server.
    pub(super) fn waiting(&self, waiting: bool, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (waiting, now);
    }
    /// True if nobody has asked for more of the answer for `time`.
    pub(super) fn stalled(&self, now: Instant, time: Duration) -> bool {
        let (waiting, last) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !waiting && now.saturating_duration_since(last) >= time
    }
}
