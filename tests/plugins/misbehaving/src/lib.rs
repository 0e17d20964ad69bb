//! A plugin that breaks one rule at a time, named by the option `mode`; with `good` it breaks none.
//!
//! What is broken in the traits stands in [`source`] and [`destination`], what is broken beneath them in [`tampering`]. Lies that a
//! host meets before any option are tables of their own, found by a host that loads a copy of the library under another name:
//! `libmisbehaving_abi.so` exports, among others, the entry of a plugin for another ABI.
#![forbid(unsafe_code)]

mod destination;
mod mode;
mod source;
mod tampering;

use larder_sdk::{
    Destination, Host, Plugin, PluginInfo, Result, Schema, Source, Takes,
    abi::{
        AbiVersion, Guest,
        table::{Head, MAGIC, PANIC_ABORT, PANIC_UNWIND},
    },
    export_guest,
};

use crate::{
    mode::Mode,
    tampering::{Tampering, Undescribed},
};

/// The plugin.
pub struct Misbehaving;

static TAMPERING: Tampering = Tampering::new(&Misbehaving);

export_guest!(&TAMPERING);
export_guest!("_abi", Head { abi: AbiVersion::new(9, 3), ..honest() }, &TAMPERING as &dyn Guest);
export_guest!("_size", Head { struct_size: 32, ..honest() }, &TAMPERING as &dyn Guest);
export_guest!("_magic", Head { magic: *b"notlardr", ..honest() }, &TAMPERING as &dyn Guest);
export_guest!("_abort", Head { panic: PANIC_ABORT, ..honest() }, &TAMPERING as &dyn Guest);
export_guest!(
    "_larger",
    Head { abi: AbiVersion::new(1, 7), struct_size: 4096, ..honest() },
    &TAMPERING as &dyn Guest
);
export_guest!("_panics", honest(), &Undescribed::Panics as &dyn Guest);
export_guest!("_garbage", honest(), &Undescribed::Garbage as &dyn Guest);
export_guest!("_nameless", honest(), &Undescribed::Nameless as &dyn Guest);

/// The beginning of a table that tells the truth.
const fn honest() -> Head {
    Head {
        abi: AbiVersion::CURRENT,
        struct_size: size_of::<larder_sdk::abi::PluginTable>() as u32,
        magic: MAGIC,
        panic: PANIC_UNWIND,
        reserved: 0,
    }
}

impl Plugin for Misbehaving {
    fn info(&self) -> PluginInfo {
        let options = || Schema::new().required("mode", Takes::Text, "which rule to break");
        PluginInfo::new("misbehaving", env!("CARGO_PKG_VERSION"), "Breaks the rules, to be seen doing it.")
            .with_source(options())
            .with_destination(options())
    }

    fn source(&self, options: &str, host: Host) -> Result<Box<dyn Source>> {
        let mode = Mode::parse(options)?;
        assert!(mode != Mode::PanicOpen, "as told");
        Ok(Box::new(source::Broken::new(mode, host)))
    }

    fn destination(&self, options: &str, _host: Host) -> Result<Box<dyn Destination>> {
        Ok(Box::new(destination::Broken::new(Mode::parse(options)?)))
    }
}
