//! Small objects: those that are stored twice, and those that live short.

use super::Repair;
use crate::{
    crypto::ObjectKind,
    error::{EngineError, EngineErrorKind, Result},
    hash::ObjectName,
    repository::{
        control_copies, layout,
        session::{Ender, SESSION_SECONDS_MAX, end_dead_writer, readable},
    },
};

impl Repair<'_> {
    /// Config and key slots: a damaged copy is put again from the good one.
    pub(super) fn twins(&mut self) -> Result<()> {
        let repository = self.setup.at.repository;
        let config = control_copies(repository)?;
        let good = config.iter().find_map(|(_, read)| read.as_ref().ok()).cloned();
        for (key, read) in &config {
            let (Err(_), Some(good)) = (read, &good) else { continue };
            if !self.is_dry() {
                repository.store().put(key, good.clone()).map_err(EngineError::store)?;
            }
            self.report.mended(key.as_str(), "put again from the other copy");
        }
        for slot in repository.slots()? {
            for (key, wrong) in &slot.copies {
                match (wrong, &slot.note) {
                    (None, _) => {}
                    (Some(_), Some(_)) => self.report.mended(key.as_str(), "put again from the other copy"),
                    (Some(error), None) => {
                        let text = format!(
                            "both copies of this key slot are damaged ({}): `larder key remove {}` takes them away; then add the password again",
                            error.full_message(),
                            slot.id
                        );
                        self.report.unmended(key.as_str(), text);
                    }
                }
            }
            if !self.is_dry() {
                repository.mend_slot(&slot)?;
            }
        }
        Ok(())
    }

    /// Sessions, marks and checkpoints that do not read go: nothing is lost with them that a run would not find again.
    pub(super) fn short_lived(&mut self) -> Result<()> {
        let repository = self.setup.at.repository;
        for (name, checkpoint) in repository.checkpoints()? {
            self.remove_damaged(layout::CHECKPOINTS, name, checkpoint.map(drop))?;
        }
        for (name, mark) in repository.marks()? {
            self.remove_damaged(layout::MARKS, name, mark.map(drop))?;
        }
        for (name, session) in repository.sessions()? {
            match session {
                Ok(_) => {}
                Err(error) if error.kind() == EngineErrorKind::Damaged => self.end_damaged(name)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn remove_damaged(&mut self, folder: &str, name: ObjectName, read: Result<()>) -> Result<()> {
        match read {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == EngineErrorKind::Damaged => {
                let key = layout::in_folder(folder, name)?;
                self.report.mended(key.as_str(), "it does not read, and is removed: it lives short");
                self.replaced.push(key);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A session that does not read may be a run's that is at work, as long as it is young: that run renews it.
    fn end_damaged(&mut self, name: ObjectName) -> Result<()> {
        let at = &self.setup.at;
        let key = layout::in_folder(layout::SESSIONS, name)?;
        let now = at.clock.now();
        let renewed = at.repository.store().head(&key).map_err(EngineError::store)?.modified;
        if renewed.is_some_and(|renewed| now.seconds - renewed.seconds <= SESSION_SECONDS_MAX) {
            self.report.unmended(
                key.as_str(),
                "it does not read, and may be that of a run at work: repair again when none is, or in a day",
            );
            return Ok(());
        }
        if let Some(session) = &self.session {
            let ender = Ender { by: session.name(), now, host: at.host };
            end_dead_writer(at.repository, name, &readable(at.repository.checkpoints()?), ender)?;
        }
        self.report.mended(key.as_str(), "it does not read, and is ended");
        Ok(())
    }

    /// Opens a small object of the repository again: what a put leaves must read.
    pub(super) fn put_new<R: larder_sdk::codec::Record>(
        &self,
        folder: &str,
        kind: ObjectKind,
        record: &R,
    ) -> Result<Option<ObjectName>> {
        if self.is_dry() {
            return Ok(None);
        }
        let name = ObjectName::random()?;
        self.setup.at.repository.put_record(folder, kind, name, record)?;
        self.setup.at.repository.get_record::<R>(folder, kind, name)?;
        Ok(Some(name))
    }
}
