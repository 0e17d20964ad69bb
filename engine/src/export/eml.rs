//! A folder of messages.

use std::path::Path;

use larder_sdk::StreamInfo;

use super::{
    content::Outgoing,
    run::{Archive, Member, Written},
};
use crate::{
    error::{EngineError, Result},
    restore::{
        Overwrite,
        directory::{ContainerTarget, DirectoryOptions, DirectoryTarget, FileTarget},
    },
};

/// What a message's name ends with.
const EXTENSION: &[u8] = b".eml";

/// A folder that messages are written to, in the folders they were in. Those that are there already and differ are written over.
pub(super) struct EmlFolder {
    target: Option<DirectoryTarget>,
    files: ContainerTarget,
}

impl EmlFolder {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let options = DirectoryOptions::default().with_overwrite(Overwrite::Changed).with_owners(false);
        let target = DirectoryTarget::create(path, &options)
            .map_err(|error| EngineError::failed(error.to_string()))?;
        Ok(Self { files: target.container(), target: Some(target) })
    }
}

impl Archive for EmlFolder {
    /// Folders are made for what is in them.
    fn folder(&mut self, _: &Member<'_>) -> Result<Written> {
        Ok(Written::Whole)
    }

    fn file(&mut self, member: &Member<'_>, content: &mut Outgoing) -> Result<Written> {
        let Some(item) = member.item else { return Ok(Written::LeftOut) };
        let mut item = item.clone();
        let mut names = member.names.to_vec();
        if let Some(last) = names.last_mut() {
            let tail = last.as_bytes().len().saturating_sub(EXTENSION.len());
            if !last.as_bytes()[tail..].eq_ignore_ascii_case(EXTENSION) {
                *last = [last.as_bytes(), EXTENSION].concat().into();
            }
            item.name = last.clone();
        }
        // A message is nobody's but whose folder it is in.
        item.posix = None;
        let broken = |error: crate::restore::directory::RestoreError| {
            Ok(Written::Broken(EngineError::failed(error.to_string())))
        };
        let mut writer = match self.files.file(&names, &item, StreamInfo::CONTENT) {
            Ok(FileTarget::Write(plan)) => match plan.begin() {
                Ok(writer) => writer,
                Err(error) => return broken(error),
            },
            Ok(FileTarget::Done(_)) => return Ok(Written::Whole),
            Err(error) => return broken(error),
        };
        loop {
            match content.next_chunk() {
                Ok(Some(chunk)) => {
                    if let Err(error) = writer.write(&chunk) {
                        return broken(error);
                    }
                }
                Ok(None) => break,
                Err(error) => return Written::broken(error),
            }
        }
        writer.finish().map_or_else(broken, |_| Ok(Written::Whole))
    }

    fn special(&mut self, _: &Member<'_>) -> Result<Written> {
        Ok(Written::LeftOut)
    }

    fn link(&mut self, _: &Member<'_>, _: &[u8]) -> Result<Written> {
        Ok(Written::LeftOut)
    }

    fn finish(&mut self) -> Result<()> {
        match self.target.take().and_then(|target| target.finish().problems.into_iter().next()) {
            Some(problem) => Err(EngineError::failed(problem.to_string())),
            None => Ok(()),
        }
    }
}
