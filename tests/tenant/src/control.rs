//! The control port: how tests in any language drive the tenant.
