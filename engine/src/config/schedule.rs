//! When a set is to run: the five fields of cron.

use std::{fmt, str::FromStr};

/// A schedule that was checked, as it was written: `MINUTE HOUR DAY MONTH WEEKDAY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(String);

/// The fields with their names and ranges. Weekday 7 is Sunday, as is 0.
const FIELDS: [(&str, u8, u8); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7)];

impl Schedule {
    /// The five fields, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Schedule {
    type Err = String;

    /// Checks the five fields. The error says what is wrong, for people.
    fn from_str(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(format!(
                "a schedule has five fields (minute, hour, day, month, weekday), not {}",
                fields.len()
            ));
        }
        for (field, (name, low, high)) in fields.iter().zip(FIELDS) {
            if !field.split(',').all(|part| part_fits(part, low, high)) {
                return Err(format!(
                    "the {name} of a schedule takes `*`, numbers from {low} to {high}, ranges `a-b` and steps `*/n`, joined by `,`; not `{}`",
                    field.escape_debug()
                ));
            }
        }
        Ok(Self(fields.join(" ")))
    }
}

/// `*`, `a`, `a-b`, each perhaps with `/n`.
fn part_fits(part: &str, low: u8, high: u8) -> bool {
    let number = |text: &str| text.parse::<u8>().ok().filter(|number| (low..=high).contains(number));
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let step_fits =
        step.is_none_or(|step| step.parse::<u8>().is_ok_and(|step| (1..=high.max(1)).contains(&step)));
    let range_fits = match range.split_once('-') {
        Some((from, to)) => matches!((number(from), number(to)), (Some(from), Some(to)) if from <= to),
        None => range == "*" || number(range).is_some(),
    };
    step_fits && range_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_cron_takes() {
        for text in ["0 2 * * *", "*/15 * * * *", "0 0-6,22 1,15 * 1-5", "30  4 * 12 7", "0 8-18/2 * * *"] {
            assert!(text.parse::<Schedule>().is_ok(), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "daily",
            "0 24 * * *",
            "60 0 * * *",
            "0 0 0 * *",
            "0 5-1 * * *",
            "*/0 * * * *",
            "0 0 * * * *",
            "0 0 * * -1",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}
