use proptest::prelude::*;

use super::*;

fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new_derive_key("test").update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

/// The ends of all chunks of a stream.
fn ends(chunker: &Chunker, bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        start += chunker.chunk_end(&bytes[start..]);
        ends.push(start);
    }
    ends
}

/// Where a chunk ends, by the rule as it is written down: one position after the other.
fn end_by_the_rule(chunker: &Chunker, bytes: &[u8]) -> usize {
    let limit = bytes.len().min(CHUNK_BYTES_MAX);
    let mut position = CHUNK_BYTES_MIN + 1;
    while position <= limit {
        let window = &bytes[position - WINDOW_BYTES..position];
        if roll(0, window) & CANDIDATE_MASK != 0 {
            position += 1;
        } else if chunker.cuts(window, position) {
            return position;
        } else {
            position += WINDOW_BYTES;
        }
    }
    limit
}

#[test]
fn searching_in_parts_finds_what_the_rule_says() {
    let chunker = Chunker { key: [3; 32] };
    let mut streams = vec![noise(3 << 20, 7), vec![0; 3 << 20], noise(CHUNK_BYTES_MIN + 1, 8)];
    streams.push(noise(CHUNK_BYTES_MIN + BLOCK_BYTES + 77, 9));
    // Candidates in a row: what is one, over and over.
    let some = noise(1 << 20, 10);
    let nominee = (WINDOW_BYTES..some.len())
        .find(|end| roll(0, &some[end - WINDOW_BYTES..*end]) & CANDIDATE_MASK == 0)
        .unwrap();
    streams.push(some[nominee - WINDOW_BYTES..nominee].repeat(40_000));
    streams.push(noise(96, 11).repeat(30_000));
    // Holes of every byte, whose windows may be candidates, each beside noise.
    let holes = (0..=u8::MAX).flat_map(|byte| [vec![byte; 3 * BLOCK_BYTES], noise(700, byte)].concat());
    streams.push(holes.collect());
    for stream in streams {
        let mut rest = stream.as_slice();
        while rest.len() > CHUNK_BYTES_MIN {
            let end = chunker.chunk_end(rest);
            assert_eq!(end, end_by_the_rule(&chunker, rest));
            rest = &rest[end..];
        }
    }
}

#[test]
fn chunks_keep_their_limits_and_need_no_more_than_one_chunk_ahead() {
    let chunker = Chunker { key: [3; 32] };
    let bytes = noise(16 << 20, 1);
    let ends = ends(&chunker, &bytes);
    assert!((16..80).contains(&ends.len()), "{ends:?}");
    let mut start = 0;
    for end in ends {
        assert!(end - start <= CHUNK_BYTES_MAX && (end == bytes.len() || end - start >= CHUNK_BYTES_MIN));
        assert_eq!(start + chunker.chunk_end(&bytes[start..bytes.len().min(start + CHUNK_BYTES_MAX)]), end);
        start = end;
    }
}

#[test]
fn an_insertion_moves_few_borders() {
    let chunker = Chunker { key: [3; 32] };
    let bytes = noise(16 << 20, 2);
    let mut edited = bytes.clone();
    edited.splice(5_000_000..5_000_000, *b"inserted");
    let before = ends(&chunker, &bytes);
    let after: Vec<usize> = ends(&chunker, &edited);
    let kept = after.iter().filter(|end| **end > 5_000_000 && before.contains(&(**end - 8))).count();
    assert!(kept + 8 >= before.iter().filter(|end| **end > 5_000_000).count(), "{kept} borders kept");
}

#[test]
fn another_key_cuts_elsewhere_and_runs_are_never_cut() {
    let bytes = noise(8 << 20, 3);
    assert_ne!(ends(&Chunker { key: [1; 32] }, &bytes), ends(&Chunker { key: [2; 32] }, &bytes));
    let zeros = vec![0; 5 << 20];
    assert_eq!(ends(&Chunker { key: [1; 32] }, &zeros), [2 << 20, 4 << 20, 5 << 20]);
}

/// The chunks of a stream that comes in pieces of these lengths, over and over.
fn chunks(media: &str, bytes: &[u8], pieces: &[usize]) -> Vec<Vec<u8>> {
    let mut cutter = Cutter::new(Chunker { key: [3; 32] }, media);
    let (mut chunks, mut buffer, mut rest) = (Vec::new(), Vec::new(), bytes);
    let mut lengths = pieces.iter().cycle();
    loop {
        let piece;
        (piece, rest) = rest.split_at(lengths.next().map_or(rest.len(), |length| (*length).min(rest.len())));
        cutter.feed(piece);
        buffer.extend_from_slice(piece);
        if rest.is_empty() {
            cutter.end();
        }
        let needs = if rest.is_empty() { 1 } else { cutter.needs() };
        while buffer.len() >= needs {
            let chunk = cutter.chunk(&buffer);
            chunks.push(buffer.drain(..chunk).collect());
        }
        if rest.is_empty() {
            return chunks;
        }
    }
}

/// A message with attachments of so many bytes before coding.
fn message(subject: &str, attachments: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes =
        format!("Subject: {subject}\r\nContent-Type: multipart/mixed; boundary={subject}\r\n\r\n")
            .into_bytes();
    for attachment in attachments {
        bytes.extend(format!("--{subject}\r\nContent-Type: application/pdf\r\n\r\n").bytes());
        for line in attachment.chunks(38) {
            bytes.extend(line.iter().flat_map(|byte| [b'a' + (byte >> 4), b'a' + (byte & 15)]));
            bytes.extend(b"\r\n");
        }
    }
    bytes.extend(format!("--{subject}--\r\n").bytes());
    bytes
}

#[test]
fn an_attachment_is_the_same_chunks_in_every_message() {
    let attachments = [noise(60_000, 5), noise(3_000_000, 6)];
    let one = chunks("message/rfc822", &message("one", &attachments), &[1 << 20]);
    let other = chunks("Message/RFC822", &message("another-subject", &attachments), &[777_777]);
    let differ = other.iter().filter(|chunk| !one.contains(chunk));
    assert!(
        differ.clone().map(Vec::len).sum::<usize>() < 1000,
        "{:?}",
        differ.map(Vec::len).collect::<Vec<_>>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn chunks_are_the_stream_and_do_not_depend_on_its_pieces(
        sizes in prop::collection::vec(0_usize..1_500_000, 0..4),
        pieces in prop::collection::vec(1_usize..(1 << 20), 1..6),
        broken in 0_usize..200,
    ) {
        let attachments: Vec<_> = sizes.iter().map(|size| noise(*size, *size as u8)).collect();
        let mut bytes = message("property", &attachments);
        bytes.truncate(bytes.len() - broken.min(bytes.len()));
        for media in ["message/rfc822", ""] {
            let whole = chunks(media, &bytes, &[bytes.len().max(1)]);
            prop_assert_eq!(whole.concat(), bytes.clone());
            prop_assert!(whole.iter().all(|chunk| (1..=CHUNK_BYTES_MAX).contains(&chunk.len())));
            prop_assert!(whole == chunks(media, &bytes, &pieces));
        }
    }
}
