//! The conformance suite on linked plugins: through the traits alone, and through the boundary.

use larder::plugin::{ForeignDestination, ForeignSource, Registry};
use larder_sdk::{
    Host, Plugin,
    testing::{
        TestHost,
        conformance::{check_destination, check_source},
    },
};

use crate::support::{
    plugins::{find, host},
    subjects::{Subject, destinations, sources},
};

fn plugin(subject: &Subject) -> &'static dyn Plugin {
    match subject.name {
        "files" => &larder_files::FilesPlugin,
        "object-store" => &larder_object_store::ObjectStorePlugin,
        "office365" => &larder_office365::Office365Plugin,
        _ => &larder_misbehaving::Misbehaving,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_conform_through_their_traits() {
    for subject in sources().await {
        let source = plugin(&subject).source(&subject.options, Host::new(TestHost::new())).unwrap();
        let report =
            check_source(&*source).await.unwrap_or_else(|violation| panic!("{}: {violation}", subject.name));
        assert!(report.streams > 10, "{}: {report:?}", subject.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_conform_through_their_traits() {
    for subject in destinations() {
        let destination = plugin(&subject).destination(&subject.options, Host::new(TestHost::new())).unwrap();
        check_destination(&*destination, "conformance")
            .await
            .unwrap_or_else(|violation| panic!("{}: {violation}", subject.name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_sources_conform_through_the_boundary() {
    let registry = Registry::new();
    for subject in sources().await {
        // A test's own plugin is not linked into the engine.
        if registry.find(subject.name).is_err() {
            continue;
        }
        let source = find(&registry, subject.name).source(&subject.options, host()).unwrap();
        let report = check_source(&ForeignSource(source))
            .await
            .unwrap_or_else(|violation| panic!("{}: {violation}", subject.name));
        assert!(report.streams > 10, "{}: {report:?}", subject.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_destinations_conform_through_the_boundary() {
    let registry = Registry::new();
    for subject in destinations() {
        if registry.find(subject.name).is_err() {
            continue;
        }
        let destination = find(&registry, subject.name).destination(&subject.options, host()).unwrap();
        check_destination(&ForeignDestination(destination), "conformance")
            .await
            .unwrap_or_else(|violation| panic!("{}: {violation}", subject.name));
    }
}
