//! The change log: what happened to which object, in order, kept sixty days.

use super::{Guid, ItemRef};
use crate::clock::UnixMillis;

/// How long entries are kept.
pub(crate) const KEPT_MS: i64 = 60 * 24 * 3600 * 1000;
/// Milliseconds from 0001-01-01 to 1970-01-01.
const EPOCH_MS: i64 = 62_135_596_800_000;

/// What was done; the numbers are Microsoft's `ChangeType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Add = 1,
    Update = 2,
    Delete = 3,
    Rename = 4,
    MoveAway = 5,
    MoveInto = 6,
    AssignmentAdd = 11,
    MemberAdd = 13,
    MemberDelete = 14,
    SystemUpdate = 15,
    /// Inheritance was broken.
    ScopeAdd = 17,
    /// Inheritance was taken up again.
    ScopeDelete = 18,
}

/// What it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChangeSubject {
    Item { at: ItemRef, unique_id: Guid },
    List(Guid),
    Field { list: Guid, field: Guid },
    ContentType { list: Guid, id: String },
    View { list: Guid, view: Guid },
    Web(Guid),
    Group { id: u32 },
}

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) time: UnixMillis,
    pub(crate) site: Guid,
    pub(crate) web: Guid,
    pub(crate) kind: ChangeKind,
    pub(crate) subject: ChangeSubject,
}

impl Change {
    /// The list it belongs to.
    pub(crate) fn list(&self) -> Option<&Guid> {
        match &self.subject {
            ChangeSubject::Item { at, .. } => Some(&at.list),
            ChangeSubject::List(list)
            | ChangeSubject::Field { list, .. }
            | ChangeSubject::ContentType { list, .. }
            | ChangeSubject::View { list, .. } => Some(list),
            ChangeSubject::Web(_) | ChangeSubject::Group { .. } => None,
        }
    }
}

/// What a token or a query covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Site(Guid),
    Web(Guid),
    List(Guid),
}

impl Scope {
    fn number(&self) -> u8 {
        match self {
            Self::Site(_) => 1,
            Self::Web(_) => 2,
            Self::List(_) => 3,
        }
    }

    fn id(&self) -> &Guid {
        match self {
            Self::Site(id) | Self::Web(id) | Self::List(id) => id,
        }
    }

    fn covers(&self, change: &Change) -> bool {
        match self {
            Self::Site(id) => change.site == *id,
            Self::Web(id) => change.web == *id,
            Self::List(id) => change.list() == Some(id),
        }
    }
}

/// A place in the log: `1;scope;GUID;ticks;number`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) scope: Scope,
    pub(crate) time: UnixMillis,
    /// None: everything after `time`.
    pub(crate) number: Option<u64>,
}

impl Token {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let (version, scope, id) = (parts.next()?, parts.next()?, Guid::parse(parts.next()?)?);
        let (ticks, number) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
        let scope = match (version, scope) {
            ("1", "1") => Scope::Site(id),
            ("1", "2") => Scope::Web(id),
            ("1", "3") => Scope::List(id),
            _ => return None,
        };
        if parts.next().is_some() {
            return None;
        }
        let time = ticks.div_euclid(10_000) - EPOCH_MS;
        let number = if number == -1 { None } else { Some(u64::try_from(number).ok()?) };
        Some(Self { scope, time, number })
    }

    /// The text clients keep.
    pub(crate) fn text(&self) -> String {
        let ticks = (self.time + EPOCH_MS) * 10_000;
        let number = self.number.map_or("-1".to_string(), |number| number.to_string());
        format!("1;{};{};{ticks};{number}", self.scope.number(), self.scope.id())
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    entries: Vec<Change>,
    last: u64,
}

impl ChangeLog {
    pub(crate) fn push(
        &mut self,
        time: UnixMillis,
        (site, web): (Guid, Guid),
        kind: ChangeKind,
        subject: ChangeSubject,
    ) {
        self.last += 1;
        self.entries.push(Change { number: self.last, time, site, web, kind, subject });
    }

    /// Loses the last entry, as the service was seen to do.
    pub(crate) fn drop_last(&mut self) {
        self.entries.pop();
    }

