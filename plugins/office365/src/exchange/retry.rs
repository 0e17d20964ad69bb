//! Patience: how often and after what pause one question is asked again.

use std::time::Duration;

use larder_sdk::{Error, ErrorKind};

use super::{
    client::{Asked, Client},
    faults::{Advice, Problem},
    soap::ServerVersion,
};
use crate::{error::Explanation, pool::AccountId};

/// Back-offs one question sits through: beyond that the service blocks rather than paces.
const RESTS_MAX: u32 = 100;
/// How long an account rests that was told to, but not how long, the first time. Each time twice as long.
const REST: Duration = Duration::from_secs(10);
/// Longest such rest.
const REST_MAX: Duration = Duration::from_mins(5);
/// How long an account rests that has too many requests under way.
const FEWER_REST: Duration = Duration::from_millis(250);
/// Pauses while a mailbox's server has trouble: a failover takes minutes.
const MAILBOX_PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_mins(1),
    Duration::from_mins(1),
    Duration::from_mins(2),
];
/// Pauses after an error of the server's own, or a broken answer.
const SHORT_PAUSES: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];

/// The patience with one question.
pub(super) struct Retry {
    client: Client,
    version: ServerVersion,
    rests: u32,
    unsaid: u32,
    mailbox: usize,
    short: usize,
}

impl Retry {
    /// Fresh patience.
    pub(super) fn new(client: &Client) -> Self {
        let version = client.version().current();
        Self { client: client.clone(), version, rests: 0, unsaid: 0, mailbox: 0, short: 0 }
    }

    /// Notes the schema the question was last written in.
    pub(super) fn wrote(&mut self, version: ServerVersion) {
        self.version = version;
    }

    /// Does what the server's refusal asks for. `Ok`: ask again now. `Err`: it is of no use.
    pub(super) async fn heed(&mut self, problem: &Problem, account: AccountId) -> Asked<()> {
        let again = match problem.advice() {
            Advice::RestAccount => {
                self.rest(problem, account);
                self.rests <= RESTS_MAX
            }
            Advice::FewerAtOnce => {
                self.client.caller().back_off(account, FEWER_REST);
                self.rests += 1;
                self.rests <= RESTS_MAX
            }
            Advice::RestMailbox => pause(&MAILBOX_PAUSES, &mut self.mailbox).await,
            Advice::TryAgain => pause(&SHORT_PAUSES, &mut self.short).await,
            Advice::OlderSchema => self.client.version().step_down(self.version),
            Advice::OtherAccount => self.other_account(problem, account),
            Advice::Denied if problem.code == "ErrorImpersonateUserDenied" => {
                self.other_account(problem, account)
            }
            _ => false,
        };
        if again { Ok(()) } else { Err(problem.clone().into()) }
    }

    /// There was no answer, or a broken one. `Ok`: ask again now.
    pub(super) async fn lost(&mut self, error: Error) -> Asked<()> {
        if error.is_transient() && pause(&SHORT_PAUSES, &mut self.short).await {
            return Ok(());
        }
        Err(error.into())
    }

    /// Lets the account rest for as long as it was told to; another may go on at once.
    fn rest(&mut self, problem: &Problem, account: AccountId) {
        self.rests += 1;
        let wait = problem.back_off.unwrap_or_else(|| {
            self.unsaid += 1;
            REST.saturating_mul(1 << (self.unsaid - 1).min(10)).min(REST_MAX)
        });
        self.client.caller().back_off(account, wait);
    }

    fn other_account(&self, problem: &Problem, account: AccountId) -> bool {
        let error = problem.error("the account cannot open this mailbox");
        let (code, hint) = match problem.code.as_str() {
            "ErrorPasswordExpired" | "ErrorPasswordChangeRequired" => {
                ("password-expired", "renew the account's password")
            }
            _ => (
                "ews-impersonate-user-denied",
                "give the account the right to impersonate this mailbox, or set access = \"delegate\" and full access",
            ),
        };
        let why = Explanation::lasting(code, error.message(), hint);
        if code == "password-expired" {
            self.client.caller().pool().set_aside(account, why);
            // Whether anyone is left is for the pool to say on the next request.
            return true;
        }
        self.client.caller().refuse(account, why.of_kind(ErrorKind::Denied))
    }
}

/// Waits for the next of `pauses`; false if there were enough.
async fn pause(pauses: &[Duration], done: &mut usize) -> bool {
    let Some(pause) = pauses.get(*done) else { return false };
    *done += 1;
    tokio::time::sleep(*pause).await;
    true
}
