//! Which account may go, and if none may, when the first one will. Pure: time comes in, nothing is awaited.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::account::{Activity, Quarantine};
use crate::options::Service;

/// A request whose answer nobody has read for this long lends its place to others, so that a reader who opens many
/// streams and reads one cannot hold up the rest.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// One account's standing at one service.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// False if the account is not used for the service.
    pub(super) used: bool,
    /// Most requests at once.
    pub(super) limit: u32,
    /// Requests at once that are allowed now: one after a back-off, growing with each success.
    pub(super) allowed: u32,
    /// No request may be sent before this.
    pub(super) back_off_until: Option<Instant>,
    /// Requests on their way, and when each was last seen alive.
    pub(super) on_the_way: BTreeMap<u64, Arc<Activity>>,
    /// Requests let go so far, for fairness.
    pub(super) served: u64,
    /// True once the service accepted the account.
    pub(super) accepted: bool,
    /// Refusals in a row.
    pub(super) refused_in_row: u32,
}

impl Lane {
    /// A lane of an account.
    pub(super) fn new(used: bool, limit: u32) -> Self {
        Self { used, limit, allowed: limit, ..Self::default() }
    }

    /// Requests on their way that are being served or read.
    fn busy(&self, now: Instant) -> u32 {
        self.on_the_way.values().filter(|activity| !activity.stalled(now, STALLED_AFTER)).count() as u32
    }

    /// When the fence falls, if one stands.
    pub(super) fn fence(&self, now: Instant) -> Option<Instant> {
        self.back_off_until.filter(|until| *until > now)
    }

    /// Raises the fence; it never comes down early.
    pub(super) fn back_off(&mut self, until: Instant) {
        self.back_off_until = Some(self.back_off_until.map_or(until, |before| before.max(until)));
        self.allowed = 1;
    }

    /// A request went well.
    pub(super) fn succeeded(&mut self) {
        self.accepted = true;
        self.refused_in_row = 0;
        self.allowed = (self.allowed + 1).min(self.limit);
    }
}

/// One account's standing.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) lanes: [Lane; 2],
    pub(super) quarantine: Option<Quarantine>,
}

impl Standing {
    pub(super) fn lane(&self, service: Service) -> &Lane {
        &self.lanes[service as usize]
    }
    /// True once any service accepted the account.
    pub(super) fn accepted(&self) -> bool {
        self.lanes.iter().any(|lane| lane.accepted)
    }
    pub(super) fn lane_mut(&mut self, service: Service) -> &mut Lane {
        &mut self.lanes[service as usize]
    }
}

/// What may happen next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This account may go now.
    Go(usize),
    /// Nobody may go before this moment, or before a place becomes free.
    Wait { until: Option<Instant>, account: usize },
    /// Nobody can go at all.
    Nobody,
}