    /// Forgets everything so far: the state of a tenant whose content is older than its log.
    pub(crate) fn forget(&mut self) {
        self.entries.clear();
    }

    /// A token for "nothing after now".
    pub(crate) fn current(&self, scope: Scope, now: UnixMillis) -> Token {
        Token { scope, time: now, number: Some(self.last) }
    }

    /// Entries after `start` (none: the oldest kept) up to `end`, oldest first.
    pub(crate) fn read<'a>(
        &'a self,
        scope: &'a Scope,
        start: Option<&'a Token>,
        end: Option<&'a Token>,
        now: UnixMillis,
    ) -> impl Iterator<Item = &'a Change> {
        self.entries
            .iter()
            .filter(move |change| change.time >= now - KEPT_MS && scope.covers(change))
            .filter(move |change| start.is_none_or(|token| after(change, token)))
            .filter(move |change| end.is_none_or(|token| !after(change, token)))
    }
}

fn after(change: &Change, token: &Token) -> bool {
    match token.number {
        Some(number) => change.number > number,
        None => change.time > token.time,
    }
}

/// Whether the log no longer reaches back to this token.
pub(crate) fn expired(token: &Token, now: UnixMillis) -> bool {
    token.time < now - KEPT_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guid(last: char) -> Guid {
        Guid::parse(&format!("00000000-0000-4000-8000-00000000000{last}")).unwrap()
    }

    fn log_of(times: &[UnixMillis]) -> ChangeLog {
        let mut log = ChangeLog::default();
        for time in times {
            log.push(*time, (guid('1'), guid('2')), ChangeKind::Add, ChangeSubject::List(guid('3')));
        }
        log
    }

    fn numbers(log: &ChangeLog, start: Option<&Token>, now: UnixMillis) -> Vec<u64> {
        log.read(&Scope::List(guid('3')), start, None, now).map(|change| change.number).collect()
    }

    #[test]
    fn a_token_reads_back() {
        for number in [None, Some(0), Some(4711)] {
            let token = Token { scope: Scope::List(guid('3')), time: 1_768_032_000_000, number };
            assert_eq!(Token::parse(&token.text()), Some(token));
        }
        assert_eq!(Token::parse("1;3;00000000-0000-4000-8000-000000000003;639036288000000000;7;x"), None);
        assert_eq!(Token::parse("2;3;00000000-0000-4000-8000-000000000003;639036288000000000;7"), None);
        assert_eq!(Token::parse(""), None);
    }

    #[test]
    fn a_token_divides_before_from_after() {
        let mut log = log_of(&[10, 20]);
        let token = log.current(Scope::List(guid('3')), 20);
        assert_eq!(numbers(&log, Some(&token), 20), Vec::<u64>::new());
        log.push(20, (guid('1'), guid('2')), ChangeKind::Delete, ChangeSubject::List(guid('3')));
        assert_eq!(numbers(&log, Some(&token), 30), [3]);
        assert_eq!(numbers(&log, None, 30), [1, 2, 3]);
    }

    #[test]
    fn a_token_can_be_a_time() {
        let log = log_of(&[10, 20, 30]);
        let token = Token { scope: Scope::List(guid('3')), time: 10, number: None };
        assert_eq!(numbers(&log, Some(&token), 40), [2, 3]);
    }

    #[test]
    fn entries_and_tokens_grow_old() {
        let log = log_of(&[10, KEPT_MS]);
        let token = Token { scope: Scope::List(guid('3')), time: 10, number: Some(0) };
        assert!(!expired(&token, KEPT_MS));
        let later = KEPT_MS + 11;
        assert!(expired(&token, later));
        assert_eq!(numbers(&log, Some(&token), later), [2], "an expired token is answered with what is left");
    }

    #[test]
    fn other_lists_stay_out() {
        let log = log_of(&[10]);
        assert_eq!(log.read(&Scope::List(guid('4')), None, None, 10).count(), 0);
        assert_eq!(log.read(&Scope::Web(guid('2')), None, None, 10).count(), 1);
        assert_eq!(log.read(&Scope::Site(guid('1')), None, None, 10).count(), 1);
    }
}
