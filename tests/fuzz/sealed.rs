//! What stands under seals: small objects, ends of large ones, frames, index pages; and a message as the chunker sees it.

use std::rc::Rc;

use larder::{
    chunker::{Chunker, Cutter},
    crypto::{HEADER_BYTES, Keys, OVERHEAD_BYTES, ObjectKind, ObjectSealer},
    hash::{ObjectName, RepositoryId, ShortId},
    index::{IndexEntry, SegmentDirectory, decode_page, encode_segment},
    pack::{
        DirectoryBlob, DirectoryFrame, FramePlace, LargeReader, PackDirectory, Tail, decode_frame,
        encode_frame, open_small, seal_small,
    },
    snapshot::SnapshotRecord,
};
use larder_sdk::codec;

use crate::{
    records,
    target::{Target, body, envelope},
};

const NAME: ObjectName = ObjectName([6; 16]);
const REPOSITORY: RepositoryId = RepositoryId([8; 16]);
const TRAILER_BYTES: usize = 8;
/// Kind and version of an index page, as docs/format.md has them.
const PAGE: (u16, u16) = (22, 1);
const LEVEL: i32 = 3;

/// All of them.
pub(crate) fn targets() -> Vec<Target> {
    let keys = Rc::new(Keys::generate().unwrap());
    vec![small(&keys), large(&keys), frame(), page(&keys), message(&keys)]
}

fn sealer(keys: &Keys, kind: ObjectKind) -> ObjectSealer {
    ObjectSealer::create(keys, REPOSITORY, kind, NAME).unwrap()
}

fn small(keys: &Rc<Keys>) -> Target {
    let object = seal_small(keys, REPOSITORY, ObjectKind::Snapshot, NAME, &records::snapshot()).unwrap();
    let opener = ObjectSealer::open(keys, REPOSITORY, ObjectKind::Snapshot, NAME, &object).unwrap();
    let plain = opener.unseal(0, true, &mut object[HEADER_BYTES..].to_vec()).unwrap().to_vec();
    let (sealing, opening) = (Rc::clone(keys), Rc::clone(keys));
    Target {
        name: "small object",
        seeds: vec![plain],
        dress: Box::new(move |plain| {
            let sealer = sealer(&sealing, ObjectKind::Snapshot);
            let mut frame = plain.to_vec();
            sealer.seal(0, true, &mut frame).unwrap();
            [&sealer.header().as_bytes()[..], &frame].concat()
        }),
        decode: Box::new(move |object| {
            open_small::<SnapshotRecord>(&opening, REPOSITORY, ObjectKind::Snapshot, NAME, object).is_ok()
        }),
        every: 1,
    }
}

/// The plain bytes are the trailer's and then the directory's.
fn large(keys: &Rc<Keys>) -> Target {
    let blobs = vec![DirectoryBlob { id: ShortId([3; 16]), bytes: 70_000 }; 3];
    let directory = PackDirectory { frames: vec![DirectoryFrame { sealed_bytes: 300, blobs }; 2] };
    let record = encode_frame(&codec::encode(&directory).unwrap(), LEVEL).unwrap();
    let directory = [&u32::try_from(record.len()).unwrap().to_le_bytes()[..], &record, &[0; 9]].concat();
    let sealed_bytes = u32::try_from(directory.len() + OVERHEAD_BYTES).unwrap();
    let plain = [&sealed_bytes.to_le_bytes()[..], &3_u32.to_le_bytes(), &directory].concat();
    let (sealing, opening) = (Rc::clone(keys), Rc::clone(keys));
    Target {
        name: "end of a large object",
        seeds: vec![plain],
        dress: Box::new(move |plain| {
            let sealer = sealer(&sealing, ObjectKind::DataPack);
            let (trailer, directory) = plain.split_at(plain.len().min(TRAILER_BYTES));
            let (mut trailer, mut directory) = (trailer.to_vec(), directory.to_vec());
            sealer.seal(u64::MAX - 1, false, &mut directory).unwrap();
            sealer.seal(u64::MAX, true, &mut trailer).unwrap();
            [&sealer.header().as_bytes()[..], &directory, &trailer].concat()
        }),
        decode: Box::new(move |object| {
            let Ok(reader) = LargeReader::open(&opening, REPOSITORY, ObjectKind::DataPack, NAME, object)
            else {
                return false;
            };
            match reader.tail(object, object.len() as u64) {
                Ok(Tail::Directory(record, _)) => codec::decode::<PackDirectory>(&record).is_ok(),
                Ok(Tail::Needs(bytes)) => {
                    assert!(bytes <= object.len() as u64);
                    false
                }
                Err(_) => false,
            }
        }),
        every: 1,
    }
}

