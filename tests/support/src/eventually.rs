use std::fmt::Debug;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(2);

/// What one look at a condition gives: `true` or `Ok` ends the wait, anything else is what a failure reports.
pub trait Observation {
    /// What the wait returns.
    type Met;
    /// The value, or the state seen instead.
    fn met(self) -> Result<Self::Met, String>;
}

impl Observation for bool {
    type Met = ();

    fn met(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".into()) }
    }
}

impl<T, E: Debug> Observation for Result<T, E> {
    type Met = T;

    fn met(self) -> Result<T, String> {
        self.map_err(|seen| format!("{seen:?}"))
    }
}

/// Looks until the condition holds.
///
/// # Panics
/// When it does not hold within the given time; the message ends with the last state seen.
pub async fn eventually<O: Observation, F: Future<Output = O>>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> O::Met {
    let end = tokio::time::Instant::now() + within;
    loop {
        match look().await.met() {
            Ok(value) => return value,
            Err(seen) if tokio::time::Instant::now() >= end => gave_up(what, within, &seen),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// As [`eventually`], without a runtime.
///
/// # Panics
/// When the condition does not hold within the given time; the message ends with the last state seen.
#[expect(clippy::disallowed_methods, reason = "this is the one place that waits between looks")]
pub fn eventually_blocking<O: Observation>(what: &str, within: Duration, mut look: impl FnMut() -> O) -> O::Met {
    let end = Instant::now() + within;
    loop {
        match look().met() {
            Ok(value) => return value,
            Err(seen) if Instant::now() >= end => gave_up(what, within, &seen),
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

fn gave_up(what: &str, within: Duration, seen: &str) -> ! {
    panic!("not within {within:?}: {what}; last seen: {seen}")
}
