//! One party that asks through the pool: a site, a mailbox.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use larder_sdk::{Error, ErrorKind, ReaderHost, Result};

use tokio::time::Instant;

use super::{AccountId, Place, Pool, WAIT_MAX, verdict};
use crate::{
    auth::{Refusal, Session},
    error::Explanation,
    http::{HttpError, Request, Response},
    options::Service,
};
use verdict::Verdict;

/// Most tries of one request against passing faults.
const TRIES_MAX: u32 = 6;
/// Most throttles one request sits through: beyond that the service is blocking, not pacing.
const THROTTLES_MAX: u32 = 100;
/// First pause between tries; each is twice as long as the last.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Refusals in a row of a credential that was accepted before, after which it counts as revoked. Exchange says "unauthorized" now and
/// then when it means "busy".
const REFUSED_IN_ROW_MAX: u32 = 3;

/// Counts tries of something that may pass, and pauses between them.
#[derive(Debug)]
pub(crate) struct Tries {
    made: u32,
    most: u32,
}

impl Default for Tries {
    fn default() -> Self {
        Self::at_most(TRIES_MAX)
    }
}

impl Tries {
    /// So many tries, the first included.
    pub(crate) fn at_most(most: u32) -> Self {
        Self { made: 0, most }
    }

    /// Pauses before another try, or gives `error` back if there were enough or another would not help.
    pub(crate) async fn again(&mut self, error: Error) -> Result<()> {
        self.made += 1;
        if self.made >= self.most || !error.is_transient() {
            return Err(error);
        }
        let pause = PAUSE.saturating_mul(1 << (self.made - 1).min(10)).min(PAUSE_MAX);
        tokio::time::sleep(error.retry_after().map_or(pause, |asked| asked.min(PAUSE_MAX))).await;
        Ok(())
    }
}

/// Asks a service for one site or mailbox. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    pool: Arc<Pool>,
    service: Service,
    /// What refusals are remembered by: the site or mailbox, and what within it.
    keys: Arc<[String]>,
    progress: Option<ReaderHost>,
    /// The one account to ask with, if it is not the pool's to choose.
    only: Option<AccountId>,
}

/// An answer, and whose it is.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) account: AccountId,
    pub(crate) response: Response,
}

impl Caller {
    /// A caller for a site or mailbox; `key` names it among all of the service. Waiting is shown through `progress`.
    pub(crate) fn new(pool: &Arc<Pool>, service: Service, key: &str, progress: Option<ReaderHost>) -> Self {
        Self { pool: Arc::clone(pool), service, keys: [key.to_owned()].into(), progress, only: None }
    }

    /// A caller that asks with one account alone, to see how that one fares.
    pub(crate) fn only(pool: &Arc<Pool>, service: Service, account: AccountId) -> Self {
        Self { only: Some(account), ..Self::new(pool, service, "", None) }
    }

    /// The same caller for one thing in its site or mailbox, whose refusals concern nothing else.
    pub(crate) fn narrowed(&self, key: &str) -> Self {
        let keys = self.keys.iter().cloned().chain([key.to_owned()]).collect();
        Self { keys, ..self.clone() }
    }

    /// The pool behind it.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Keeps an account away from this caller's service for a time.
    pub(crate) fn back_off(&self, account: AccountId, wait: Duration) {
        self.pool.back_off(account, self.service, wait);
    }

    /// Notes that what this caller asks for refuses an account. True if there is another to ask.
    pub(crate) fn refuse(&self, account: AccountId, why: Explanation) -> bool {
        self.pool.refuse(account, self.service, self.keys.last().map_or("", String::as_str), why)
    }

