//! The tenant's clock: the system's, moved by an offset, so that a test can let sixty days pass at once.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub type UnixMillis = i64;

/// The only reader of time of day in the tenant. Cheap to read, safe to share.
#[derive(Debug, Default)]
pub struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// Now, with the offset added.
    pub fn now_ms(&self) -> UnixMillis {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        i64::try_from(real).unwrap_or(i64::MAX).saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Moves the clock by `ms` (negative: back).
    pub fn advance_ms(&self, ms: i64) {
        self.offset_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// `ms` as Microsoft's services write a time: ISO 8601, whole seconds, `Z`.
pub fn iso_seconds(ms: UnixMillis) -> String {
    jiff::Timestamp::from_second(ms.div_euclid(1000))
        .map_or_else(|_| "1970-01-01T00:00:00Z".into(), |at| at.to_string())
}

/// Reads an ISO 8601 time with `Z` or an offset.
pub fn parse_iso(text: &str) -> Option<UnixMillis> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
