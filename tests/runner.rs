//! Tests of the whole, one binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod suite {
    mod abi;
    mod conformance_linked;
    mod conformance_loaded;
    mod misbehaving;
    mod third_party;
    mod threat_model;
}
