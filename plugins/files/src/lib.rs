//! Larder plugin.
#![forbid(unsafe_code)]
