//! The pool: every request takes the account that may go soonest, and no account goes before its time.
//!
//! Limits are Microsoft's per account and service, so each account has a *lane* per service with a bound on requests at once and a
//! fence that a throttle raises. An account that cannot sign in is set aside with its reason and tried again later.

mod account;
mod caller;
mod schedule;
mod verdict;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use larder_sdk::{Error, ErrorKind, Host, LogLevel, ReaderHost, Result};
use tokio::{sync::Notify, time::Instant};

pub(crate) use account::AccountId;
pub(crate) use caller::{Caller, Tries};

use crate::{
    auth::{SignIn, Way},
    error::Explanation,
    http::{Http, Lease},
    options::{Hosts, Options, Service},
};
use account::{Account, Activity, Quarantine};
use schedule::{Choice, Lane, Standing, choose};

/// Longest time one request waits for back-offs before it fails.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// How often a waiter looks again even if nobody woke it: answers that stall lend their place without a sound.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Most refusals (account and host or site) remembered; the map is emptied beyond that, which costs a request each.
const REFUSALS_MAX: usize = 10_000;

/// See the module.
pub(crate) struct Pool {
    http: Http,
    host: Host,
    accounts: Vec<Account>,
    standings: Mutex<Vec<Standing>>,
    /// Accounts refused by a host, or by a site or mailbox, and why.
    refusals: Mutex<HashMap<String, BTreeMap<usize, Explanation>>>,
    counts: Vec<Counts>,
    changed: Notify,
    next_number: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    throttled: AtomicU64,
}

impl Pool {
    /// A pool of the accounts that `options` name. Finds their passwords; makes no request.
    pub(crate) fn new(options: &Options, hosts: &Hosts, host: Host) -> Result<Arc<Self>> {
        let http = Http::new(hosts.loopback)?;
        let mut accounts = Vec::with_capacity(options.accounts.len());
        let mut standings = Vec::with_capacity(options.accounts.len());
        for given in &options.accounts {
            let account = Account::new(given, hosts, &http, &host)?;
            let lane = |service| Lane::new(given.services.contains(&service), given.max_concurrency);
            standings.push(Standing { lanes: Service::ALL.map(lane), quarantine: None });
            accounts.push(account);
        }
        Ok(Arc::new(Self {
            http,
            host,
            counts: accounts.iter().map(|_| Counts::default()).collect(),
            accounts,
            standings: Mutex::new(standings),
            refusals: Mutex::default(),
            changed: Notify::new(),
            next_number: AtomicU64::new(0),
        }))
    }

    /// The accounts used for a service.
    pub(crate) fn accounts(&self, service: Service) -> Vec<AccountId> {
        let uses = |at: &usize| self.accounts[*at].services.contains(&service);
        (0..self.accounts.len()).filter(uses).map(AccountId).collect()
    }

    /// An account's user name.
    pub(crate) fn user(&self, account: AccountId) -> &str {
        &self.accounts[account.0].user
    }

    /// An account as messages show it.
    pub(crate) fn shown(&self, account: AccountId) -> &str {
        &self.accounts[account.0].shown
    }

    /// True if an application is among a service's accounts: it opens nothing in its own name.
    pub(crate) fn has_application(&self, service: Service) -> bool {
        self.accounts(service).iter().any(|account| matches!(self.sign_in(*account).way(), Way::Oauth(_)))
    }

    /// How an account signs in, for checks that concern one account alone.
    pub(crate) fn sign_in(&self, account: AccountId) -> &SignIn {
        &self.accounts[account.0].sign_in
    }

    /// Writes a log line.
    pub(crate) fn log(&self, level: LogLevel, text: &str) {
        self.host.log(level, text);
    }

    /// The client all accounts share.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// Keeps an account away from a service: not one request of it is sent before the time has passed.
    pub(crate) fn back_off(&self, account: AccountId, service: Service, wait: Duration) {
        self.counts[account.0].throttled.fetch_add(1, Ordering::Relaxed);
        // The moment is taken under the lock that every sender takes before it sends.
        let mut standings = self.standings();
        let until = Instant::now().checked_add(wait).unwrap_or_else(|| Instant::now() + WAIT_MAX * 24);
        standings[account.0].lane_mut(service).back_off(until);
        drop(standings);
        self.changed.notify_waiters();
    }

