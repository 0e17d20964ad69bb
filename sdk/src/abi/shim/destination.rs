//! An instance of a destination.

use std::ops::Range;

use bytes::Bytes;

use super::{answer, answer_with, stop::Stop};
use crate::{
    Destination, ObjectKey, Result,
    abi::{
        Answer,
        messages::{Done, TheseCapabilities, ThisObject, ThisPage},
    },
};

pub(super) struct DestinationObject {
    destination: Box<dyn Destination>,
    stop: Stop,
}

impl DestinationObject {
    pub(super) fn new(destination: Box<dyn Destination>) -> Self {
        Self { destination, stop: Stop::new() }
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn capabilities(&self) -> Result<Answer> {
        answer(&TheseCapabilities { capabilities: self.destination.capabilities() })
    }

    pub(super) fn put(&self, key: &ObjectKey, data: Bytes) -> Result<Answer> {
        self.stop.run(self.destination.put(key, data))?;
        answer(&Done {})
    }

    pub(super) fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<Answer> {
        self.stop.run(self.destination.put_if_absent(key, data))?;
        answer(&Done {})
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Result<Answer> {
        let data = self.stop.run(self.destination.get(key))?;
        answer_with(&Done {}, data)
    }

    pub(super) fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Answer> {
        let data = self.stop.run(self.destination.get_range(key, range))?;
        answer_with(&Done {}, data)
    }

    pub(super) fn head(&self, key: &ObjectKey) -> Result<Answer> {
        let info = self.stop.run(self.destination.head(key))?;
        answer(&ThisObject { info })
    }

    pub(super) fn list(&self, folder: &str, token: Option<String>) -> Result<Answer> {
        let page = self.stop.run(self.destination.list(folder, token))?;
        answer(&ThisPage { page })
    }

    pub(super) fn delete(&self, key: &ObjectKey) -> Result<Answer> {
        self.stop.run(self.destination.delete(key))?;
        answer(&Done {})
    }
}
