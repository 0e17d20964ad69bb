//! The host's services, called through the boundary.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use crate::{
    Cursor, HostServices, Item, ItemId, LogLevel, Owed, ReaderServices, Result, ScopeId, Secret, SecretRef,
    abi::{
        AbiVersion, HostLink,
        messages::{
            AskCursor, AskItem, AskOwed, AskScopes, AskSecret, Done, Log, Op, Progress, TheseOwed,
            TheseScopes, ThisCursor, ThisItem, ThisSecret, Waited,
        },
    },
    codec::{self, Record},
};

/// The services of one instance's host.
#[derive(Clone)]
pub(super) struct ForeignServices(Arc<HostLink>);

impl ForeignServices {
    pub(super) fn new(link: HostLink) -> Self {
        Self(Arc::new(link))
    }

    /// The version the host speaks.
    pub(super) fn abi(&self) -> AbiVersion {
        self.0.abi()
    }

    /// The services of one reader, which the host knows by number.
    pub(super) fn reader(&self, number: u64) -> ForeignReaderServices {
        ForeignReaderServices { link: Arc::clone(&self.0), number }
    }
}

fn ask<Q: Record, A: Record>(link: &HostLink, op: Op, question: &Q) -> Result<A> {
    codec::decode(&link.call(op.number(), &codec::encode(question)?)?)
}

impl HostServices for ForeignServices {
    fn log(&self, level: LogLevel, text: &str) {
        // A log line that cannot be written has nowhere to be reported.
        let _ = ask::<_, Done>(&self.0, Op::Log, &Log { level, text: text.to_owned() });
    }

    fn secret(&self, reference: &SecretRef) -> Result<Secret> {
        let question = codec::encode(&AskSecret { reference: reference.clone() })?;
        let answer = self.0.call(Op::Secret.number(), &question)?;
        let ThisSecret { value } = codec::decode(&answer)?;
        let value = Zeroizing::new(value);
        Ok(Secret::new(value.as_str()))
    }
}

/// The services of one reader's host.
pub(super) struct ForeignReaderServices {
    link: Arc<HostLink>,
    number: u64,
}

impl ReaderServices for ForeignReaderServices {
    fn scopes(&self) -> Result<Vec<ScopeId>> {
        let question = AskScopes { services: self.number };
        ask(&self.link, Op::Scopes, &question).map(|TheseScopes { scopes }| scopes)
    }

    fn cursor(&self, scope: &ScopeId) -> Result<Option<Cursor>> {
        let question = AskCursor { services: self.number, scope: scope.clone() };
        ask(&self.link, Op::Cursor, &question).map(|ThisCursor { cursor }| cursor)
    }

    fn item(&self, id: &ItemId) -> Result<Option<Item>> {
        let question = AskItem { services: self.number, id: id.clone() };
        ask(&self.link, Op::Item, &question).map(|ThisItem { item }| item)
    }

    fn owed(&self, after: Option<&ItemId>, most: usize) -> Result<Vec<Owed>> {
        let question = AskOwed { services: self.number, after: after.cloned(), most: most as u64 };
        ask(&self.link, Op::Owed, &question).map(|TheseOwed { owed }| owed)
    }

    fn waited(&self, on: &str, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let question = Waited { services: self.number, on: on.to_owned(), millis };
        // An older host does not know it; its reports say less.
        let _ = ask::<_, Done>(&self.link, Op::Waited, &question);
    }

    fn progress(&self, text: &str) {
        let question = Progress { services: self.number, text: text.to_owned() };
        // Progress that cannot be shown is not shown.
        let _ = ask::<_, Done>(&self.link, Op::Progress, &question);
    }
}
