//! The config file: found, parsed, checked once, and passed down as [`Config`].
