//! Spans of time as rules have them.

use std::{fmt, str::FromStr};

use jiff::{Span, Zoned};

/// A span of the calendar: years, months, weeks, days and hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Age {
    months: u32,
    days: u32,
    hours: u32,
}

/// Longest span, in any of its units: a thousand years and more.
const UNITS_MAX: u32 = 12 * 1000;

impl Age {
    /// The moment so long before another; the earliest there is, if the calendar does not reach so far.
    pub(super) fn before(&self, moment: &Zoned) -> Option<Zoned> {
        let span = Span::new()
            .try_months(self.months)
            .and_then(|span| span.try_days(self.days))
            .and_then(|span| span.try_hours(self.hours));
        span.and_then(|span| moment.checked_sub(span)).ok()
    }
}

impl FromStr for Age {
    type Err = String;

    /// Numbers and units: `30d`, `1y6mo`, `2w`, `36h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is no span of time: write numbers and the units y, mo, w, d and h, like 30d or 1y6mo",
                text.escape_debug()
            )
        };
        let mut age = Self::default();
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|digit: char| !digit.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (sum, factor) = match &rest[..letters] {
                "y" => (&mut age.months, 12),
                "mo" => (&mut age.months, 1),
                "w" => (&mut age.days, 7),
                "d" => (&mut age.days, 1),
                "h" => (&mut age.hours, 1),
                // Months to some and minutes to others: too dear a mistake where it decides what is dropped.
                "m" => {
                    return Err(format!("`m` in `{text}` may be months or minutes: write `mo` for months"));
                }
                _ => return Err(wrong()),
            };
            let more = number.checked_mul(factor).and_then(|more| sum.checked_add(more));
            *sum = more.filter(|sum| *sum <= UNITS_MAX * 31 * 24).ok_or_else(wrong)?;
            rest = rest[letters..].trim_start();
        }
        if age == Self::default() {
            return Err(format!("`{text}` is no time at all"));
        }
        Ok(age)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.months / 12, "y"), (self.months % 12, "mo"), (self.days, "d"), (self.hours, "h")];
        parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_numbers_and_units() {
        let shown = |text: &str| text.parse::<Age>().map(|age| age.to_string());
        assert_eq!(shown("30d"), Ok("30d".to_owned()));
        assert_eq!(shown("1y18mo 2w1d 5h"), Ok("2y6mo15d5h".to_owned()));
        for wrong in ["", "d", "30", "30 d", "-3d", "5s", "0d", "99999999999d", "3M", "1y6m"] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
        assert!(shown("6m").unwrap_err().contains("`mo` for months"));
    }
}