    /// Notes that a site or mailbox (`key`) refuses an account, so that others are asked. True if there is another to ask.
    pub(crate) fn refuse(&self, account: AccountId, service: Service, key: &str, why: Explanation) -> bool {
        let mut refusals = lock(&self.refusals);
        if refusals.len() >= REFUSALS_MAX {
            refusals.clear();
        }
        let of_key = refusals.entry(key.to_owned()).or_default();
        of_key.insert(account.0, why);
        let refused: Vec<usize> = of_key.keys().copied().collect();
        drop(refusals);
        let standings = self.standings();
        let now = Instant::now();
        let usable = |at: usize| {
            let aside = standings[at].quarantine.as_ref().is_some_and(|quarantine| quarantine.probe_at > now);
            !aside && !refused.contains(&at) && standings[at].lane(service).used
        };
        (0..standings.len()).any(usable)
    }

    /// What a refusal of an account means, in the light of how new its credential is.
    pub(crate) fn judge(&self, account: AccountId, why: Explanation) -> Explanation {
        let accepted = self.standings()[account.0].accepted();
        self.accounts[account.0].judge(why, accepted, Instant::now())
    }

    /// Sets an account aside with its reason.
    pub(crate) fn set_aside(&self, account: AccountId, reason: Explanation) {
        let reason = self.judge(account, reason);
        let text = format!("{} is set aside: {}", self.accounts[account.0].shown, reason.message);
        let mut standings = self.standings();
        let standing = &mut standings[account.0];
        let now = Instant::now();
        let known = standing.quarantine.as_ref().is_some_and(|before| before.probe_at > now);
        if !known {
            standing.quarantine = Some(Quarantine::next(standing.quarantine.as_ref(), reason, now));
        }
        drop(standings);
        if !known {
            self.host.log(LogLevel::Warning, &text);
        }
        self.changed.notify_waiters();
    }

    fn count_request(&self, account: AccountId) {
        self.counts[account.0].requests.fetch_add(1, Ordering::Relaxed);
    }

