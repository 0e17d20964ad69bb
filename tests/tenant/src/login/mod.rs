//! Sign-in of the tenant: realm discovery and tokens.
