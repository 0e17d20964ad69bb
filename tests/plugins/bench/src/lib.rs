//! A plugin that costs as little as it can, to measure what the plugin boundary costs: a source of endless items and bytes, or of a
//! mailbox as large as is wanted, and a destination that reads what it is given and forgets it.
#![forbid(unsafe_code)]

mod mailbox;
mod sink;
mod source;

use larder_sdk::{Destination, Host, Plugin, PluginInfo, Result, Schema, Source};

/// The plugin.
pub struct Bench;

larder_sdk::export_plugin!(Bench);

impl Plugin for Bench {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("bench", env!("CARGO_PKG_VERSION"), "Items and bytes without end.")
            .with_source(Schema::new())
            .with_destination(Schema::new())
    }

    /// With options a mailbox, without any what never ends.
    fn source(&self, options: &str, _host: Host) -> Result<Box<dyn Source>> {
        Ok(match options {
            "{}" => Box::new(source::Endless::new()),
            options => Box::new(mailbox::Mailbox::new(options)?),
        })
    }

    fn destination(&self, _options: &str, _host: Host) -> Result<Box<dyn Destination>> {
        Ok(Box::new(sink::Sink::default()))
    }
}

/// Reads every byte, eight at a time, as cheaply as reading can be.
pub fn read_every_byte(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(8);
    let rest = words.remainder().iter().fold(0, |sum: u64, byte| sum.wrapping_add(u64::from(*byte)));
    words.fold(rest, |sum, word| {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        sum.wrapping_add(u64::from_le_bytes(eight))
    })
}
