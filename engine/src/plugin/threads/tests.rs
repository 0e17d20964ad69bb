use std::sync::Barrier;

use super::*;

const NEVER: &dyn Fn() -> bool = &|| false;

fn patience(limit_ms: u64) -> Patience<'static> {
    Patience {
        limit: Duration::from_millis(limit_ms),
        cancelled_limit: Duration::from_millis(50),
        cancelled: NEVER,
    }
}

#[test]
fn a_thread_is_used_again() {
    let threads = Arc::new(CallThreads::default());
    let ids: Vec<_> = (0..100)
        .map(|_| threads.run("looking", patience(1000), || Ok(thread::current().id())).unwrap())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn a_call_that_stalls_is_given_up_and_counted_until_it_returns() {
    let threads = Arc::new(CallThreads::default());
    let gate = Arc::new(Barrier::new(LEFT_BEHIND_MAX + 1));
    for _ in 0..LEFT_BEHIND_MAX {
        let gate = Arc::clone(&gate);
        let error = threads
            .run("reading", patience(20), move || {
                gate.wait();
                Ok(())
            })
            .unwrap_err();
        assert!(error.message().contains("reading did not return within 20ms"), "{error}");
    }
    let error = threads.run("reading", patience(1000), || Ok(())).unwrap_err();
    assert!(error.message().contains("not called any more"), "{error}");
    gate.wait();
    let end = Instant::now() + Duration::from_secs(10);
    while threads.run("reading", patience(1000), || Ok(())).is_err() {
        assert!(Instant::now() < end, "the threads never came back");
        thread::yield_now();
    }
}

#[test]
fn a_cancelled_call_is_given_up_early() {
    let threads = Arc::new(CallThreads::default());
    let hour = Patience { cancelled: &|| true, ..patience(3_600_000) };
    let begun = Instant::now();
    let error = threads
        .run("reading", hour, || {
            thread::sleep(Duration::from_secs(2));
            Ok(())
        })
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(1));
}
