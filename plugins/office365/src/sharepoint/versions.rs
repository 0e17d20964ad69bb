//! Earlier versions of a file: which there are, and each as a stream of the file.

use larder_sdk::{ErrorKind, Result, StreamInfo, limits::STREAMS_MAX};
use serde_json::Value as Json;

use super::{json, web::Web};
use crate::options::Versions;

/// Most versions that the service lists of one file: 50,000 major ones, 511 drafts of each of the last few.
const LISTED_MAX: usize = 200_000;
/// Most earlier versions kept of one file, the newest: an item has no more streams.
const KEPT_MAX: usize = STREAMS_MAX - 16;
/// What the streams' names begin with.
const PREFIX: &str = "version/";
/// What a major version counts in a version's number.
const MAJOR: u32 = 512;

impl Versions {
    /// How many earlier ones are kept beside the current one.
    fn earlier(self) -> usize {
        match self {
            Self::Latest => 0,
            Self::All => KEPT_MAX,
            Self::Count(count) => (count as usize).saturating_sub(1).min(KEPT_MAX),
        }
    }

    /// The word in the config.
    pub(super) fn word(self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Latest => "latest".to_owned(),
            Self::Count(count) => count.to_string(),
        }
    }

    /// True if only the current one is kept.
    pub(super) fn is_latest(self) -> bool {
        self.earlier() == 0
    }
}

/// The earlier versions of a file that are kept, oldest first.
///
/// `media` is the media type of their bytes.
pub(super) async fn read(
    web: &Web,
    unique_id: &str,
    media: &str,
    wanted: Versions,
) -> Result<Vec<StreamInfo>> {
    if wanted.is_latest() {
        return Ok(Vec::new());
    }
    let tail = format!(
        "web/GetFileById('{unique_id}')/versions?$select=ID,VersionLabel,Created,Length,Size,IsCurrentVersion"
    );
    match web.all(&tail, LISTED_MAX).await {
        Ok(rows) => Ok(streams(&rows, media, wanted.earlier())),
        // The file went meanwhile; reading its content tells.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The `most` newest as streams, oldest first.
fn streams(rows: &[Json], media: &str, most: usize) -> Vec<StreamInfo> {
    let earlier = rows.iter().filter(|row| !json::flag(row, "IsCurrentVersion"));
    let mut found: Vec<(u32, StreamInfo)> = earlier.filter_map(|row| stream(row, media)).collect();
    found.sort_by_key(|(number, _)| *number);
    found.dedup_by_key(|(number, _)| *number);
    let excess = found.len().saturating_sub(most);
    found.drain(..excess);
    found.into_iter().map(|(_, stream)| stream).collect()
}

fn stream(row: &Json, media: &str) -> Option<(u32, StreamInfo)> {
    let told = json::number(row, "ID").and_then(|id| u32::try_from(id).ok());
    let number = told.or_else(|| number_of(json::text(row, "VersionLabel")))?;
    // `Size` has 32 bits, which a large file overflows.
    let length = json::number(row, "Length").and_then(|length| u64::try_from(length).ok());
    let created = json::time(row, "Created").map_or(0, |at| at.seconds);
    let name = format!("{PREFIX}{}.{}", number / MAJOR, number % MAJOR);
    let tag = length.map_or_else(String::new, |length| length.to_string());
    let media = if media.is_empty() { "application/octet-stream" } else { media };
    let media = format!("{media}; etag={tag}-{created}");
    Some((number, StreamInfo { name: name.into(), media: media.into(), size: length }))
}

/// The number of a version by its label: `2.1` is 1025.
fn number_of(label: &str) -> Option<u32> {
    let (major, minor) = label.trim().split_once('.')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    (minor < MAJOR).then(|| major.checked_mul(MAJOR)?.checked_add(minor)).flatten()
}

/// The number of the version that a stream is; `None` if it is none.
pub(super) fn of_stream(name: &str) -> Option<u32> {
    number_of(name.strip_prefix(PREFIX)?)
}

/// True if a file of this label may have had other versions before.
pub(super) fn may_be(label: &str, drafts: bool) -> bool {
    match label {
        "0.1" => false,
        // The first that was published may have been a draft before.
        "1.0" => drafts,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: u32, label: &str, length: &str) -> Json {
        json!({"ID": id, "VersionLabel": label, "Created": "2026-01-10T08:00:00Z", "Length": length, "Size": -1})
    }

    #[test]
    fn the_newest_are_kept_and_named_by_label() {
        let rows = [
            row(1024, "2.0", "7"),
            row(513, "1.1", "6"),
            row(512, "1.0", "4294967301"),
            row(512, "1.0", "5"),
        ];
        let names = |most: usize| -> Vec<String> {
            streams(&rows, "", most).iter().map(|stream| stream.name.to_string()).collect()
        };
        assert_eq!(names(9), ["version/1.0", "version/1.1", "version/2.0"]);
        assert_eq!(names(1), ["version/2.0"]);
        let first = &streams(&rows, "", 9)[0];
        assert_eq!(first.size, Some(4_294_967_301), "pitfall 13: Length, never the Int32 Size");
        assert!(
            first.has_own_tag() && first.media.ends_with("etag=4294967301-1768032000"),
            "{}",
            first.media
        );
        let mut current = row(1536, "3.0", "9");
        current["IsCurrentVersion"] = json!(true);
        assert!(streams(&[current], "", 9).is_empty());
        assert_eq!(streams(&[json!({"VersionLabel": "4.2"})], "", 9)[0].name, "version/4.2");
        assert!(streams(&[json!({"VersionLabel": "draft"})], "", 9).is_empty());
    }

    #[test]
    fn streams_name_their_version() {
        assert_eq!((of_stream("version/2.1"), of_stream("version/0.3")), (Some(1025), Some(3)));
        assert_eq!(
            (of_stream("content"), of_stream("version/x"), of_stream("version/1.512")),
            (None, None, None)
        );
        assert!(of_stream("version/4294967295.0").is_none());
    }

    #[test]
    fn a_first_version_has_none_before() {
        assert!(!may_be("1.0", false) && !may_be("0.1", true));
        assert!(may_be("1.0", true) && may_be("2.0", false) && may_be("0.2", true) && may_be("", false));
    }

    #[test]
    fn a_number_counts_the_current_one() {
        assert_eq!((Versions::Count(1).earlier(), Versions::Count(3).earlier()), (0, 2));
        assert!(Versions::Latest.is_latest() && Versions::Count(1).is_latest() && !Versions::All.is_latest());
    }
}
