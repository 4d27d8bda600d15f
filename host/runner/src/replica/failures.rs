//! Failed calls and dropped messages in the log of the process: of each one line a second at most, so that many do not
//! drown the rest.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Replica;
use crate::settlement::{Dropped, Failure, Task, Verdict, Work};

/// Between two lines of one replica.
const EVERY: Duration = Duration::from_secs(1);

/// Lines of one kind: what was told, and what was not.
#[derive(Default)]
pub(super) struct Pace {
    told: Cell<Option<Instant>>,
    untold: Cell<u64>,
}

impl Pace {
    /// Whether this is told; if so, how many were not since the last one.
    fn admit(&self, now: Instant) -> Option<u64> {
        if self.told.get().is_some_and(|told| now.duration_since(told) < EVERY) {
            self.untold.set(self.untold.get() + 1);
            return None;
        }
        self.told.set(Some(now));
        Some(self.untold.replace(0))
    }
}

impl Replica {
    /// Tells of messages of a call that failed. What is fatal is told where the replica stops.
    pub(super) fn tell_failures(&self, works: &[Work], verdicts: &[(Task, Verdict)], now: Instant) {
        for (work, (_, verdict)) in works.iter().zip(verdicts) {
            let Verdict::Failed(Failure::Retry { reason, .. } | Failure::Host(reason) | Failure::Reject(reason)) =
                verdict
            else {
                continue;
            };
            let Some(others) = self.failures.admit(now) else { continue };
            let (facts, entry) = (&self.shared.facts, &work.entry);
            let id = entry.messages.get(work.at).map(|message| entry.id(message).to_string());
            tracing::warn!(
                function = %facts.function.name, replica = facts.replica, topic = %entry.topic,
                message_id = id.unwrap_or_default(), attempt = work.attempts + 1, others, reason, "a call failed"
            );
        }
    }

    /// Tells of a message that is acknowledged without having been handled.
    pub(super) fn tell_dropped(&self, dropped: &Dropped, now: Instant) {
        let Some(others) = self.drops.admit(now) else { return };
        let Dropped { id, reason } = dropped;
        let facts = &self.shared.facts;
        tracing::warn!(
            function = %facts.function.name, replica = facts.replica, message_id = %id, others, reason, "message dropped"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_is_told_and_the_others_are_counted() {
        let (pace, start) = (Pace::default(), Instant::now());
        let admit = |millis| pace.admit(start + Duration::from_millis(millis));
        assert_eq!([admit(0), admit(0), admit(999), admit(1_000), admit(1_001)], [Some(0), None, None, Some(2), None]);
        assert_eq!(admit(5_000), Some(1));
    }
}
