//! Numbers, sizes, times and names as people read them.

use std::{fmt::Write as _, time::Duration};

use larder_sdk::Time;

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 item`, `2 items`, `1,234 items`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A size in bytes: `999 B`, `1.2 kB`, `34.5 MB`. Decimal units.
pub(super) fn bytes(size: u64) -> String {
    if size < 1000 {
        return format!("{size} B");
    }
    let mut scaled = size as f64 / 1000.0;
    for unit in ["kB", "MB", "GB", "TB"] {
        // Under 999.95 it still rounds to three digits before the point.
        if scaled < 999.95 {
            return format!("{scaled:.1} {unit}");
        }
        scaled /= 1000.0;
    }
    format!("{scaled:.1} PB")
}

/// `0.3 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `2026-03-01 14:05:59` in this machine's time zone.
pub(super) fn local_time(time: Time) -> String {
    match jiff::Timestamp::new(time.seconds, nanos(time)) {
        Ok(moment) => moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => OUT_OF_RANGE.to_owned(),
    }
}

/// `2026-03-01T13:05:59.5Z`, as in JSON.
pub(super) fn utc_time(time: Time) -> String {
    match jiff::Timestamp::new(time.seconds, nanos(time)) {
        Ok(moment) => moment.to_string(),
        Err(_) => OUT_OF_RANGE.to_owned(),
    }
}

/// What stands for a time that no calendar has: sources say what they like.
const OUT_OF_RANGE: &str = "(out of range)";

fn nanos(time: Time) -> i32 {
    i32::try_from(time.nanos).unwrap_or(0)
}

/// A name on one line: what would move the cursor, change colours or break the line is written as an escape.
pub(super) fn name(text: &str) -> String {
    escaped(text, char::is_control)
}

/// A text of several lines, with everything escaped that a terminal would obey.
pub(super) fn text(text: &str) -> String {
    escaped(text, |character| character.is_control() && !matches!(character, '\n' | '\t'))
}

fn escaped(text: &str, hostile: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Marks that turn the direction of writing make one name look like another.
        let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hostile(character) || turns {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Lines of columns, each as wide as its widest cell; the columns in `right` end flush.
pub(super) fn table(rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let mut text = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            if column > 0 {
                text.push_str("  ");
            }
            if right.contains(&column) {
                text.push_str(&padding);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&padding);
            }
        }
        text.truncate(text.trim_end().len());
        text
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sizes() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "item"), "1 item");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(999_949), "999.9 kB");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
    }

    #[test]
    fn durations_and_times() {
        assert_eq!(duration(Duration::from_millis(340)), "0.3 s");
        assert_eq!(duration(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(duration(Duration::from_secs(7_500)), "2 h 5 min");
        assert_eq!(utc_time(Time { seconds: 1_700_000_000, nanos: 500_000_000 }), "2023-11-14T22:13:20.5Z");
        assert_eq!(utc_time(Time::from_seconds(i64::MAX)), OUT_OF_RANGE);
        assert_eq!(local_time(Time::from_seconds(i64::MIN)), OUT_OF_RANGE);
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(name("a\u{1b}[2J\nb\u{202e}c"), "a\\u{1b}[2J\\nb\\u{202e}c");
        assert_eq!(text("a\nb\u{7}"), "a\nb\\u{7}");
        assert_eq!(name("Größe 日本"), "Größe 日本");
    }

    #[test]
    fn columns_line_up() {
        let rows =
            [vec!["a".to_owned(), "10".to_owned(), String::new()], vec!["bcd".to_owned(), "5".to_owned()]];
        assert_eq!(table(&rows, &[1]), ["a    10", "bcd   5"]);
    }
}
