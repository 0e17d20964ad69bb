//! Form digests: proof that a write was meant for this site by this account, for a while.

use crate::clock::UnixMillis;

/// Makes and checks digests without remembering them.
#[derive(Debug)]
pub(super) struct DigestKey {
    key: [u8; 32],
}

impl DigestKey {
    pub(super) fn new(seed: u64) -> Self {
        Self { key: *blake3::hash(format!("form digest {seed}").as_bytes()).as_bytes() }
    }

    fn mac(&self, user: &str, site: &str, stamp: &str) -> String {
        let text = format!("{user}\n{site}\n{stamp}");
        blake3::keyed_hash(&self.key, text.as_bytes()).to_hex().to_uppercase()
    }

    /// `0xHEX,10 Jan 2026 08:00:00 -0000`.
    pub(super) fn make(&self, user: &str, site: &str, now: UnixMillis) -> String {
        let stamp = stamp(now);
        format!("0x{},{stamp}", self.mac(user, site, &stamp))
    }

    /// Whether a digest is ours, for this account and site, and not older than `seconds`.
    pub(super) fn check(&self, digest: &str, user: &str, site: &str, now: UnixMillis, seconds: i64) -> bool {
        let Some((hex, stamp)) = digest.strip_prefix("0x").and_then(|rest| rest.split_once(',')) else {
            return false;
        };
        let Some(made) = read_stamp(stamp) else { return false };
        let age = now / 1000 - made;
        hex == self.mac(user, site, stamp) && (0..=seconds).contains(&age)
    }
}

const FORM: &str = "%d %b %Y %H:%M:%S";

fn stamp(now: UnixMillis) -> String {
    let at = jiff::Timestamp::from_second(now.div_euclid(1000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{} -0000", at.strftime(FORM))
}

fn read_stamp(text: &str) -> Option<i64> {
    let civil = jiff::civil::DateTime::strptime(FORM, text.strip_suffix(" -0000")?).ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_bound_and_grows_old() {
        let key = DigestKey::new(1);
        let now = 1_768_032_000_000;
        let digest = key.make("ann", "site", now);
        assert!(digest.ends_with(",10 Jan 2026 08:00:00 -0000"), "{digest}");
        assert!(key.check(&digest, "ann", "site", now + 1_800_000, 1800));
        assert!(!key.check(&digest, "ann", "site", now + 1_801_000, 1800));
        assert!(!key.check(&digest, "bob", "site", now, 1800));
        assert!(!key.check(&digest, "ann", "other", now, 1800));
        assert!(!key.check("", "ann", "site", now, 1800));
    }
}