fn frame() -> Target {
    let text = b"the same words again, ".repeat(500);
    let seeds = vec![encode_frame(&text, LEVEL).unwrap(), encode_frame(b"short", LEVEL).unwrap()];
    Target::plain("frame", seeds, |bytes| {
        let Ok(plain) = decode_frame(bytes) else { return false };
        assert_eq!(decode_frame(&encode_frame(&plain, LEVEL).unwrap()).unwrap(), plain);
        true
    })
}

fn page(keys: &Rc<Keys>) -> Target {
    let entry = |number: u8| IndexEntry {
        id: ShortId([number; 16]),
        pack: ObjectName([number / 4; 16]),
        frame: FramePlace { number: number.into(), offset: 70_000, sealed_bytes: 300 },
        offset: u32::from(number) * 1000,
        bytes: 12,
    };
    let mut entries: Vec<_> = (0..20).map(entry).collect();
    let (name, segment) = encode_segment(keys, REPOSITORY, ObjectKind::DataIndex, &mut entries, &[]).unwrap();
    let reader = LargeReader::open(keys, REPOSITORY, ObjectKind::DataIndex, name, &segment).unwrap();
    let Ok(Tail::Directory(directory, 1)) = reader.tail(&segment, segment.len() as u64) else {
        panic!("one page is expected")
    };
    let first = codec::decode::<SegmentDirectory>(&directory).unwrap().pages.remove(0);
    let mut sealed = segment[first.offset as usize..][..first.sealed_bytes as usize].to_vec();
    let record = decode_frame(reader.frame(0, &mut sealed).unwrap()).unwrap();
    Target {
        name: "index page",
        seeds: vec![body(&record)],
        dress: Box::new(|body| {
            let record = envelope(PAGE.0, PAGE.1, body);
            let length = u32::try_from(record.len()).unwrap();
            [&[0][..], &length.to_le_bytes(), &record].concat()
        }),
        decode: Box::new(|frame| decode_page(frame).is_ok()),
        every: 1,
    }
}

/// However a message is made, its chunks are all of it, and the pieces in which it comes make no difference.
fn message(keys: &Rc<Keys>) -> Target {
    let attachment = "QUJD".repeat(4000);
    let text = format!(
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n\
         Content-Type: application/pdf\r\n\r\n{attachment}\r\n--b--\r\n"
    );
    let chunker = Chunker::new(keys);
    let lengths = move |message: &[u8], pieces: &[&[u8]]| {
        let mut cutter = Cutter::new(chunker.clone(), "message/rfc822");
        for piece in pieces {
            cutter.feed(piece);
        }
        cutter.end();
        let (mut rest, mut lengths) = (message, Vec::new());
        while !rest.is_empty() {
            let length = cutter.chunk(rest);
            assert!(length > 0, "a chunk of no bytes");
            lengths.push(length);
            rest = &rest[length..];
        }
        lengths
    };
    Target::plain("message", vec![text.into_bytes()], move |message| {
        let (one, other) = message.split_at(message.len() / 3);
        assert_eq!(lengths(message, &[message]), lengths(message, &[one, other]));
        true
    })
}
