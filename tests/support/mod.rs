//! What tests share.

pub(crate) mod plugins;
pub(crate) mod subjects;
