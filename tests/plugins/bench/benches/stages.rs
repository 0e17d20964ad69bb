//! What each stage of a backup costs by itself, in memory and on all cores: the limit that a whole backup can come near to.
//!
//! `LARDER_BENCH_DATA=DIR cargo bench -p larder-bench --bench stages` takes the files of a directory, at most 1 GiB of them; without it,
//! the mixed corpus of `tests/bench` is made, 400 MB of it. Each stage works on what the one before it leaves: compression sees no chunk twice.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    collections::HashSet,
    error::Error,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use larder::{
    chunker::{Chunker, Cutter, is_one_chunk},
    crypto::{Keys, ObjectKind},
    hash::{Digest, RepositoryId},
    pack::{Compression, FrameBuilder, LargeWriter, RawFrame, decode_frame, encode_frame},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Most bytes taken.
const BYTES_MAX: usize = 1 << 30;
/// The compression level of a backup.
const LEVEL: i32 = 3;
/// Bytes of a pack.
const PACK_BYTES: usize = 16 << 20;

struct File {
    bytes: Vec<u8>,
    media: &'static str,
}

fn main() -> Outcome<()> {
    let made = tempfile::tempdir()?;
    let root = match std::env::var_os("LARDER_BENCH_DATA") {
        Some(root) => PathBuf::from(root),
        None => make_corpus(made.path())?,
    };
    let mut files = Vec::new();
    read_files(&root, &mut files, &mut 0)?;
    let threads = thread::available_parallelism()?.get();
    let total: usize = files.iter().map(|file| file.bytes.len()).sum();
    println!("{} files, {:.0} MB, {threads} threads", files.len(), total as f64 / 1e6);
    let keys = Keys::generate()?;
    let chunker = Chunker::new(&keys);

    let (chunking, chunks) = on_all(threads, &files, |file| ends(&chunker, file));
    show("chunking", total, chunking, total);
    let pieces: Vec<&[u8]> =
        files.iter().zip(&chunks).flat_map(|(file, ends)| cut(&file.bytes, ends)).collect();
    let (digesting, digests) = on_all(threads, &pieces, |piece| Digest::of(piece));
    show("digests of chunks", total, digesting, total);
    let several: Vec<&File> =
        files.iter().zip(&chunks).filter(|(_, ends)| ends.len() > 1).map(|(file, _)| file).collect();
    let (again, _) = on_all(threads, &several, |file| Digest::of(&file.bytes));
    show(
        "digests of streams of several chunks",
        several.iter().map(|file| file.bytes.len()).sum(),
        again,
        total,
    );

    let frames = frames(&pieces, &digests)?;
    let unique: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
    let (compressing, encoded) = on_all(threads, &frames, |frame| encode_frame(&frame.bytes, LEVEL));
    let encoded = encoded.into_iter().collect::<Result<Vec<_>, _>>()?;
    show("zstd, each frame opened again and compared", unique, compressing, total);
    let packed: usize = encoded.iter().map(Vec::len).sum();
    let packs: Vec<&[Vec<u8>]> =
        encoded.chunks((encoded.len() * PACK_BYTES / packed.max(1)).max(1)).collect();
    let (sealing, sealed) = on_all(threads, &packs, |pack| seal(&keys, pack));
    sealed.into_iter().collect::<Result<Vec<_>, _>>()?;
    show("AES-256-GCM, each frame opened again and compared", packed, sealing, total);
    println!("all of them {:>54.3} s", (chunking + digesting + again + compressing + sealing).as_secs_f64());
    let (opening, _) = on_all(threads, &encoded, |frame| black_box(decode_frame(frame)).is_ok());
    show("reading: zstd", unique, opening, total);
    Ok(())
}

fn make_corpus(folder: &Path) -> Outcome<PathBuf> {
    let root = folder.join("corpus");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/corpus.py");
    let made = Command::new("python3")
        .arg(script)
        .arg("mixed")
        .arg(&root)
        .args(["--bytes", "400000000"])
        .status()?;
    if made.success() { Ok(root) } else { Err("the corpus could not be made".into()) }
}

fn read_files(folder: &Path, files: &mut Vec<File>, bytes: &mut usize) -> Outcome<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            read_files(&path, files, bytes)?;
        } else if *bytes < BYTES_MAX {
            let media = if path.extension().is_some_and(|end| end == "eml") { "message/rfc822" } else { "" };
            let file = File { bytes: fs::read(&path)?, media };
            *bytes += file.bytes.len();
            files.push(file);
        }
    }
    Ok(())
}

/// Does work on each, all cores busy, each core with every so manyth. Returns how long it took, and the results in order.
fn on_all<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> (Duration, Vec<R>) {
    let begun = Instant::now();
    let work = &work;
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let mine = |first: usize| {
            let every = items.iter().enumerate().skip(first).step_by(threads);
            move || every.map(|(at, item)| (at, work(item))).collect::<Vec<_>>()
        };
        let started: Vec<_> = (0..threads).map(|first| scope.spawn(mine(first))).collect();
        started.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let took = begun.elapsed();
    done.sort_by_key(|(at, _)| *at);
    (took, done.into_iter().map(|(_, result)| result).collect())
}

/// Where a file's chunks end.
fn ends(chunker: &Chunker, file: &File) -> Vec<usize> {
    let bytes = file.bytes.as_slice();
    if is_one_chunk(file.media, bytes.len()) {
        return vec![bytes.len()];
    }
    let mut cutter = Cutter::new(chunker.clone(), file.media);
    cutter.feed(bytes);
    cutter.end();
    let (mut ends, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        start += cutter.chunk(&bytes[start..]);
        ends.push(start);
    }
    ends
}

fn cut<'file>(bytes: &'file [u8], ends: &[usize]) -> Vec<&'file [u8]> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| &bytes[start..*end]).collect()
}

fn frames(pieces: &[&[u8]], digests: &[Digest]) -> Outcome<Vec<RawFrame>> {
    let (mut seen, mut builder, mut frames) =
        (HashSet::new(), FrameBuilder::new(Compression::default().data_frame_bytes()), Vec::new());
    for (piece, digest) in pieces.iter().zip(digests) {
        if !piece.is_empty() && seen.insert(*digest) {
            frames.extend(builder.push(larder::hash::BlobId(digest.0).short(), piece)?);
        }
    }
    frames.extend(builder.take());
    Ok(frames)
}

fn seal(keys: &Keys, frames: &[Vec<u8>]) -> larder_sdk::Result<()> {
    let mut writer = LargeWriter::create(keys, RepositoryId([0; 16]), ObjectKind::DataPack, PACK_BYTES)?;
    frames.iter().try_for_each(|frame| writer.push(frame).map(|_| ()))?;
    black_box(writer.finish(b"")?);
    Ok(())
}

/// A stage's own bytes and speed, and its share of a backup of everything.
fn show(what: &str, bytes: usize, took: Duration, total: usize) {
    let (seconds, megabytes) = (took.as_secs_f64(), bytes as f64 / 1e6);
    let share = total as f64 / 1e6 / seconds;
    println!(
        "{what:<52} {megabytes:>7.0} MB {seconds:>7.3} s {:>7.0} MB/s, {share:>7.0} MB/s of all",
        megabytes / seconds
    );
}
