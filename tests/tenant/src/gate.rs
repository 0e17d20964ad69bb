//! Admission: every request of a known account passes here before a service looks at it.
//!
//! Each account has, per service, a token bucket, a bound on requests at once and a penalty. Going over a bound puts
//! the account into back-off; a request that arrives while the back-off runs is a violation, counted and answered
//! with a throttle again. Requests already on the wire when the back-off began cannot have known: those arriving in
//! the first `grace_ms` are throttled without being held against the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counters::Counters;
use crate::fault::{FaultKind, Faults};

/// A Microsoft service with limits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Token and realm requests.
    Login,
    /// SharePoint, OneDrive and the admin host.
    SharePoint,
    /// Exchange web services.
    Exchange,
}

impl Service {
    /// The name in counters and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::SharePoint => "sharepoint",
            Self::Exchange => "exchange",
        }
    }
}

/// Limits of one account at one service.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttle {
    /// Requests per second in the long run; none: no limit.
    pub per_second: Option<f64>,
    /// Requests that may come at once after a rest.
    pub burst: u32,
    /// Requests at the same time; none: no limit.
    pub max_concurrent: Option<u32>,
    /// Length of a back-off, in milliseconds.
    pub penalty_ms: u64,
    /// Start of a back-off in which arriving requests are no violations, in milliseconds.
    pub grace_ms: u64,
    /// Time each admitted request takes at least, in milliseconds.
    pub latency_ms: u64,
    /// Status SharePoint throttles with: 429 or 503.
    pub status: u16,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            per_second: None,
            burst: 20,
            max_concurrent: None,
            penalty_ms: 2000,
            grace_ms: 50,
            latency_ms: 0,
            status: 429,
        }
    }
}

/// Which bound was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleReason {
    /// Too many requests in a time.
    Rate,
    /// Too many requests at once.
    Concurrency,
}

/// The gate's answer.
#[derive(Debug)]
pub enum Admission {
    /// Go on; hold the permit until the answer's body is built (or sent, if it is a stream).
    Pass(Permit),
    /// Answer "too busy".
    Throttled {
        /// How long the account must stay away.
        retry_after: Duration,
        /// Why.
        reason: ThrottleReason,
    },
    /// Act out this fault.
    Fault(FaultKind),
}

type Key = (String, Service);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
    backoff: Option<(Instant, Instant)>,
    active: u32,
}

#[derive(Debug, Default)]
struct Inner {
    throttles: HashMap<Key, Throttle>,
    default: HashMap<Service, Throttle>,
    buckets: HashMap<Key, Bucket>,
}

/// See the module.
#[derive(Debug)]
pub struct Gate {
    inner: Arc<Mutex<Inner>>,
    counters: Arc<Counters>,
    faults: Arc<Faults>,
}

/// A slot among the account's requests at once; given back on drop.
#[derive(Debug)]
pub struct Permit {
    inner: Arc<Mutex<Inner>>,
    key: Key,
    latency: Duration,
}

impl Permit {
    /// Waits as long as the service is set to take for a request.
    pub async fn wait(&self) {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(bucket) = lock(&self.inner).buckets.get_mut(&self.key) {
            bucket.active = bucket.active.saturating_sub(1);
        }
    }
}

impl Gate {
    /// A gate without limits.
    pub fn new(counters: Arc<Counters>, faults: Arc<Faults>) -> Self {
        Self { inner: Arc::default(), counters, faults }
    }

    /// Sets the limits of one account at one service, or of all accounts without limits of their own.
    pub fn set_throttle(&self, account: Option<&str>, service: Service, throttle: Throttle) {
        let mut inner = lock(&self.inner);
        if let Some(account) = account {
            let key = (account.to_ascii_lowercase(), service);
            inner.buckets.remove(&key);
            inner.throttles.insert(key, throttle);
        } else {
            inner.buckets.retain(|(_, of), _| *of != service);
            inner.default.insert(service, throttle);
        }
    }

    /// The status SharePoint throttles this account with.
    pub fn throttle_status(&self, account: &str) -> u16 {
        throttle_of(&lock(&self.inner), &(account.to_ascii_lowercase(), Service::SharePoint)).status
    }

    /// Counts the request and decides about it.
    pub fn admit(&self, account: &str, service: Service, operation: &str) -> Admission {
        self.admit_at(Instant::now(), account, service, operation)
    }

    fn admit_at(&self, now: Instant, account: &str, service: Service, operation: &str) -> Admission {
        self.counters.request(account, service, operation);
        let key: Key = (account.to_ascii_lowercase(), service);
        let mut inner = lock(&self.inner);
        let throttle = throttle_of(&inner, &key);
        let bucket = inner.buckets.entry(key.clone()).or_insert_with(|| Bucket {
            tokens: f64::from(throttle.burst),
            filled_at: now,
            backoff: None,
            active: 0,
        });
        if let Err((retry_after, reason, violation)) = bucket.take(now, &throttle) {
            drop(inner);
            self.counters.throttled(account, violation);
            return Admission::Throttled { retry_after, reason };
        }
        bucket.active += 1;
        drop(inner);
        // Made before the fault is drawn, so that its drop gives the slot back in either case.
        let permit = Permit {
            inner: Arc::clone(&self.inner),
            key,
            latency: Duration::from_millis(throttle.latency_ms),
        };
        match self.faults.for_request(service, account, operation) {
            Some(kind) => {
                self.counters.fault();
                Admission::Fault(kind)
            }
            None => Admission::Pass(permit),
        }
    }
}