    /// Sends a request with whichever account may go soonest, and again where that helps.
    ///
    /// Any answer that is neither a throttle, nor a sign-in matter, nor a fault of a gateway comes back, whatever its status.
    pub(crate) async fn request(&self, request: &Request) -> Result<Answer> {
        let host = format!("host {}", request.url.origin().ascii_serialization());
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).chain([host.as_str()]).collect();
        let mut tries = Tries::default();
        let mut throttles = 0;
        let mut renewed = BTreeSet::new();
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let place =
                self.pool.place(self.service, self.only, &keys, deadline, self.progress.as_ref()).await?;
            let account = place.account;
            match self.attempt(place, request, &host, &mut renewed).await? {
                Attempt::Answer(answer) => return Ok(answer),
                Attempt::Again => {}
                Attempt::Throttled => {
                    throttles += 1;
                    if throttles >= THROTTLES_MAX {
                        return Err(Error::new(
                            ErrorKind::RetryAfter,
                            format!("{} kept being throttled on {:?}", self.pool.shown(account), request),
                        )
                        .with_code("throttled"));
                    }
                }
                Attempt::Failed(error) => tries.again(error).await?,
            }
        }
    }

    /// One try with one account.
    async fn attempt(
        &self,
        place: Place,
        request: &Request,
        host: &str,
        renewed: &mut BTreeSet<AccountId>,
    ) -> Result<Attempt> {
        let account = place.account;
        let sign_in = self.pool.sign_in(account);
        let session = match sign_in.session(self.service, &request.url).await {
            Ok(session) => session,
            Err(refusal) => return Ok(self.refused(account, host, refusal)),
        };
        // Signing in takes time, in which another request may have been told to wait.
        if !place.may_send() {
            return Ok(Attempt::Again);
        }
        self.pool.count_request(account);
        let response = match session.send(self.pool.http(), request.clone()).await {
            Ok(response) => response,
            Err(error @ HttpError::Malformed { .. }) => return Err(error.into()),
            Err(error) => return Ok(Attempt::Failed(error.into())),
        };
        match verdict::judge(self.service, request, &response) {
            Verdict::Pass => {
                place.succeeded();
                let response = response.with_lease(Box::new(place));
                Ok(Attempt::Answer(Answer { account, response }))
            }
            Verdict::Throttled(wait) => {
                self.back_off(account, wait);
                Ok(Attempt::Throttled)
            }
            Verdict::Transient => {
                let text = format!("{} answered {}", response.url(), response.status());
                Ok(Attempt::Failed(Error::new(ErrorKind::Unavailable, text)))
            }
            Verdict::SessionDead | Verdict::Unauthorized
                if session.is_renewable() && renewed.insert(account) =>
            {
                sign_in.forget(&request.url, &session).await;
                Ok(Attempt::Again)
            }
            Verdict::SessionDead => {
                self.dead_again(&place, host, request, session.refused(self.service, &response))
            }
            Verdict::Unauthorized => {
                Ok(self.unauthorized(&place, host, &session, session.refused(self.service, &response)))
            }
        }
    }

    /// A fresh session was not taken either. One such answer may be one bad item's; several in a row are the account's.
    fn dead_again(&self, place: &Place, host: &str, request: &Request, why: Explanation) -> Result<Attempt> {
        let (accepted, in_row) = place.with_lane(|lane| {
            lane.refused_in_row += 1;
            (lane.accepted, lane.refused_in_row)
        });
        if accepted && in_row < REFUSED_IN_ROW_MAX {
            return Err(why.of_kind(ErrorKind::Unavailable).error(&format!("{request:?}")));
        }
        self.pool.refuse(place.account, self.service, host, why);
        Ok(Attempt::Again)
    }

    fn refused(&self, account: AccountId, host: &str, refusal: Refusal) -> Attempt {
        match refusal {
            Refusal::Account(why) => self.pool.set_aside(account, why),
            Refusal::Host(why) => {
                self.pool.refuse(account, self.service, host, why);
            }
            Refusal::Throttled(wait) => {
                self.back_off(account, wait);
                return Attempt::Throttled;
            }
        }
        Attempt::Again
    }

    /// A credential was not taken: for good if it never was, else perhaps only because the service is busy.
    fn unauthorized(&self, place: &Place, host: &str, session: &Session, why: Explanation) -> Attempt {
        let (accepted, in_row) = place.with_lane(|lane| {
            lane.refused_in_row += 1;
            (lane.accepted, lane.refused_in_row)
        });
        if accepted && in_row < REFUSED_IN_ROW_MAX {
            self.back_off(place.account, Duration::from_secs(1 << in_row));
            return Attempt::Throttled;
        }
        if session.is_renewable() {
            // Its other hosts may take it: a token is for one.
            self.pool.refuse(place.account, self.service, host, why);
        } else {
            self.pool.set_aside(place.account, why);
        }
        Attempt::Again
    }
}

/// How one try went.
enum Attempt {
    Answer(Answer),
    /// Nothing was spent: try again at once.
    Again,
    Throttled,
    /// A passing fault.
    Failed(Error),
}
