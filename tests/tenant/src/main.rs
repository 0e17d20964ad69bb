//! `larder-tenant`: serves a simulated tenant until its standard input closes.

fn main() {}
