//! The tenant's accounts: who may sign in, with which password, and what refuses them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::federation::FEDERATED_DOMAIN;

/// Domain of every user.
pub const DOMAIN: &str = "contoso.example";

/// People with a mailbox and a name on documents, who do not sign in: local part and display name.
pub const PEOPLE: [(&str, &str); 5] = [
    ("ann", "Ann Archer"),
    ("bob", "Bob Baker"),
    ("carol", "Carol Cook"),
    ("dora", "Dora Dyer"),
    ("eve", "Eve Eaton"),
];

/// Failed sign-ins with different passwords before the account is locked.
const LOCKOUT_FAILURES: usize = 10;
/// How long a lockout lasts.
const LOCKOUT: Duration = Duration::from_secs(60);

/// Whether per-user multi-factor authentication stands between the normal password and a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mfa {
    /// The normal password passes; there are no app passwords.
    Disabled,
    /// Registration is still due: the normal password is answered "enrol first".
    Enabled,
    /// Only an app password passes legacy sign-in.
    Enforced,
}

/// Why a sign-in is refused; each stands for one family of Microsoft's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// 50126
    WrongPassword,
    /// 50034
    NoUser,
    /// 50076: the normal password of an account that needs a second factor.
    MfaRequired,
    /// 50079
    MfaEnrol,
    /// 50158
    ThirdPartyMfa,
    /// 53003
    PolicyBlock,
    /// 50053
    Locked,
    /// 50055
    PasswordExpired,
    /// 50057
    Disabled,
    /// 50196
    TooManySignIns,
    /// 90033
    Transient,
    /// HTTP 200, right password, and no token in the answer.
    NoToken,
}

/// What an account can do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Signs in with its app password (or normal one, by [`Mfa`]).
    Active,
    /// Its app password was deleted: sessions die, sign-ins fail as a wrong password.
    Revoked,
    /// Every sign-in is refused so, even with the right password. Living sessions go on.
    Refused(Refusal),
    /// A change has not spread yet: so many sign-ins fail as a wrong password, then it is active.
    Spreading {
        /// Sign-ins still to be refused.
        refusals: u32,
    },
}

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user principal name, lower case.
    pub user: String,
    /// Shown as author and editor.
    pub display_name: String,
    /// The normal password.
    pub password: String,
    /// The app password.
    pub app_password: String,
    /// See [`Mfa`].
    pub mfa: Mfa,
    /// See [`AccountState`].
    pub state: AccountState,
    /// May use the tenant's admin host.
    pub tenant_admin: bool,
    /// May open other people's mailboxes by impersonation.
    pub impersonation: bool,
    /// Server-relative sites this account is refused.
    pub denied_sites: BTreeSet<String>,
}

impl Account {
    /// An account `service1` of the federated domain: the cloud knows its app password, its own service the normal one.
    pub fn federated(number: u32) -> Self {
        let user = format!("service{number}@{FEDERATED_DOMAIN}");
        Self { user, display_name: format!("Service {number}"), ..Self::backup(number + 1000) }
    }

    fn is_federated(&self) -> bool {
        self.user.rsplit_once('@').is_some_and(|(_, domain)| domain == FEDERATED_DOMAIN)
    }

    /// Whether the domain's own service takes a password.
    pub(crate) fn is_known_to_provider(&self, password: &str) -> bool {
        self.is_federated()
            && self.password == password
            && self.state != AccountState::Refused(Refusal::Disabled)
    }

    /// A pool account `backupN`, active, with an app password of its own.
    pub fn backup(number: u32) -> Self {
        let letters: String = (0..16u32)
            .map(|at| char::from(b'a' + ((at * 7 + number * 5 + at * at * number) % 26) as u8))
            .collect();
        Self {
            user: format!("backup{number}@{DOMAIN}"),
            display_name: format!("Backup {number}"),
            password: format!("P@ss<{number}>&\"word\""),
            app_password: letters,
            mfa: Mfa::Enforced,
            state: AccountState::Active,
            tenant_admin: false,
            impersonation: true,
            denied_sites: BTreeSet::new(),
        }
    }
}

#[derive(Debug, Default)]
struct Failures {
    passwords: BTreeSet<[u8; 32]>,
    locked_until: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    account: Account,
    failures: Failures,
}

/// All accounts, by user name; names are compared without case.
#[derive(Debug)]
pub struct Accounts {
    entries: Mutex<BTreeMap<String, Entry>>,
}

impl Accounts {
    /// Holds `accounts`; a later one with the same user name replaces an earlier one.
    pub fn new(accounts: impl IntoIterator<Item = Account>) -> Self {
        let entries = accounts
            .into_iter()
            .map(|account| (account.user.clone(), Entry { account, failures: Failures::default() }))
            .collect();
        Self { entries: Mutex::new(entries) }
    }

    /// Judges a user name and password as legacy sign-in does. Wrong passwords count towards a lockout.
    pub fn check(&self, user: &str, password: &str) -> Result<Account, Refusal> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&user.to_ascii_lowercase()).ok_or(Refusal::NoUser)?;
        let now = Instant::now();
        if entry.failures.locked_until.is_some_and(|until| now < until) {
            return Err(Refusal::Locked);
        }
        if let AccountState::Spreading { refusals } = &mut entry.account.state {
            if *refusals > 0 {
                *refusals -= 1;
                return Err(Refusal::WrongPassword);
            }
            entry.account.state = AccountState::Active;
        }
        let account = &entry.account;
        if let AccountState::Refused(why) = account.state {
            return Err(why);
        }
        let verdict = judge(account, password);
        if verdict == Err(Refusal::WrongPassword) {
            entry.failures.passwords.insert(*blake3::hash(password.as_bytes()).as_bytes());
            if entry.failures.passwords.len() >= LOCKOUT_FAILURES {
                entry.failures = Failures { passwords: BTreeSet::new(), locked_until: Some(now + LOCKOUT) };
            }
        }
        verdict.map(|()| account.clone())
    }

    /// Judges a user for whom the domain's own service vouches.
    pub fn check_vouched(&self, user: &str) -> Result<Account, Refusal> {
        let account = self.get(user).filter(Account::is_federated).ok_or(Refusal::NoUser)?;
        match account.state {
            AccountState::Refused(why) => Err(why),
            _ => Ok(account),
        }
    }

    /// The account of `user`, if there is one.
    pub fn get(&self, user: &str) -> Option<Account> {
        self.lock().get(&user.to_ascii_lowercase()).map(|entry| entry.account.clone())
    }

    /// All accounts, by user name.
    pub fn all(&self) -> Vec<Account> {
        self.lock().values().map(|entry| entry.account.clone()).collect()
    }

    /// Changes an account in place; false if there is none of that name.
    pub fn update(&self, user: &str, change: impl FnOnce(&mut Account)) -> bool {
        match self.lock().get_mut(&user.to_ascii_lowercase()) {
            Some(entry) => {
                change(&mut entry.account);
                entry.failures = Failures::default();
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(account: &Account, password: &str) -> Result<(), Refusal> {
    let app = account.mfa == Mfa::Enforced && password == account.app_password;
    if app && account.state == AccountState::Active {
        return Ok(());
    }
    // What only the domain's own service knows is wrong here.
    if password != account.password || account.is_federated() {
        return Err(Refusal::WrongPassword);
    }
    match account.mfa {
        Mfa::Disabled => Ok(()),
        Mfa::Enabled => Err(Refusal::MfaEnrol),
        Mfa::Enforced => Err(Refusal::MfaRequired),
    }
}
