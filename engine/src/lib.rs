//! The engine.

pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod events;
pub mod process;

pub mod chunker;
pub mod crypto;
pub mod hash;
pub mod index;
pub mod pack;
pub mod plugin;
pub mod tree;
pub mod catalog;
pub mod repository;
pub mod snapshot;
pub mod store;
pub mod pipeline;
pub mod browse;
pub mod maintenance;
pub mod restore;
pub mod engine;
