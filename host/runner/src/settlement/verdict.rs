//! A call is over, or its outputs are confirmed.

use std::time::{Duration, Instant};

use pulselet_api::Guarantee;

use super::entries::{State, Task};
use super::lanes::LaneId;
use super::{Owner, Settle, Settlement};

/// What a call did to one of its messages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Handled; this many outputs have to be confirmed before it is settled.
    Done { outputs: u32 },
    /// Not handled.
    Failed(Failure),
    /// The call as a whole broke off: the message is called again, without others. No attempt is counted.
    Replay,
}

/// Why a message was not handled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// To be tried again, after `delay` or the backoff of the policy.
    Retry { reason: String, delay: Option<Duration> },
    /// The host could not do its part. To be tried again, and no attempt: the message is not to blame.
    Host(String),
    /// Never to be tried again.
    Reject(String),
    /// The replica stops; the message stays with the broker.
    Fatal(String),
}

impl Settlement {
    /// A call is over. The verdicts are in the order the messages were given out. `settle` is what the guest settled
    /// by hand during the call; it takes effect with the outputs.
    pub(crate) fn call_ended(&mut self, verdicts: Vec<(Task, Verdict)>, settle: Vec<Settle>, now: Instant) {
        let ordered = self.policy.order != pulselet_api::SubscriptionKind::Shared;
        let mut sending = Vec::new();
        // Lanes of this call: the messages to be called again, and until when the lane is held.
        let mut lanes: Vec<(LaneId, Vec<Task>, Option<Instant>)> = Vec::new();
        let mut stopped: Vec<LaneId> = Vec::new();
        for (task, verdict) in verdicts {
            let lane = self.lane_of(task);
            let at = lanes.iter().position(|(id, ..)| *id == lane).unwrap_or_else(|| {
                lanes.push((lane, Vec::new(), None));
                lanes.len() - 1
            });
            let Some((_, again, until)) = lanes.get_mut(at) else { continue };
            if ordered && (!again.is_empty() || stopped.contains(&lane)) {
                // A message before this one on its lane comes again: this one must not overtake it.
                again.push(task);
                continue;
            }
            match verdict {
                Verdict::Done { outputs } => {
                    if self.done(task, outputs) {
                        sending.push(task);
                    }
                }
                Verdict::Replay => {
                    self.entries.set_alone(task);
                    again.push(task);
                }
                Verdict::Failed(failure) => {
                    if matches!(failure, Failure::Fatal(_)) {
                        stopped.push(lane);
                    }
                    if let Some(due) = self.fail(task, failure, now) {
                        if ordered {
                            again.push(task);
                            *until = Some(due);
                        } else {
                            self.entries.set_state(task, State::Waiting);
                            self.lanes.wait(lane, task, due, &self.entries);
                        }
                    }
                }
            }
        }
        for (lane, again, until) in lanes {
            for task in &again {
                self.entries.set_state(*task, if until.is_some() { State::Waiting } else { State::Queued });
            }
            self.lanes.call_ended(lane, &again, until, &self.entries);
        }
        self.settle_by_hand(settle, sending, now);
    }

    /// How many of the messages of a call keep their outputs: on an ordered lane everything after a message that comes
    /// again is called again too, and its outputs must not be sent. Asked before the outputs are handed on.
    pub(crate) fn keeps_outputs(&self, verdicts: &[(Task, Verdict)]) -> Vec<bool> {
        let ordered = self.policy.order != pulselet_api::SubscriptionKind::Shared;
        let mut blocked: Vec<LaneId> = Vec::new();
        let keeps = verdicts.iter().map(|(task, verdict)| {
            let lane = self.lane_of(*task);
            let keeps = matches!(verdict, Verdict::Done { .. }) && !blocked.contains(&lane);
            if ordered && self.comes_again(verdict, *task) && !blocked.contains(&lane) {
                blocked.push(lane);
            }
            keeps
        });
        keeps.collect()
    }

    /// One output of a message is confirmed.
    pub(crate) fn output_confirmed(&mut self, owner: Owner, now: Instant) {
        match self.entries.sending(owner) {
            Some(left) if left > 1 => self.entries.set_state(owner.task, State::Sending(left - 1)),
            Some(_) => self.sent(owner.task, now),
            None => {}
        }
    }

    /// An output of a message was refused for good: the message is tried again, since its answer is lost otherwise.
    pub(crate) fn output_refused(&mut self, owner: Owner, reason: String, now: Instant) {
        if self.entries.sending(owner).is_none() {
            return;
        }
        let task = owner.task;
        self.outputs_lost(task);
        if let Some(due) = self.fail(task, Failure::Host(reason), now) {
            self.entries.set_state(task, State::Waiting);
            self.lanes.wait(self.lane_of(task), task, due, &self.entries);
        }
    }

    /// Returns true while outputs are on their way.
    fn done(&mut self, task: Task, outputs: u32) -> bool {
        if outputs > 0 && self.policy.guarantee != Guarantee::AtMostOnce {
            self.entries.set_state(task, State::Sending(outputs));
            return true;
        }
        match self.policy.guarantee {
            Guarantee::Manual => self.entries.set_state(task, State::Open),
            Guarantee::AtMostOnce | Guarantee::AtLeastOnce => self.settle(task),
        }
        false
    }

    /// All outputs of a message are confirmed.
    fn sent(&mut self, task: Task, now: Instant) {
        if self.policy.guarantee == Guarantee::Manual {
            self.entries.set_state(task, State::Open);
            self.outputs_confirmed_by_hand(task, now);
        } else {
            self.settle(task);
        }
    }
}
