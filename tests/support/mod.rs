//! What tests share.

pub mod plugins;
pub mod subjects;
