//! What all services of a tenant share.

use std::sync::Arc;

use crate::account::Accounts;
use crate::application::Applications;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::fault::Faults;
use crate::federation::Federation;
use crate::gate::Gate;

/// Handed to every service's router.
#[derive(Debug)]
pub struct Shared {
    /// Who may sign in.
    pub accounts: Accounts,
    /// Applications, which sign in by themselves.
    pub applications: Applications,
    /// Where users of the federated domain sign in.
    pub federation: Federation,
    /// Admission of requests.
    pub gate: Gate,
    /// Rules of what goes wrong.
    pub faults: Arc<Faults>,
    /// What was asked and sent.
    pub counters: Arc<Counters>,
    /// Time of day.
    pub clock: Clock,
}

impl Shared {
    /// No limits, no faults, nothing counted.
    pub fn new(accounts: Accounts, seed: u64) -> Self {
        let counters = Arc::new(Counters::default());
        let faults = Arc::new(Faults::new(seed));
        let gate = Gate::new(Arc::clone(&counters), Arc::clone(&faults));
        Self {
            accounts,
            applications: Applications::new(seed),
            federation: Federation::new(seed),
            gate,
            faults,
            counters,
            clock: Clock::default(),
        }
    }
}
