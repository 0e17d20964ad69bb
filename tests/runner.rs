//! Tests of the whole, one binary.

mod support;

mod suite {
    mod abi;
    mod conformance_linked;
    mod conformance_loaded;
    mod misbehaving;
    mod third_party;
}
