//! For tests of plugins and of what uses them: plugins in memory, faults on demand, and the conformance suite.
//!
//! A plugin's author runs [`conformance::check_source`] or [`conformance::check_destination`] on an instance; both work on the
//! traits, so the same checks run on a plugin linked in and on one behind the boundary.

pub mod conformance;
mod faulty;
mod memory;
mod scripted;
mod services;

pub use faulty::{Call, Effect, Fault, Faults, FaultyDestination, FaultySource};
pub use memory::MemoryDestination;
pub use scripted::{ScriptedItem, ScriptedSource, scripted_item};
pub use services::{ReaderMemory, TestHost};
