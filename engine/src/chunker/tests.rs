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
