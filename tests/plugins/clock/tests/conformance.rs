//! The check of docs/plugin-guide.md.

use larder_clock::Clock;
use larder_sdk::{
    Host, Plugin,
    testing::{TestHost, conformance::check_source},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_conforms() {
    let source = Clock.source(r#"{"hours": 24}"#, Host::new(TestHost::new())).unwrap();
    let report = check_source(&*source).await.unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!((report.items, report.streams), (24, 24));
}