/// Chooses among the accounts that `may` be used: of those that can go at once, the one with the most room; else the one that may
/// go soonest.
pub(super) fn choose(
    standings: &[Standing],
    service: Service,
    now: Instant,
    may: impl Fn(usize) -> bool,
) -> Choice {
    let mut ready: Option<(f64, f64, usize)> = None;
    let mut soonest: Option<(Option<Instant>, usize)> = None;
    for (at, standing) in standings.iter().enumerate() {
        let lane = standing.lane(service);
        let set_aside = standing.quarantine.as_ref().filter(|quarantine| quarantine.probe_at > now);
        if !lane.used || !may(at) || set_aside.is_some_and(|quarantine| !quarantine.reason.passes()) {
            continue;
        }
        let busy = lane.busy(now);
        let fence = lane.fence(now).max(set_aside.map(|quarantine| quarantine.probe_at));
        // A quarantined account whose time has come is tried with one request.
        let allowed = if standing.quarantine.is_some() { 1 } else { lane.allowed };
        if fence.is_none() && busy < allowed {
            let weight = f64::from(lane.limit);
            let rank = (f64::from(busy) / weight, lane.served as f64 / weight, at);
            if ready.is_none_or(|best| (rank.0, rank.1) < (best.0, best.1)) {
                ready = Some(rank);
            }
        } else {
            let sooner =
                soonest.is_none_or(|(best, _)| fence.is_none_or(|mine| best.is_some_and(|best| mine < best)));
            if sooner {
                soonest = Some((fence, at));
            }
        }
    }
    match (ready, soonest) {
        (Some((_, _, at)), _) => Choice::Go(at),
        (None, Some((until, account))) => Choice::Wait { until, account },
        (None, None) => Choice::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explanation;

    const SERVICE: Service = Service::SharePoint;

    fn standings(limits: &[u32]) -> Vec<Standing> {
        limits
            .iter()
            .map(|limit| Standing {
                lanes: [Lane::new(true, *limit), Lane::new(true, *limit)],
                quarantine: None,
            })
            .collect()
    }

    fn go(standings: &mut [Standing], now: Instant) -> Option<usize> {
        match choose(standings, SERVICE, now, |_| true) {
            Choice::Go(at) => {
                let lane = standings[at].lane_mut(SERVICE);
                lane.served += 1;
                let number = lane.served;
                let activity = Arc::new(Activity::new(now));
                activity.waiting(false, now);
                lane.on_the_way.insert(number, activity);
                Some(at)
            }
            _ => None,
        }
    }

    #[test]
    fn work_is_shared_by_weight() {
        let now = Instant::now();
        let mut standings = standings(&[2, 4, 4]);
        let taken: Vec<usize> = (0..10).filter_map(|_| go(&mut standings, now)).collect();
        assert_eq!(taken.len(), 10);
        assert_eq!([0, 1, 2].map(|at| taken.iter().filter(|got| **got == at).count()), [2, 4, 4]);
        assert!(matches!(choose(&standings, SERVICE, now, |_| true), Choice::Wait { until: None, .. }));
        // Answers that nobody reads lend their places.
        assert!(go(&mut standings, now + STALLED_AFTER).is_some());
    }

    #[test]
    fn the_fence_holds_and_the_soonest_is_waited_for() {
        let now = Instant::now();
        let mut standings = standings(&[1, 1]);
        standings[0].lane_mut(SERVICE).back_off(now + Duration::from_secs(9));
        assert_eq!(choose(&standings, SERVICE, now, |_| true), Choice::Go(1));
        standings[1].lane_mut(SERVICE).back_off(now + Duration::from_secs(3));
        standings[1].lane_mut(SERVICE).back_off(now + Duration::from_secs(1));
        let wait = Choice::Wait { until: Some(now + Duration::from_secs(3)), account: 1 };
        assert_eq!(choose(&standings, SERVICE, now, |_| true), wait);
        assert_eq!(choose(&standings, SERVICE, now + Duration::from_secs(3), |_| true), Choice::Go(1));
        // The other service has limits of its own.
        assert!(matches!(choose(&standings, Service::Exchange, now, |_| true), Choice::Go(_)));
    }

    #[test]
    fn after_a_back_off_an_account_starts_slowly() {
        let now = Instant::now();
        let mut standings = standings(&[4]);
        standings[0].lane_mut(SERVICE).back_off(now);
        assert_eq!(go(&mut standings, now), Some(0));
        assert_eq!(go(&mut standings, now), None);
        standings[0].lane_mut(SERVICE).succeeded();
        assert_eq!(go(&mut standings, now), Some(0));
    }

    #[test]
    fn the_set_aside_are_left_alone_until_their_time() {
        let now = Instant::now();
        let mut standings = standings(&[4]);
        let probe_at = now + Duration::from_secs(60);
        let reason = Explanation::lasting("wrong-password", "no", "");
        standings[0].quarantine = Some(Quarantine { reason, probe_at, times: 1 });
        assert_eq!(choose(&standings, SERVICE, now, |_| true), Choice::Nobody);
        let reason = Explanation::passing("locked", "no", "", Duration::from_secs(60));
        standings[0].quarantine = Some(Quarantine { reason, probe_at, times: 1 });
        let wait = Choice::Wait { until: Some(probe_at), account: 0 };
        assert_eq!(choose(&standings, SERVICE, now, |_| true), wait, "what passes is waited for");
        assert_eq!(go(&mut standings, now + Duration::from_secs(60)), Some(0));
        assert_eq!(go(&mut standings, now + Duration::from_secs(60)), None, "one request tries it");
    }
}
