//! What a file's body gives.

use std::{
    fs,
    os::unix::fs::{FileExt, symlink},
    sync::Arc,
};

use larder_sdk::{Body, ErrorKind, limits::PIECE_BYTES_MAX};

use super::*;

/// Bytes without long runs of anything.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// Lists a root, lets it change, then reads an item.
fn read_after(root: &Path, path: &str, change: impl FnOnce()) -> Result<Vec<u8>> {
    block_on(async {
        let (_, reader) = open(&options(root, ""), ReaderMemory::new()).await;
        let events = events(&*reader).await;
        let offer =
            offers(&events).into_iter().find(|offer| offer.item.name.as_bytes() == path.as_bytes()).unwrap();
        change();
        content(&*reader, offer).await
    })
}

#[test]
fn contents_of_every_length_come_back() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    for length in
        [0, 1, 4096, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3 * PIECE_BYTES_MAX + 7]
    {
        let bytes = noise(length);
        fs::write(&file, &bytes).unwrap();
        assert!(read_after(home.path(), "file", || ()).unwrap() == bytes, "{length} bytes");
    }
}

#[test]
fn files_opened_together_come_in_order_each_with_its_own_error() {
    let home = tempfile::tempdir().unwrap();
    let content = |number: usize| noise(number * 7);
    for number in 0..100 {
        fs::write(home.path().join(format!("{number:03}")), content(number)).unwrap();
    }
    block_on(async {
        let (_, reader) = open(&options(home.path(), ""), ReaderMemory::new()).await;
        let events = events(&*reader).await;
        let mut wants: Vec<_> =
            offers(&events).into_iter().map(|offer| (Arc::new(offer.clone()), 0)).collect();
        wants.push((Arc::clone(&wants[0].0), 1));
        fs::remove_file(home.path().join("042")).unwrap();
        fs::write(home.path().join("043"), noise(PIECE_BYTES_MAX + 3)).unwrap();
        let opened = reader.open_together(&wants).await.unwrap();
        assert_eq!(opened.len(), 101);
        for (number, body) in opened.into_iter().enumerate() {
            match (number, body) {
                (42, Err(error)) => assert_eq!(error.kind(), ErrorKind::NotFound),
                (100, Err(error)) => assert_eq!(error.kind(), ErrorKind::Bug, "there is no such stream"),
                (43, Ok(mut body)) => assert!(body.take_ready().is_none(), "it has grown past a piece"),
                (_, Ok(mut body)) => assert!(body.take_ready().unwrap() == content(number), "{number}"),
                (_, Err(error)) => panic!("{number}: {error}"),
            }
        }
    });
}

#[test]
fn holes_come_back_as_zeros() {
    let home = tempfile::tempdir().unwrap();
    let file = fs::File::create(home.path().join("sparse")).unwrap();
    let mut expected = vec![0; 9 * PIECE_BYTES_MAX + 5];
    let data = noise(5000);
    for at in [0, 3 * PIECE_BYTES_MAX + 100, 7 * PIECE_BYTES_MAX] {
        file.write_all_at(&data, at as u64).unwrap();
        expected[at..at + data.len()].copy_from_slice(&data);
    }
    file.set_len(expected.len() as u64).unwrap();
    assert!(read_after(home.path(), "sparse", || ()).unwrap() == expected);
}

/// Files whose holes and data take turns, in every order of lengths.
#[test]
fn short_holes_between_data_come_back_too() {
    const LENGTHS: [usize; 4] = [4096, 200_000, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 8192];
    let home = tempfile::tempdir().unwrap();
    for first_is_data in [true, false] {
        let file = fs::File::create(home.path().join("sparse")).unwrap();
        let mut expected = Vec::new();
        for turn in 0..2 * LENGTHS.len() * LENGTHS.len() {
            let length = LENGTHS[turn / 2 % LENGTHS.len()].max(LENGTHS[turn / 8]);
            if (turn % 2 == 0) == first_is_data {
                let data = noise(length);
                file.write_all_at(&data, expected.len() as u64).unwrap();
                expected.extend(data);
            } else {
                expected.resize(expected.len() + length, 0);
            }
        }
        file.set_len(expected.len() as u64).unwrap();
        assert!(read_after(home.path(), "sparse", || ()).unwrap() == expected);
    }
}

#[test]
fn a_file_that_shrinks_or_grows_is_read_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let bytes = noise(2 * PIECE_BYTES_MAX);
    for length in [10, PIECE_BYTES_MAX + 3] {
        fs::write(&path, &bytes).unwrap();
        let short = read_after(home.path(), "file", || fs::write(&path, &bytes[..length]).unwrap()).unwrap();
        assert!(short == bytes[..length]);
    }
    fs::write(&path, &bytes[..10]).unwrap();
    assert!(read_after(home.path(), "file", || fs::write(&path, &bytes).unwrap()).unwrap() == bytes);
}

#[test]
fn what_is_cut_off_during_reading_ends_the_body() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    fs::write(&path, noise(8 * PIECE_BYTES_MAX)).unwrap();
    block_on(async {
        let (_, reader) = open(&options(home.path(), ""), ReaderMemory::new()).await;
        let events = events(&*reader).await;
        let mut body = reader.open(offers(&events)[0], 0).await.unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(PIECE_BYTES_MAX as u64).unwrap();
        let mut length = 0;
        while let Some(piece) = body.read().await.unwrap() {
            length += piece.len();
        }
        assert_eq!(length, PIECE_BYTES_MAX);
        assert!(body.read().await.unwrap().is_none(), "an ended body stays ended");
    });
}

#[test]
fn what_vanished_or_became_something_else_is_not_found() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root");
    fs::create_dir_all(root.join("folder")).unwrap();
    fs::create_dir_all(home.path().join("elsewhere")).unwrap();
    fs::write(home.path().join("elsewhere/file"), b"secret").unwrap();
    let file = root.join("folder/file");
    let put = || fs::write(&file, b"x").unwrap();
    let kind = |change: &dyn Fn()| read_after(&root, "file", change).unwrap_err().kind();

    put();
    assert_eq!(kind(&|| fs::remove_file(&file).unwrap()), ErrorKind::NotFound);
    put();
    let to_link = || {
        fs::remove_file(&file).unwrap();
        symlink("../../elsewhere/file", &file).unwrap();
    };
    assert_eq!(kind(&to_link), ErrorKind::NotFound);
    fs::remove_file(&file).unwrap();
    put();
    let to_pipe = || {
        fs::remove_file(&file).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    assert_eq!(kind(&to_pipe), ErrorKind::NotFound, "and opening it did not wait for a writer");
    fs::remove_file(&file).unwrap();
    put();
    let folder_to_link = || {
        fs::rename(root.join("folder"), home.path().join("moved")).unwrap();
        symlink("../elsewhere", root.join("folder")).unwrap();
    };
    assert_eq!(kind(&folder_to_link), ErrorKind::NotFound, "a link on the way is not followed");
}

#[test]
fn a_ready_body_is_no_larger_than_a_piece() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), noise(PIECE_BYTES_MAX)).unwrap();
    block_on(async {
        let (_, reader) = open(&options(home.path(), ""), ReaderMemory::new()).await;
        let events = events(&*reader).await;
        let mut body: Box<dyn Body> = reader.open(offers(&events)[0], 0).await.unwrap();
        assert_eq!(body.read().await.unwrap().unwrap().len(), PIECE_BYTES_MAX);
        assert!(body.read().await.unwrap().is_none());
        assert_eq!(reader.open(offers(&events)[0], 1).await.err().unwrap().kind(), ErrorKind::Bug);
    });
}
