use log::Level;
use pulselet::testing::{Failure, harness};

#[pulselet::function]
fn logs(_: &[u8]) {
    log::warn!(target: "mine", "one of {}", 2);
    {
        let outer = tracing::info_span!("outer", id = 1, late = tracing::field::Empty).entered();
        outer.record("late", true);
        let _inner = tracing::debug_span!("inner").entered();
        tracing::info!(user = 3, "two");
    }
    tracing::error!(code = 4);
    log::trace!("three");
}

#[test]
fn records_of_log_and_events_of_tracing_become_lines() -> Result<(), Failure> {
    let out = harness!(logs).message("").call()?;
    let lines: Vec<_> = out.logs().iter().map(|line| (line.level, line.target.as_str(), line.text.as_str())).collect();
    let here = module_path!();
    assert_eq!(
        lines,
        [
            (Level::Warn, "mine", "one of 2"),
            (Level::Info, here, "outer{id=1}{late=true}: inner: two user=3"),
            (Level::Error, here, "code=4"),
            (Level::Trace, here, "three"),
        ]
    );
    Ok(())
}
