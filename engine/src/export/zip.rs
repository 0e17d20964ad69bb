//! Zip files, written without ever going back.

use std::io::Write;

use jiff::{Timestamp, tz::TimeZone};
use larder_sdk::{Kind, Time};
use zip::{
    CompressionMethod, DateTime, ZipWriter,
    result::ZipError,
    write::{ExtendedFileOptions, FileOptions, StreamWriter},
};

use super::{
    content::Outgoing,
    run::{Archive, Member, Written, text_path, unwritten},
};
use crate::error::{EngineError, Result};

/// From this many bytes on, lengths take the room of zip64; compression may add a little to what is incompressible.
const LARGE_BYTES: u64 = 0xf000_0000;
/// The extra field that holds a time to the second in UTC.
const TIMESTAMP_FIELD: u16 = 0x5455;
/// Its first byte: the time of the last change is in it.
const HAS_MODIFIED: u8 = 1;

/// A zip file being written. It remembers about 500 bytes of each member, for the table at its end.
pub(super) struct ZipFile<'run>(Option<ZipWriter<StreamWriter<&'run mut dyn Write>>>);

impl<'run> ZipFile<'run> {
    pub(super) fn new(out: &'run mut dyn Write) -> Self {
        Self(Some(ZipWriter::new_stream(out)))
    }

    fn writer(&mut self) -> Result<&mut ZipWriter<StreamWriter<&'run mut dyn Write>>> {
        self.0.as_mut().ok_or_else(|| EngineError::failed("the zip file is ended already"))
    }
}

fn options(member: &Member<'_>, mode: u32) -> Result<FileOptions<'static, ExtendedFileOptions>> {
    let modified = member.modified();
    let mut options = FileOptions::<ExtendedFileOptions>::default()
        .compression_method(CompressionMethod::Deflated)
        .large_file(member.bytes >= LARGE_BYTES)
        .unix_permissions(member.mode().unwrap_or(mode))
        .last_modified_time(dos_time(modified));
    if let Ok(seconds) = i32::try_from(modified.seconds) {
        let mut field = vec![HAS_MODIFIED];
        field.extend_from_slice(&seconds.to_le_bytes());
        options.add_extra_data(TIMESTAMP_FIELD, field, false).map_err(unwritten)?;
    }
    Ok(options)
}

/// The time as these files have it, in UTC and from 1980 on, in steps of two seconds.
fn dos_time(time: Time) -> DateTime {
    let Ok(moment) = Timestamp::from_second(time.seconds) else { return DateTime::default() };
    let at = moment.to_zoned(TimeZone::UTC).datetime();
    let part = |number: i8| u8::try_from(number).unwrap_or(0);
    u16::try_from(at.year())
        .ok()
        .and_then(|year| {
            let (hour, minute, second) = (part(at.hour()), part(at.minute()), part(at.second()));
            DateTime::from_date_and_time(year, part(at.month()), part(at.day()), hour, minute, second).ok()
        })
        .unwrap_or_default()
}

/// The name of a member. Some programs take `\` for `/`.
fn name(member: &Member<'_>) -> String {
    text_path(member.path).replace('\\', "%{5C}")
}

/// A name that is there already is the member's trouble, everything else that of the whole.
fn begun(begun: std::result::Result<(), ZipError>) -> Result<Option<Written>> {
    match begun {
        Ok(()) => Ok(None),
        Err(ZipError::InvalidArchive(why)) => {
            Ok(Some(Written::Broken(EngineError::failed(format!("a zip file cannot hold it: {why}")))))
        }
        Err(error) => Err(unwritten(error)),
    }
}

impl Archive for ZipFile<'_> {
    fn folder(&mut self, member: &Member<'_>) -> Result<Written> {
        let begin = self.writer()?.add_directory(name(member), options(member, 0o755)?);
        Ok(begun(begin)?.unwrap_or(Written::Whole))
    }

    fn file(&mut self, member: &Member<'_>, content: &mut Outgoing) -> Result<Written> {
        let options = options(member, 0o644)?;
        let writer = self.writer()?;
        if let Some(refused) = begun(writer.start_file(name(member), options))? {
            return Ok(refused);
        }
        loop {
            match content.next_chunk() {
                Ok(Some(chunk)) => writer.write_all(&chunk).map_err(unwritten)?,
                Ok(None) => return Ok(Written::Whole),
                Err(error) => return Written::broken(error),
            }
        }
    }

    fn special(&mut self, member: &Member<'_>) -> Result<Written> {
        let link = member.item.filter(|item| item.kind == Kind::SYMLINK);
        let Some(posix) = link.and_then(|item| item.posix.as_ref()) else { return Ok(Written::LeftOut) };
        // What is no text cannot be the target of a link in a zip file.
        let Ok(target) = std::str::from_utf8(&posix.target) else { return Ok(Written::LeftOut) };
        let begin = self.writer()?.add_symlink(name(member), target, options(member, 0o777)?);
        Ok(begun(begin)?.unwrap_or(Written::Whole))
    }

    fn link(&mut self, _: &Member<'_>, _: &[u8]) -> Result<Written> {
        Ok(Written::LeftOut)
    }

    fn finish(&mut self) -> Result<()> {
        match self.0.take() {
            Some(writer) => writer
                .finish()
                .map_err(unwritten)
                .and_then(|writer| writer.into_inner().flush().map_err(unwritten)),
            None => Ok(()),
        }
    }
}
