//! The engine.

pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod events;
pub mod process;

pub mod browse;
pub mod catalog;
pub mod chunker;
pub mod crypto;
pub mod engine;
pub mod export;
pub mod hash;
pub mod index;
pub mod maintenance;
pub mod pack;
pub mod pipeline;
pub mod plugin;
pub mod repository;
pub mod restore;
pub mod retention;
pub mod snapshot;
pub mod store;
pub mod tree;

mod planted;
