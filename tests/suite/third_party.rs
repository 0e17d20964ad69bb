//! A plugin from outside: written from the guide alone, built in a workspace of its own, loaded as a user would.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::{Path, PathBuf},
    process::Command,
};

use larder::plugin::{CallLimits, ForeignSource};
use larder_sdk::testing::conformance::check_source;

use crate::support::plugins::{Installed, find, host};

/// Builds the plugin apart from everything of ours, and returns the library.
fn build() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/clock/Cargo.toml");
    // Beside the profile's folder of the build that this test belongs to: …/target/PROFILE/deps/suite.
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap().join("clock");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(&manifest)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .unwrap();
    assert!(status.success(), "the clock was not built");
    target.join("debug").join(format!("{DLL_PREFIX}larder_clock{DLL_SUFFIX}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_written_from_the_guide_loads_and_conforms() {
    let installed = Installed::copy(&build(), "larder_clock", "");
    let registry = installed.load(CallLimits::default());
    let source = find(&registry, "clock").source(r#"{"hours": 24}"#, host()).unwrap();
    let report = check_source(&ForeignSource(source)).await.unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!((report.containers, report.items, report.streams), (1, 24, 24));
}

#[test]
fn the_plugin_is_the_guides() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let guide = read("../docs/plugin-guide.md");
    for file in ["plugins/clock/src/lib.rs", "plugins/clock/tests/conformance.rs"] {
        let code = read(file);
        // The file's own head stands before the first `use`.
        let body = &code[code.find("use ").unwrap()..];
        assert!(guide.contains(body.trim_end()), "{file} is not what the guide shows");
    }
}
