//! Copying snapshots between two repositories of the config.

use super::{Engine, SnapshotInfo, SnapshotSpec, snapshots};
use crate::{
    error::{EngineError, Result},
    events::{Event, Phase},
    maintenance::{self, CopiedSnapshot, CopySetup},
};

/// What is copied, and where.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// The repository that has the snapshots.
    pub from: String,
    /// The repository that gets them.
    pub to: String,
    /// Only this set's.
    pub set: Option<String>,
    /// Beginnings of ids, or `latest`; all if there are none.
    pub snapshots: Vec<String>,
}

impl Engine {
    /// Copies snapshots, and tells of each as soon as it is there.
    pub fn copy(
        &self,
        options: &CopyOptions,
        copied: &mut dyn FnMut(CopiedSnapshot) -> Result<()>,
    ) -> Result<()> {
        let from = self.open(self.config.repository(&options.from)?)?;
        let target = self.config.repository(&options.to)?;
        let to = self.open(target)?;
        let mut chosen: Vec<SnapshotInfo> = Vec::new();
        for name in &options.snapshots {
            let spec = SnapshotSpec { name: name.clone(), set: options.set.clone(), repository: None };
            let found = self.find_snapshot(&from, &spec)?;
            if chosen.iter().all(|info| info.id != found.id) {
                chosen.push(found);
            }
        }
        if options.snapshots.is_empty() {
            chosen = snapshots(&from, options.set.as_deref(), &*self.context.events)?;
        }
        if chosen.is_empty() {
            return Err(EngineError::failed(format!("repository `{}` has no such snapshots", options.from))
                .with_hint("`larder snapshots` lists what there is"));
        }
        let _reading = self.announce(&from, &chosen)?;
        for broken in from.load_index_for_reading()? {
            self.context.events.event(Event::warning("larder", broken.full_message()));
        }
        self.phase(Phase::Copying, &options.from);
        let setup = CopySetup {
            from: &from,
            to: &to,
            compression: target.compression,
            local: &self.local(&to)?,
            host: &self.context.host,
            clock: &*self.context.clock,
            events: &*self.context.events,
            interrupt: &self.context.interrupt,
        };
        maintenance::copy(&setup, chosen.into_iter().map(|info| (info.id, info.record)).collect(), copied)
    }
}