impl Bucket {
    /// Takes a token, or says how long to stay away, why, and whether coming was a violation.
    fn take(&mut self, now: Instant, throttle: &Throttle) -> Result<(), (Duration, ThrottleReason, bool)> {
        if let Some((since, until)) = self.backoff {
            if now < until {
                let violation = now.duration_since(since) >= Duration::from_millis(throttle.grace_ms);
                return Err((until - now, ThrottleReason::Rate, violation));
            }
            // Whoever stayed away is let in: the bucket went on filling, and holds one token at least.
            self.backoff = None;
            self.fill(now, throttle);
            self.tokens = self.tokens.max(1.0);
        }
        let penalty = Duration::from_millis(throttle.penalty_ms);
        if throttle.max_concurrent.is_some_and(|most| self.active >= most) {
            self.backoff = Some((now, now + penalty));
            return Err((penalty, ThrottleReason::Concurrency, false));
        }
        if throttle.per_second.is_none() {
            return Ok(());
        }
        self.fill(now, throttle);
        if self.tokens < 1.0 {
            self.backoff = Some((now, now + penalty));
            return Err((penalty, ThrottleReason::Rate, false));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    fn fill(&mut self, now: Instant, throttle: &Throttle) {
        let gained = now.duration_since(self.filled_at).as_secs_f64() * throttle.per_second.unwrap_or(0.0);
        self.tokens = (self.tokens + gained).min(f64::from(throttle.burst));
        self.filled_at = now;
    }
}

fn throttle_of(inner: &Inner, key: &Key) -> Throttle {
    inner.throttles.get(key).or_else(|| inner.default.get(&key.1)).copied().unwrap_or_default()
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Service = Service::SharePoint;

    fn gate(throttle: Throttle) -> Gate {
        let gate = Gate::new(Arc::default(), Arc::new(Faults::new(1)));
        gate.set_throttle(None, SERVICE, throttle);
        gate
    }

    fn passes(gate: &Gate, account: &str, at: Instant) -> bool {
        matches!(gate.admit_at(at, account, SERVICE, "op"), Admission::Pass(_))
    }

    fn violations(gate: &Gate, account: &str) -> u64 {
        gate.counters.snapshot().inside_backoff.get(account).copied().unwrap_or(0)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let gate =
            gate(Throttle { per_second: Some(10.0), burst: 3, penalty_ms: 1000, ..Throttle::default() });
        let start = Instant::now();
        assert_eq!((0..5).filter(|_| passes(&gate, "ann", start)).count(), 3);
        let paced = self::gate(Throttle {
            per_second: Some(10.0),
            burst: 1,
            penalty_ms: 1000,
            ..Throttle::default()
        });
        let step = Duration::from_millis(100);
        assert!((0..20).all(|number| passes(&paced, "ann", start + step * number)), "the rate itself passes");
    }

    #[test]
    fn coming_back_too_early_is_a_violation_once_it_could_be_known() {
        let gate = gate(Throttle {
            per_second: Some(1.0),
            burst: 1,
            penalty_ms: 1000,
            grace_ms: 50,
            ..Throttle::default()
        });
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        assert!(passes(&gate, "ann", start));
        let Admission::Throttled { retry_after, reason } = gate.admit_at(after(1), "ann", SERVICE, "op")
        else {
            panic!("the second request is one too many");
        };
        assert_eq!((retry_after, reason), (Duration::from_secs(1), ThrottleReason::Rate));
        assert!(!passes(&gate, "ann", after(20)));
        assert_eq!(violations(&gate, "ann"), 0, "it was on the wire already");
        assert!(!passes(&gate, "ann", after(500)));
        assert_eq!(violations(&gate, "ann"), 1);
        assert!(passes(&gate, "ann", after(1001)), "after the back-off all is well");
        assert_eq!(violations(&gate, "ann"), 1);
    }

    #[test]
    fn accounts_and_services_do_not_share_limits() {
        let gate = gate(Throttle { per_second: Some(1.0), burst: 1, ..Throttle::default() });
        let start = Instant::now();
        assert!(passes(&gate, "ann", start));
        assert!(!passes(&gate, "ANN", start), "names are compared without case");
        assert!(passes(&gate, "bob", start));
        assert!(matches!(gate.admit_at(start, "ann", Service::Exchange, "op"), Admission::Pass(_)));
    }

    #[test]
    fn a_slot_is_held_until_its_permit_is_dropped() {
        let gate = gate(Throttle { max_concurrent: Some(1), penalty_ms: 10, ..Throttle::default() });
        let start = Instant::now();
        let first = gate.admit_at(start, "ann", SERVICE, "op");
        assert!(matches!(
            gate.admit_at(start, "ann", SERVICE, "op"),
            Admission::Throttled { reason: ThrottleReason::Concurrency, .. }
        ));
        drop(first);
        assert!(passes(&gate, "ann", start + Duration::from_millis(11)));
    }

    #[test]
    fn a_fault_gives_its_slot_back() {
        let gate = gate(Throttle { max_concurrent: Some(1), ..Throttle::default() });
        gate.faults
            .add(crate::fault::FaultRule { times: Some(1), ..crate::fault::FaultRule::new(FaultKind::Drop) });
        let start = Instant::now();
        assert!(matches!(gate.admit_at(start, "ann", SERVICE, "op"), Admission::Fault(FaultKind::Drop)));
        assert!(passes(&gate, "ann", start));
    }
}
