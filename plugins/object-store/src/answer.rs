//! Reading what a store says when it says no: the start of the answer's body, and the few headers that tell more.

use std::time::Duration;

use futures::{Stream, StreamExt};
use larder_sdk::Bytes;

use crate::failure::Answer;

/// Most bytes of a failed answer's body that are read.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Longest sentence of a store that is repeated, in letters.
const MESSAGE_CHARS_MAX: usize = 200;

/// The start of a body, as text. A body that breaks off is as good as one that ends there.
pub(crate) async fn start<E>(mut body: impl Stream<Item = Result<Bytes, E>> + Unpin) -> String {
    let mut bytes = Vec::new();
    while let Some(Ok(piece)) = body.next().await {
        bytes.extend_from_slice(&piece[..piece.len().min(BODY_BYTES_MAX - bytes.len())]);
        if bytes.len() == BODY_BYTES_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What body and headers tell. Method, host and status are the caller's to fill in.
pub(crate) fn read<'a>(body: &str, header: impl Fn(&'static str) -> Option<&'a str>) -> Answer {
    let code = element(body, "Code").or(header("x-ms-error-code"));
    let retry_after =
        header("retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    Answer {
        code: code.map(line),
        message: element(body, "Message").map(line),
        retry_after,
        ..Answer::default()
    }
}

/// The answer inside a failed part of a batch: Azure's objects are removed in batches of one, and what is left of that answer is a
/// text that ends in `MESSAGE (code: STATUS)`.
pub(crate) fn of_batch(text: &str) -> Option<Answer> {
    let (message, status) = text.strip_suffix(')')?.rsplit_once(" (code: ")?;
    let message = message.rsplit_once(": ").map_or(message, |(_, message)| message);
    Some(Answer {
        method: "DELETE".to_owned(),
        host: "the store".to_owned(),
        status: status.parse().ok()?,
        message: Some(line(message)),
        ..Answer::default()
    })
}

/// The text of the first element of that name. The stores' errors are flat, so this is all the XML there is to know.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

/// The first line, cut.
fn line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_message_are_found_and_cut() {
        let body = format!(
            "<?xml?>\n<Error><Code>NoSuchBucket</Code><Message>{}\nmore</Message></Error>",
            "é".repeat(300)
        );
        let answer = read(&body, |_| None);
        assert_eq!(answer.code.as_deref(), Some("NoSuchBucket"));
        assert_eq!(answer.message.unwrap(), "é".repeat(200));
    }

    #[test]
    fn headers_stand_in_where_there_is_no_body() {
        let header = |name| match name {
            "x-ms-error-code" => Some("ContainerNotFound"),
            "retry-after" => Some(" 7 "),
            _ => None,
        };
        let answer = read("", header);
        assert_eq!(answer.code.as_deref(), Some("ContainerNotFound"));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(read("<Code>", |_| None).code, None);
    }

    #[test]
    fn a_part_of_a_batch_has_its_own_answer() {
        let answer = of_batch("Bulk delete request failed for key a/b: No such blob. (code: 404)").unwrap();
        assert_eq!((answer.status, answer.message.as_deref()), (404, Some("No such blob.")));
        assert!(of_batch("something else").is_none());
    }

    #[test]
    fn a_body_without_end_is_read_to_the_bound() {
        let endless = futures::stream::repeat(Ok::<_, ()>(Bytes::from_static(&[b'x'; 1000])));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(start(endless)).len(), BODY_BYTES_MAX);
    }
}
