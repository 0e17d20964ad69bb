//! Moments and sizes, as the command line has them.

use std::str::FromStr;

use jiff::{Span, Timestamp, Zoned, civil, tz::TimeZone};
use larder_sdk::Time;

/// A moment: a date, a date with a time, or how long ago.
#[derive(Clone, Debug)]
pub(super) enum When {
    /// A moment wherever one is.
    At(Timestamp),
    /// A moment by this machine's clock.
    Local(civil::DateTime),
    /// So long before now.
    Ago(Span),
}

impl When {
    /// The moment, as seen from `now`.
    pub(super) fn resolve(&self, now: Time, zone: &TimeZone) -> Result<Time, String> {
        let unknown = |error: jiff::Error| format!("this moment is outside of the calendar: {error}");
        let at = match self {
            Self::At(at) => *at,
            Self::Local(local) => zone.to_timestamp(*local).map_err(unknown)?,
            Self::Ago(span) => {
                let now = Timestamp::from_second(now.seconds).map_err(unknown)?;
                Zoned::new(now, zone.clone()).checked_sub(*span).map_err(unknown)?.timestamp()
            }
        };
        Ok(Time { seconds: at.as_second(), nanos: 0 })
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self::At(at));
        }
        if let Ok(local) = text.parse::<civil::DateTime>() {
            return Ok(Self::Local(local));
        }
        text.parse::<Span>()
            .ok()
            .filter(|span| span.is_positive())
            .map(Self::Ago)
            .ok_or_else(|| "write a date (2026-03-01), a date and time (2026-03-01T14:05, 2026-03-01T14:05Z), or how long ago (12h, 7d, 3mo, 1y)".to_owned())
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl FromStr for Size {
    type Err = String;

    /// A number, perhaps with a fraction, and a unit: decimal as sizes are shown, or binary (KiB).
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a number and a unit: 500, 20kB, 1.5MB, 4GiB".to_owned();
        let end = text.find(|digit: char| !digit.is_ascii_digit() && digit != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" => 1_000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "t" | "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err(wrong()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
        let scale = u32::try_from(fraction.len()).ok().and_then(|length| 10_u64.checked_pow(length));
        let bytes = || {
            let part = u128::from(digits(fraction)?) * u128::from(factor) / u128::from(scale?);
            digits(whole)?.checked_mul(factor)?.checked_add(u64::try_from(part).ok()?)
        };
        if number.bytes().all(|byte| byte == b'.') {
            return Err(wrong());
        }
        bytes().map(Size).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_times_and_spans() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = Time::from_seconds("2026-03-31T12:00:00Z".parse::<Timestamp>().unwrap().as_second());
        let at = |text: &str| {
            let time = text.parse::<When>().unwrap().resolve(now, &zone).unwrap();
            Timestamp::from_second(time.seconds).unwrap().to_string()
        };
        assert_eq!(at("2026-03-01"), "2026-02-28T22:00:00Z");
        assert_eq!(at("2026-03-01T14:05"), "2026-03-01T12:05:00Z");
        assert_eq!(at("2026-03-01 14:05:09"), "2026-03-01T12:05:09Z");
        assert_eq!(at("2026-03-01T14:05Z"), "2026-03-01T14:05:00Z");
        assert_eq!(at("36h"), "2026-03-30T00:00:00Z");
        assert_eq!(at("1mo"), "2026-02-28T12:00:00Z");
        for wrong in ["", "yesterday", "5", "-3d", "2026-13-01"] {
            assert!(wrong.parse::<When>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let bytes = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(bytes("500"), Ok(500));
        assert_eq!(bytes("20kB"), Ok(20_000));
        assert_eq!(bytes("1.5 MB"), Ok(1_500_000));
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes(".5k"), Ok(500));
        for wrong in ["", ".", "kB", "1 apple", "1.2.3", "-5", "99999999TB", "1e3"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
