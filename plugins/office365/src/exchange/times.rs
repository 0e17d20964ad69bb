//! Times as EWS writes them: `2024-05-01T08:00:00Z`, sometimes with fractions or an offset.

use larder_sdk::Time;

/// Reads a time; `None` if it is none.
pub(crate) fn parse(text: &str) -> Option<Time> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    let nanos = time.subsec_nanosecond();
    // Both parts have the same sign; ours counts nanoseconds upwards from the second before.
    let (seconds, nanos) =
        if nanos < 0 { (time.as_second() - 1, nanos + 1_000_000_000) } else { (time.as_second(), nanos) };
    Some(Time { seconds, nanos: nanos.unsigned_abs() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read() {
        assert_eq!(parse("1970-01-02T00:00:00Z"), Some(Time::from_seconds(86_400)));
        assert_eq!(
            parse("2026-11-22T03:48:15.773147200Z"),
            Some(Time { seconds: 1_795_319_295, nanos: 773_147_200 })
        );
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(Time::from_seconds(0)));
        assert_eq!(parse("1969-12-31T23:59:59.25Z"), Some(Time { seconds: -1, nanos: 250_000_000 }));
        assert_eq!(parse("yesterday"), None);
        assert_eq!(parse(""), None);
    }
}
