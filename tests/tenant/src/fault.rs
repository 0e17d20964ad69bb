//! Faults on demand: rules that say which request or item goes wrong, and how.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::content::Rng;
use crate::gate::Service;

/// Rules held at most; adding one more drops the oldest.
const RULES_MAX: usize = 1000;

/// How something goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FaultKind {
    /// The whole request is answered with this status and a body that is not the service's.
    Status {
        /// HTTP status.
        status: u16,
        /// Sent as `Retry-After` if there.
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// The connection is cut in the middle of the body.
    Drop,
    /// Half of the body, with a `Content-Length` that fits the half.
    Truncate,
    /// The body arrives in pieces with pauses.
    Slow {
        /// Pause before each piece of at most 64 KiB, in milliseconds.
        pause_ms: u64,
    },
    /// Status 200 and a web page that asks for a sign-in.
    LoginPage,
    /// The account's sessions are forgotten, this request being the first to notice.
    ExpireSession,
    /// An item cannot be read. SharePoint answers `status`; Exchange a per-item error of name `code`.
    Item {
        /// SharePoint's HTTP status: 403, 404, 423 or 500.
        #[serde(default = "item_status")]
        status: u16,
        /// Exchange's response code.
        #[serde(default = "item_code")]
        code: String,
    },
    /// A file's bytes are not given out: malware was found in it. With status 200, a page that says so comes in their place.
    Infected {
        /// SharePoint's HTTP status: 403, 400 or 200.
        status: u16,
    },
    /// The range asked for is ignored: all of the file comes, with status 200.
    RangeIgnored,
    /// The connection is cut in the middle of the body, and the file is another one afterwards.
    Replaced,
    /// `SyncFolderItems` and `SyncFolderHierarchy` refuse the caller's state.
    SyncStateRefused,
    /// `GetChanges` refuses the caller's token.
    ChangeTokenRefused,
    /// A site (server-relative URL) or mailbox (address), named by the rule's `item`, is gone from discovery and
    /// from its own address.
    Vanish,
}

fn item_status() -> u16 {
    500
}

fn item_code() -> String {
    "ErrorCorruptData".into()
}

/// When a fault strikes. Parts left out match everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultRule {
    /// The service.
    #[serde(default)]
    pub service: Option<Service>,
    /// The operation, as counted; `*` at the end matches any rest.
    #[serde(default)]
    pub operation: Option<String>,
    /// The account.
    #[serde(default)]
    pub account: Option<String>,
    /// An item's id or path; a rule with an item strikes that item only, never whole requests.
    #[serde(default)]
    pub item: Option<String>,
    /// Strikes from the n-th match on (1 is the first).
    #[serde(default)]
    pub nth: Option<u64>,
    /// Chance of each match, 0 to 1.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Strikes this often, then never again. Without it: until cleared.
    #[serde(default)]
    pub times: Option<u64>,
    /// What happens.
    pub kind: FaultKind,
}

impl FaultRule {
    /// A rule that strikes every request with `kind`; narrow it by setting fields.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            service: None,
            operation: None,
            account: None,
            item: None,
            nth: None,
            probability: None,
            times: None,
            kind,
        }
    }

    fn concerns(&self, service: Service, account: &str, operation: &str) -> bool {
        self.service.is_none_or(|mine| mine == service)
            && self.account.as_ref().is_none_or(|mine| mine.eq_ignore_ascii_case(account))
            && self.operation.as_ref().is_none_or(|pattern| matches_pattern(pattern, operation))
    }
}

fn matches_pattern(pattern: &str, operation: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => operation.starts_with(prefix),
        None => pattern == operation,
    }
}

#[derive(Debug)]
struct Armed {
    rule: FaultRule,
    matched: u64,
    struck: u64,
}

impl Armed {
    fn strikes(&mut self, rng: &mut Rng) -> bool {
        self.matched += 1;
        let due = self.rule.nth.is_none_or(|nth| self.matched >= nth)
            && self.rule.times.is_none_or(|times| self.struck < times)
            && self.rule.probability.is_none_or(|chance| rng.chance(chance));
        self.struck += u64::from(due);
        due
    }
}

#[derive(Debug)]
struct Inner {
    rules: Vec<Armed>,
    rng: Rng,
}

/// The rules in force.
#[derive(Debug)]
pub struct Faults {
    inner: Mutex<Inner>,
}