    fn standings(&self) -> MutexGuard<'_, Vec<Standing>> {
        lock(&self.standings)
    }

    /// Waits until an account may go and takes a place among its requests. `keys` are those whose refusals count.
    async fn place(
        self: &Arc<Self>,
        service: Service,
        only: Option<AccountId>,
        keys: &[&str],
        deadline: Instant,
        reader: Option<&ReaderHost>,
    ) -> Result<Place> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = Instant::now();
            let choice = self.take(service, only, keys, now);
            let (until, account) = match choice {
                Ok(place) => return Ok(place),
                Err(Choice::Wait { until, account }) => (until, account),
                Err(_) => return Err(self.nobody(service, only, keys)),
            };
            if let Some(until) = until {
                if until > deadline {
                    return Err(Error::new(
                        ErrorKind::RetryAfter,
                        format!(
                            "all accounts were asked to wait, {} the least",
                            self.accounts[account].shown
                        ),
                    )
                    .with_retry_after(until - now));
                }
                let wait = until - now;
                if let Some(reader) = reader.filter(|_| wait >= LOOK_AGAIN) {
                    let text =
                        format!("waiting {} s for {}", wait.as_secs().max(1), self.accounts[account].user);
                    reader.progress(&text);
                }
            }
            let look = now + LOOK_AGAIN;
            let _ = tokio::time::timeout_at(until.map_or(look, |until| until.min(look)), changed).await;
            // To wait for one's turn among an account's requests is no throttle.
            if let Some(reader) = reader.filter(|_| until.is_some()) {
                reader.waited(&self.accounts[account].shown, now.elapsed());
            }
        }
    }

    fn take(
        self: &Arc<Self>,
        service: Service,
        only: Option<AccountId>,
        keys: &[&str],
        now: Instant,
    ) -> std::result::Result<Place, Choice> {
        let refused = |at: usize| {
            let refusals = lock(&self.refusals);
            keys.iter().any(|key| refusals.get(*key).is_some_and(|accounts| accounts.contains_key(&at)))
        };
        let mut standings = self.standings();
        let at =
            match choose(&standings, service, now, |at| only.is_none_or(|only| only.0 == at) && !refused(at))
            {
                Choice::Go(at) => at,
                other => return Err(other),
            };
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let activity = Arc::new(Activity::new(now));
        let lane = standings[at].lane_mut(service);
        lane.served += 1;
        lane.on_the_way.insert(number, Arc::clone(&activity));
        Ok(Place { pool: Arc::clone(self), account: AccountId(at), service, number, activity })
    }

    /// The error when no account is left: each with its reason.
    fn nobody(&self, service: Service, only: Option<AccountId>, keys: &[&str]) -> Error {
        let standings = self.standings();
        let refusals = lock(&self.refusals);
        let mut reasons = Vec::new();
        for (at, account) in self.accounts.iter().enumerate() {
            let refusal =
                keys.iter().find_map(|key| refusals.get(*key).and_then(|accounts| accounts.get(&at)));
            let reason = standings[at].quarantine.as_ref().map(|quarantine| &quarantine.reason).or(refusal);
            let asked = only.is_none_or(|only| only.0 == at) && account.services.contains(&service);
            if let (true, Some(reason)) = (asked, reason) {
                reasons.push((account.shown.as_str(), reason));
            }
        }
        let Some((_, first)) = reasons.first() else {
            return Error::bug(format!("no account serves {}", service.as_str()));
        };
        let same_code = reasons.iter().all(|(_, reason)| reason.code == first.code);
        let kind = match reasons.iter().find(|(_, reason)| reason.passes()) {
            Some((_, passing)) => passing.kind,
            None if reasons.iter().all(|(_, reason)| reason.kind == ErrorKind::Denied) => ErrorKind::Denied,
            None => ErrorKind::Authentication,
        };
        let listed: Vec<String> =
            reasons.iter().map(|(who, reason)| format!("{who}: {}", reason.message)).collect();
        let error =
            Error::new(kind, format!("no account is left for {}; {}", service.as_str(), listed.join("; ")))
                .with_code(if same_code { first.code } else { "no-account-left" });
        if first.hint.is_empty() { error } else { error.with_hint(first.hint) }
    }
}

impl Drop for Pool {
    /// Says what the accounts did, so that people can see which of them waited.
    fn drop(&mut self) {
        for (account, counts) in self.accounts.iter().zip(&self.counts) {
            let (requests, throttled) =
                (counts.requests.load(Ordering::Relaxed), counts.throttled.load(Ordering::Relaxed));
            if requests > 0 {
                let text = format!("{}: {requests} requests, throttled {throttled} times", account.shown);
                self.host.log(LogLevel::Debug, &text);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place among an account's requests at once; given back on drop.
struct Place {
    pool: Arc<Pool>,
    account: AccountId,
    service: Service,
    number: u64,
    activity: Arc<Activity>,
}

impl Place {
    fn with_lane<T>(&self, work: impl FnOnce(&mut Lane) -> T) -> T {
        work(self.pool.standings()[self.account.0].lane_mut(self.service))
    }

    /// True if the account may send now; asked right before every request.
    fn may_send(&self) -> bool {
        self.with_lane(|lane| lane.fence(Instant::now()).is_none())
    }

    /// The service took the account's request.
    fn succeeded(&self) {
        let mut standings = self.pool.standings();
        let standing = &mut standings[self.account.0];
        standing.quarantine = None;
        standing.lane_mut(self.service).succeeded();
    }
}

impl Lease for Place {
    fn waiting(&self, waiting: bool) {
        self.activity.waiting(waiting, Instant::now());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.with_lane(|lane| lane.on_the_way.remove(&self.number));
        self.pool.changed.notify_waiters();
    }
}
