//! Which packs a check reads.

use std::{fmt, str::FromStr};

use crate::{
    error::{EngineError, Result},
    hash::{ObjectName, fill_random},
    index::BlobKind,
};

/// Most parts that a repository is read in.
const PARTS_MAX: u32 = 10_000;

/// How many of the packs a check reads and verifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadData {
    /// None.
    #[default]
    None,
    /// Every one.
    All,
    /// About this share of all bytes, in hundredths of a percent; which ones is drawn anew each time.
    Share(u32),
    /// Part `part` (from 1) of `of`: the same packs each time, and every pack is in one of the parts.
    Part {
        /// Which part.
        part: u32,
        /// How many there are.
        of: u32,
    },
}

impl FromStr for ReadData {
    type Err = EngineError;

    /// `5%`, `2.5%` or `3/30`; `100%` is all.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            EngineError::usage(format!(
                "`{}` is no share: write 5% for a random share, or 3/30 for the third of thirty parts",
                text.escape_debug()
            ))
        };
        if let Some(percent) = text.strip_suffix('%') {
            let (whole, digits) = percent.split_once('.').unwrap_or((percent, "0"));
            let is_number = |part: &str| {
                !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit())
            };
            if !is_number(whole) || !is_number(digits) || digits.len() > 2 {
                return Err(wrong());
            }
            let hundredths = |text: &str| text.parse::<u32>().map_err(|_| wrong());
            let share = hundredths(whole)? * 100 + hundredths(&format!("{digits:0<2}"))?;
            return match share {
                10_000 => Ok(Self::All),
                1..10_000 => Ok(Self::Share(share)),
                _ => Err(wrong()),
            };
        }
        let (part, of) = text.split_once('/').ok_or_else(wrong)?;
        let part = part.parse().map_err(|_| wrong())?;
        let of = of.parse().map_err(|_| wrong())?;
        if (1..=PARTS_MAX).contains(&of) && (1..=of).contains(&part) {
            Ok(Self::Part { part, of })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for ReadData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::Share(share) if share % 100 == 0 => write!(f, "{}%", share / 100),
            Self::Share(share) => write!(f, "{}.{:02}%", share / 100, share % 100),
            Self::Part { part, of } => write!(f, "{part}/{of}"),
        }
    }
}

/// A pack in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListedPack {
    pub(super) kind: BlobKind,
    pub(super) name: ObjectName,
    /// Its size in bytes.
    pub(super) bytes: u64,
}

impl ReadData {
    /// The packs to read, in order. Fails only if the system gives no random bytes.
    pub(super) fn choose(self, mut packs: Vec<ListedPack>) -> Result<Vec<ListedPack>> {
        match self {
            Self::None => packs.clear(),
            Self::All => {}
            Self::Share(share) => {
                let mut seed = [0; 32];
                fill_random(&mut seed)?;
                packs = drawn(packs, share, &seed);
            }
            Self::Part { part, of } => packs.retain(|pack| part_of(pack.name, of) == part),
        }
        packs.sort_unstable();
        Ok(packs)
    }
}

/// The part, from 1 to `of`, that a pack is in. Names are random, so that parts are about equal.
fn part_of(name: ObjectName, of: u32) -> u32 {
    let [a, b, c, d, ..] = name.0;
    u32::from_le_bytes([a, b, c, d]) % of + 1
}

/// Packs in random order until they have the share of all bytes: at least one, if there is one.
fn drawn(packs: Vec<ListedPack>, share: u32, seed: &[u8; 32]) -> Vec<ListedPack> {
    let total: u64 = packs.iter().map(|pack| pack.bytes).sum();
    let wanted = u128::from(total) * u128::from(share);
    let mut drawn: Vec<_> =
        packs.into_iter().map(|pack| (*blake3::keyed_hash(seed, &pack.name.0).as_bytes(), pack)).collect();
    drawn.sort_unstable();
    let mut bytes = 0_u128;
    drawn
        .into_iter()
        .map(|(_, pack)| pack)
        .take_while(|pack| {
            let more = bytes * 10_000 < wanted;
            bytes += u128::from(pack.bytes);
            more
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packs(count: u32) -> Vec<ListedPack> {
        let pack = |n: u32| {
            let mut name = [0; 16];
            name.copy_from_slice(&blake3::hash(&n.to_le_bytes()).as_bytes()[..16]);
            ListedPack { kind: BlobKind::Data, name: ObjectName(name), bytes: 1_000 + u64::from(n % 7) * 500 }
        };
        (0..count).map(pack).collect()
    }

    #[test]
    fn shares_and_parts_are_read_and_written() {
        for (text, expected) in [
            ("5%", ReadData::Share(500)),
            ("2.5%", ReadData::Share(250)),
            ("0.01%", ReadData::Share(1)),
            ("100%", ReadData::All),
            ("3/30", ReadData::Part { part: 3, of: 30 }),
            ("1/1", ReadData::Part { part: 1, of: 1 }),
        ] {
            let parsed: ReadData = text.parse().unwrap();
            assert_eq!(parsed, expected, "{text}");
            if parsed != ReadData::All {
                assert_eq!(parsed.to_string().parse::<ReadData>().unwrap(), parsed);
            }
        }
        for wrong in [
            "", "5", "0%", "101%", "-1%", "1.234%", "%", ".5%", "0/3", "4/3", "1/0", "1/99999", "a/b",
            "1/2/3",
        ] {
            assert!(wrong.parse::<ReadData>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_parts_together_are_everything_and_no_pack_is_in_two() {
        let all = packs(1_000);
        let mut seen: Vec<_> =
            (1..=7).flat_map(|part| ReadData::Part { part, of: 7 }.choose(all.clone()).unwrap()).collect();
        seen.sort_unstable();
        let mut all = all;
        all.sort_unstable();
        assert_eq!(seen, all);
        assert_eq!(
            ReadData::Part { part: 2, of: 7 }.choose(packs(1_000)).unwrap(),
            ReadData::Part { part: 2, of: 7 }.choose(packs(1_000)).unwrap()
        );
    }

    #[test]
    fn a_share_has_its_bytes_and_is_another_each_time() {
        let total: u64 = packs(1_000).iter().map(|pack| pack.bytes).sum();
        let share = |seed: u8| drawn(packs(1_000), 1_000, &[seed; 32]);
        let bytes: u64 = share(1).iter().map(|pack| pack.bytes).sum();
        assert!(bytes * 10 >= total && bytes * 10 < total + 10 * 4_000, "{bytes} of {total}");
        assert_ne!(share(1), share(2));
        assert_eq!(share(1), share(1));
        assert_eq!(drawn(packs(3), 1, &[0; 32]).len(), 1);
        assert_eq!(drawn(Vec::new(), 1, &[0; 32]).len(), 0);
    }
}
