//! The conformance suite on the same plugins, loaded from files.

use larder::plugin::{CallLimits, ForeignDestination, ForeignSource, Origin};
use larder_sdk::testing::conformance::{check_destination, check_source};

use crate::support::{
    plugins::{Installed, find, host},
    subjects::{destinations, sources},
};

#[tokio::test(flavor = "multi_thread")]
async fn loaded_sources_conform() {
    for subject in sources().await {
        let installed = Installed::new(subject.krate, "");
        let registry = installed.load(CallLimits::default());
        let plugin = find(&registry, subject.name);
        assert!(matches!(plugin.origin(), Origin::File { .. }), "{} was not loaded", subject.name);
        let source = plugin.source(&subject.options, host()).unwrap();
        let report = check_source(&ForeignSource(source))
            .await
            .unwrap_or_else(|violation| panic!("{}: {violation}", subject.name));
        assert!(report.streams > 10, "{}: {report:?}", subject.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loaded_destinations_conform() {
    for subject in destinations() {
        let installed = Installed::new(subject.krate, "");
        let registry = installed.load(CallLimits::default());
        let destination = find(&registry, subject.name).destination(&subject.options, host()).unwrap();
        check_destination(&ForeignDestination(destination), "conformance")
            .await
            .unwrap_or_else(|violation| panic!("{}: {violation}", subject.name));
    }
}
