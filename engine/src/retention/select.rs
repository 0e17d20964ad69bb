//! The rules applied.

use jiff::{Timestamp, Zoned, tz::TimeZone};
use larder_sdk::Time;

use super::Keep;

/// Why a snapshot is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is the set's newest, on which the next run builds: never dropped.
    Newest,
    /// One of the last.
    Last,
    /// The newest of its hour.
    Hourly,
    /// The newest of its day.
    Daily,
    /// The newest of its week, which begins on Monday.
    Weekly,
    /// The newest of its month.
    Monthly,
    /// The newest of its year.
    Yearly,
    /// Not much older than the newest.
    Within,
    /// It has one of the tags that are kept.
    Tag,
}

/// What is known of a snapshot that is to be kept or dropped.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'snapshot> {
    /// When it was taken.
    pub taken: Time,
    /// Its tags.
    pub tags: &'snapshot [String],
}

impl Rule {
    /// The word in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
            Self::Within => "within",
            Self::Tag => "tags",
        }
    }
}

/// What two moments of one period have in common.
type Period = fn(&Zoned) -> (i16, i16, i64);

/// The rules that keep each of a set's snapshots, which come oldest first; none means that it may go.
///
/// A rule with number n keeps the newest snapshot of each of the last n hours (days …) that have one. Hours and days are those of the
/// zone's calendar. `within` counts back from the newest snapshot, so that a set that is no longer run loses nothing by it.
pub fn select(snapshots: &[Candidate<'_>], keep: &Keep, zone: &TimeZone) -> Vec<Vec<Rule>> {
    let mut reasons = vec![Vec::new(); snapshots.len()];
    if let Some(newest) = reasons.last_mut() {
        newest.push(Rule::Newest);
    }
    let moments: Vec<Zoned> = snapshots.iter().map(|snapshot| moment(snapshot.taken, zone)).collect();
    let rules: [(Rule, u32, Option<Period>); 6] = [
        (Rule::Last, keep.last, None),
        // By the clock's seconds, since an hour comes twice when clocks go back.
        (Rule::Hourly, keep.hourly, Some(|at| (0, 0, at.timestamp().as_second().div_euclid(3600)))),
        (Rule::Daily, keep.daily, Some(|at| (at.year(), at.day_of_year(), 0))),
        (
            Rule::Weekly,
            keep.weekly,
            Some(|at| {
                let week = at.date().iso_week_date();
                (week.year(), week.week().into(), 0)
            }),
        ),
        (Rule::Monthly, keep.monthly, Some(|at| (at.year(), at.month().into(), 0))),
        (Rule::Yearly, keep.yearly, Some(|at| (at.year(), 0, 0))),
    ];
    for (rule, number, period) in rules {
        let mut left = number;
        let mut last = None;
        for (reasons, at) in reasons.iter_mut().zip(&moments).rev() {
            let this = period.map(|period| period(at));
            if left == 0 {
                break;
            }
            if this.is_none() || this != last {
                reasons.push(rule);
                left -= 1;
            }
            last = this;
        }
    }
    if let Some((within, newest)) = keep.within.zip(moments.last()) {
        // Where the calendar does not reach so far back, everything is within.
        let from = within.before(newest);
        for (reasons, at) in reasons.iter_mut().zip(&moments) {
            if from.as_ref().is_none_or(|from| at >= from) {
                reasons.push(Rule::Within);
            }
        }
    }
    for (reasons, snapshot) in reasons.iter_mut().zip(snapshots) {
        if snapshot.tags.iter().any(|tag| keep.tags.contains(tag)) {
            reasons.push(Rule::Tag);
        }
    }
    reasons
}

/// A moment in a zone; one that no calendar has is taken for the nearest that one has.
fn moment(time: Time, zone: &TimeZone) -> Zoned {
    let second = time.seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(second).unwrap_or_default().to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &[&str]) -> Vec<Time> {
        text.iter().map(|text| Time::from_seconds(text.parse::<Timestamp>().unwrap().as_second())).collect()
    }

    /// What is kept, by the rules' words.
    fn kept(taken: &[&str], keep: &Keep) -> Vec<String> {
        let taken: Vec<_> = times(taken).into_iter().map(|taken| Candidate { taken, tags: &[] }).collect();
        let reasons = select(&taken, keep, &TimeZone::UTC);
        reasons
            .iter()
            .map(|rules| rules.iter().map(|rule| rule.as_str()).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn without_rules_only_the_newest_stays() {
        assert_eq!(kept(&["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"], &Keep::default()), ["", "newest"]);
        assert!(kept(&[], &Keep { last: 5, ..Keep::default() }).is_empty());
    }

    #[test]
    fn each_period_keeps_its_newest_and_empty_periods_do_not_count() {
        let taken = [
            "2024-06-30T12:00:00Z",
            "2026-01-05T01:00:00Z",
            "2026-01-05T23:00:00Z",
            "2026-01-20T08:00:00Z",
            "2026-01-20T08:30:00Z",
            "2026-01-20T09:00:00Z",
        ];
        let daily = kept(&taken, &Keep { daily: 3, ..Keep::default() });
        assert_eq!(daily, ["daily", "", "daily", "", "", "newest daily"]);
        let hourly = kept(&taken, &Keep { hourly: 2, last: 1, ..Keep::default() });
        assert_eq!(hourly, ["", "", "", "", "hourly", "newest last hourly"]);
        let long = kept(&taken, &Keep { weekly: 2, monthly: 1, yearly: 9, ..Keep::default() });
        assert_eq!(long, ["yearly", "", "weekly", "", "", "newest weekly monthly yearly"]);
    }

    #[test]
    fn a_week_that_spans_the_year_is_one_week_and_days_are_the_zones() {
        let taken = ["2025-12-31T12:00:00Z", "2026-01-01T12:00:00Z"];
        assert_eq!(kept(&taken, &Keep { weekly: 2, ..Keep::default() }), ["", "newest weekly"]);
        let taken = times(&["2026-01-01T22:30:00Z", "2026-01-01T23:30:00Z"]);
        let taken: Vec<_> = taken.into_iter().map(|taken| Candidate { taken, tags: &[] }).collect();
        let east = TimeZone::fixed(jiff::tz::offset(1));
        let days = select(&taken, &Keep { daily: 5, ..Keep::default() }, &east);
        assert_eq!(days[0], [Rule::Daily]);
    }

    #[test]
    fn within_counts_from_the_newest_and_tags_keep_theirs() {
        let taken =
            ["2025-12-30T12:00:00Z", "2026-01-31T12:00:00Z", "2026-02-28T11:00:00Z", "2026-02-28T12:00:00Z"];
        let within = |age: &str| Keep { within: Some(age.parse().unwrap()), ..Keep::default() };
        assert_eq!(kept(&taken, &within("1mo")), ["", "within", "within", "newest within"]);
        assert_eq!(kept(&taken, &within("1h")), ["", "", "within", "newest within"]);
        assert_eq!(kept(&taken, &within("900y")), ["within", "within", "within", "newest within"]);
        let tags = [vec!["x".to_owned()], vec!["y".to_owned(), "z".to_owned()], Vec::new()];
        let snapshots: Vec<_> = times(&taken[..3])
            .into_iter()
            .zip(&tags)
            .map(|(taken, tags)| Candidate { taken, tags })
            .collect();
        let keep = Keep { tags: vec!["z".to_owned(), "w".to_owned()], ..Keep::default() };
        assert_eq!(select(&snapshots, &keep, &TimeZone::UTC), [vec![], vec![Rule::Tag], vec![Rule::Newest]]);
    }
}