impl Faults {
    /// No rules; probabilities draw from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { inner: Mutex::new(Inner { rules: Vec::new(), rng: Rng::new(seed) }) }
    }

    /// Adds a rule.
    pub fn add(&self, rule: FaultRule) {
        let mut inner = self.lock();
        if inner.rules.len() == RULES_MAX {
            inner.rules.remove(0);
        }
        inner.rules.push(Armed { rule, matched: 0, struck: 0 });
    }

    /// Forgets all rules.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// The fault for a whole request, if a rule strikes. The gate asks; services get the answer from it.
    pub fn for_request(&self, service: Service, account: &str, operation: &str) -> Option<FaultKind> {
        self.strike(|rule| rule.item.is_none() && rule.concerns(service, account, operation))
    }

    /// The fault for one item of a request, by any of its names (id, path).
    pub fn for_item(
        &self,
        service: Service,
        account: &str,
        operation: &str,
        names: &[&str],
    ) -> Option<FaultKind> {
        self.strike(|rule| {
            rule.kind != FaultKind::Vanish
                && rule.item.as_deref().is_some_and(|item| names.contains(&item))
                && rule.concerns(service, account, operation)
        })
    }

    /// Whether a site or mailbox has vanished.
    pub fn vanished(&self, service: Service, name: &str) -> bool {
        self.strike(|rule| {
            rule.kind == FaultKind::Vanish
                && rule.service.is_none_or(|mine| mine == service)
                && rule.item.as_deref().is_some_and(|item| item.eq_ignore_ascii_case(name))
        })
        .is_some()
    }

    fn strike(&self, concerns: impl Fn(&FaultRule) -> bool) -> Option<FaultKind> {
        let mut guard = self.lock();
        let Inner { rules, rng } = &mut *guard;
        let armed = rules
            .iter_mut()
            .filter(|armed| concerns(&armed.rule))
            .find_map(|armed| armed.strikes(rng).then_some(armed))?;
        Some(armed.rule.kind.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: Service = Service::SharePoint;

    fn strikes(faults: &Faults, operation: &str) -> bool {
        faults.for_request(SERVICE, "ann", operation).is_some()
    }

    #[test]
    fn a_rule_strikes_from_its_nth_match_as_often_as_it_says() {
        let faults = Faults::new(1);
        faults.add(FaultRule { nth: Some(2), times: Some(2), ..FaultRule::new(FaultKind::Drop) });
        let struck: Vec<bool> = (0..5).map(|_| strikes(&faults, "lists")).collect();
        assert_eq!(struck, [false, true, true, false, false]);
    }

    #[test]
    fn patterns_accounts_and_items_narrow_a_rule() {
        let faults = Faults::new(1);
        faults.add(FaultRule {
            operation: Some("lists.*".into()),
            account: Some("bob".into()),
            ..FaultRule::new(FaultKind::Drop)
        });
        assert!(!strikes(&faults, "lists.items"), "another account's rule");
        faults.add(FaultRule { operation: Some("lists.*".into()), ..FaultRule::new(FaultKind::Drop) });
        assert!(strikes(&faults, "lists.items"));
        assert!(!strikes(&faults, "webs"));
        let item = FaultRule { item: Some("/a/x".into()), ..FaultRule::new(FaultKind::Truncate) };
        faults.add(item);
        assert!(!strikes(&faults, "file.$value"), "a rule for an item leaves whole requests alone");
        assert_eq!(
            faults.for_item(SERVICE, "ann", "file.$value", &["id", "/a/x"]),
            Some(FaultKind::Truncate)
        );
    }

    #[test]
    fn what_vanished_is_not_a_faulty_item() {
        let faults = Faults::new(1);
        faults.add(FaultRule { item: Some("/sites/a".into()), ..FaultRule::new(FaultKind::Vanish) });
        assert!(faults.vanished(SERVICE, "/sites/A"));
        assert!(!faults.vanished(SERVICE, "/sites/b"));
        assert_eq!(faults.for_item(SERVICE, "ann", "x", &["/sites/a"]), None);
    }

    #[test]
    fn chances_follow_the_seed() {
        let count = |seed| {
            let faults = Faults::new(seed);
            faults.add(FaultRule { probability: Some(0.3), ..FaultRule::new(FaultKind::Drop) });
            (0..1000).filter(|_| strikes(&faults, "x")).count()
        };
        assert_eq!(count(5), count(5));
        assert!((200..400).contains(&count(5)), "{}", count(5));
    }
}
