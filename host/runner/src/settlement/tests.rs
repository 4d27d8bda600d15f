use std::sync::Arc;
use std::time::{Duration, Instant};

use pulselet_api::{Guarantee, RetryPolicy, SubscriptionKind};
use pulselet_broker::batch::{BatchBuilder, Key, Outgoing};
use pulselet_broker::{Entry, MessageId, Position};

use super::attempts::Attempts;
use super::{Failure, Policy, Settle, Settlement, Task, Verdict, Work};

pub(super) fn policy(order: SubscriptionKind, guarantee: Guarantee) -> Policy {
    Policy {
        order,
        guarantee,
        retry: RetryPolicy {
            max_retries: Some(2),
            dead_letter_topic: None,
            retry_topic: None,
            backoff_initial: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            held_messages: 1000,
            held_bytes: 1 << 20,
        },
        window_messages: 1000,
        window_bytes: 1 << 20,
        dead_letters: true,
    }
}

/// An entry of messages with these keys; payloads are `position.index`.
pub(super) fn entry(position: u64, keys: &[&str], is_batch: bool) -> Entry {
    let mut builder = BatchBuilder::new();
    for (index, key) in keys.iter().enumerate() {
        let payload = format!("{position}.{index}");
        builder.push(&Outgoing { payload: payload.as_bytes(), key: Some(Key::Text(key)), ..Outgoing::default() });
    }
    let batch = builder.finish().unwrap();
    Entry {
        topic: Arc::new("in".parse().unwrap()),
        position: Position { ledger: 0, entry: position },
        is_batch,
        redelivery_count: 0,
        producer_name: "p".into(),
        publish_time: 0,
        schema_version: None,
        messages: batch.messages().collect::<Result<_, _>>().unwrap(),
    }
}

struct Rig {
    machine: Settlement,
    now: Instant,
}

impl Rig {
    fn new(order: SubscriptionKind, guarantee: Guarantee) -> Self {
        let mut machine = Settlement::new(policy(order, guarantee), Attempts::default());
        machine.opened(0);
        Self { machine, now: Instant::now() }
    }

    fn next(&mut self, max: usize) -> Vec<Work> {
        let mut works = Vec::new();
        self.machine.next_call(max, &mut works);
        works
    }

    fn end(&mut self, verdicts: Vec<(Task, Verdict)>) {
        self.machine.call_ended(verdicts, Vec::new(), self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.machine.tick(self.now);
    }
}

fn payload(work: &Work) -> String {
    String::from_utf8(work.entry.messages[work.at].payload.to_vec()).unwrap()
}

fn retry() -> Verdict {
    Verdict::Failed(Failure::Retry { reason: "no".to_owned(), delay: None })
}

fn whole(entry: u64) -> MessageId {
    MessageId { position: Position { ledger: 0, entry }, partition: -1, batch_index: -1 }
}

const DONE: Verdict = Verdict::Done { outputs: 0 };

#[test]
fn an_input_is_acked_only_when_all_its_outputs_are_confirmed() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    let owner = rig.next(1)[0].owner();
    rig.end(vec![(owner.task, Verdict::Done { outputs: 2 })]);
    assert!(rig.machine.take_orders().acks.is_empty());
    rig.machine.output_confirmed(owner, rig.now);
    assert!(rig.machine.take_orders().acks.is_empty());
    rig.machine.output_confirmed(owner, rig.now);
    assert_eq!(rig.machine.take_orders().acks, [(0, whole(1))]);
    assert_eq!(rig.machine.unsettled(), 0);
}

#[test]
fn a_batch_is_acked_whole_when_its_last_member_is_settled() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b", "c"], true));
    let works = rig.next(3);
    rig.end(works[..2].iter().map(|w| (w.task, DONE)).collect());
    assert!(rig.machine.take_orders().acks.is_empty());
    rig.end(vec![(works[2].task, DONE)]);
    assert_eq!(rig.machine.take_orders().acks, [(0, whole(1))]);
}

#[test]
fn settled_members_are_acked_by_index_while_others_are_held() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b"], true));
    let works = rig.next(2);
    rig.end(vec![(works[0].task, retry()), (works[1].task, DONE)]);
    rig.machine.ack_members();
    assert_eq!(rig.machine.take_orders().acks, [(0, MessageId { batch_index: 1, ..whole(1) })]);
    rig.pass(Duration::from_secs(1));
    let again = rig.next(2);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].attempts, 1);
    rig.end(vec![(again[0].task, DONE)]);
    assert_eq!(rig.machine.take_orders().acks, [(0, whole(1))]);
}

#[test]
fn a_failed_single_message_on_shared_is_given_back_and_its_attempts_remembered() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    let task = rig.next(1)[0].task;
    rig.end(vec![(task, retry())]);
    let orders = rig.machine.take_orders();
    assert_eq!(orders.nacks, [(0, whole(1), Duration::from_millis(100))]);
    assert_eq!(rig.machine.unsettled(), 0);
    rig.machine.deliver(0, entry(1, &["a"], false));
    assert_eq!(rig.next(1)[0].attempts, 1);
}

#[test]
fn under_failover_nothing_passes_a_message_that_waits_for_its_retry() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b"], true));
    rig.machine.deliver(0, entry(2, &["a"], false));
    let first = rig.next(1);
    assert!(!rig.machine.has_work(), "one call at a time");
    rig.end(vec![(first[0].task, retry())]);
    assert!(!rig.machine.has_work());
    assert!(rig.machine.take_orders().nacks.is_empty(), "a nack would bring back everything");
    rig.pass(Duration::from_millis(100));
    let order: Vec<String> = std::iter::from_fn(|| {
        let works = rig.next(1);
        let work = works.first()?;
        rig.end(vec![(work.task, DONE)]);
        Some(payload(work))
    })
    .collect();
    assert_eq!(order, ["1.0", "1.1", "2.0"]);
}

#[test]
fn under_failover_what_a_batch_call_did_after_a_failed_message_is_done_again() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b", "c"], true));
    let works = rig.next(10);
    let verdicts: Vec<_> = works.iter().map(|w| w.task).zip([DONE, retry(), DONE]).collect();
    assert_eq!(rig.machine.keeps_outputs(&verdicts), [true, false, false]);
    rig.end(verdicts);
    rig.pass(Duration::from_millis(100));
    let again: Vec<String> = rig.next(10).iter().map(payload).collect();
    assert_eq!(again, ["1.1", "1.2"]);
}

#[test]
fn under_key_shared_a_key_waits_and_other_keys_go_on() {
    let mut rig = Rig::new(SubscriptionKind::KeyShared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    rig.machine.deliver(0, entry(2, &["a"], false));
    rig.machine.deliver(0, entry(3, &["b"], false));
    let first = rig.next(1);
    rig.end(vec![(first[0].task, retry())]);
    let other = rig.next(10);
    assert_eq!(other.iter().map(payload).collect::<Vec<_>>(), ["3.0"]);
    assert!(!rig.machine.has_work());
    rig.pass(Duration::from_millis(100));
    assert_eq!(payload(&rig.next(1)[0]), "1.0");
}

#[test]
fn after_its_last_attempt_a_message_goes_to_the_dead_letter_and_is_acked_when_that_is_stored() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    for _ in 0..3 {
        let works = rig.next(1);
        rig.end(vec![(works[0].task, retry())]);
        rig.pass(Duration::from_secs(10));
    }
    let mut orders = rig.machine.take_orders();
    assert!(orders.acks.is_empty());
    let letter = orders.letters.remove(0);
    assert_eq!((letter.attempts, letter.reason.as_str()), (3, "no"));
    rig.machine.letter_answered(letter, false, rig.now);
    rig.pass(Duration::from_secs(10));
    let letter = rig.machine.take_orders().letters.remove(0);
    rig.machine.letter_answered(letter, true, rig.now);
    assert_eq!(rig.machine.take_orders().acks, [(0, whole(1))]);
}

#[test]
fn a_rejected_message_is_acked_and_counted_where_there_is_no_dead_letter_topic() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.policy.dead_letters = false;
    rig.machine.deliver(0, entry(1, &["a"], false));
    let task = rig.next(1)[0].task;
    rig.end(vec![(task, Verdict::Failed(Failure::Reject("bad".to_owned())))]);
    let orders = rig.machine.take_orders();
    assert_eq!(orders.acks, [(0, whole(1))]);
    assert_eq!(orders.dropped[0].reason, "bad");
}

#[test]
fn at_most_once_nothing_is_called_before_its_ack_and_failures_are_not_repeated() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtMostOnce);
    rig.machine.deliver(0, entry(1, &["a", "b"], true));
    assert!(!rig.machine.has_work());
    let orders = rig.machine.take_orders();
    assert_eq!(orders.acks_first.len(), 1);
    rig.machine.acked_first(orders.acks_first[0].2, true);
    let works = rig.next(2);
    rig.end(vec![(works[0].task, retry()), (works[1].task, Verdict::Done { outputs: 1 })]);
    let orders = rig.machine.take_orders();
    assert!(orders.acks.is_empty() && orders.nacks.is_empty());
    assert_eq!(orders.dropped.len(), 1);
    assert_eq!(rig.machine.unsettled(), 0);
}

#[test]
fn at_most_once_an_ack_that_fails_leaves_the_messages_with_the_broker() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtMostOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    let key = rig.machine.take_orders().acks_first[0].2;
    rig.machine.acked_first(key, false);
    assert!(!rig.machine.has_work());
    assert_eq!(rig.machine.unsettled(), 0);
}

#[test]
fn by_hand_an_ack_takes_effect_when_the_outputs_of_its_call_are_confirmed() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::Manual);
    rig.machine.deliver(0, entry(1, &["a"], false));
    rig.machine.deliver(0, entry(2, &["a"], false));
    let first = rig.next(1)[0].task;
    let handles = rig.machine.handles();
    let handle = handles.of(first);
    rig.end(vec![(first, DONE)]);
    let works = rig.next(1);
    let second = works[0].task;
    assert_eq!(handles.take(handle), Some(first));
    assert_eq!(handles.take(handle), None, "used");
    rig.machine.call_ended(vec![(second, Verdict::Done { outputs: 1 })], vec![Settle::Ack(first)], rig.now);
    assert!(rig.machine.take_orders().acks.is_empty());
    rig.machine.output_confirmed(works[0].owner(), rig.now);
    assert_eq!(rig.machine.take_orders().acks, [(0, whole(1))]);
    assert_eq!(rig.machine.unsettled(), 1, "the second is open until it is settled");
}

#[test]
fn a_batch_call_that_breaks_off_is_replayed_one_by_one_without_counting() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b"], true));
    let works = rig.next(10);
    rig.end(works.iter().map(|w| (w.task, Verdict::Replay)).collect());
    for name in ["1.0", "1.1"] {
        let works = rig.next(10);
        assert_eq!(works.iter().map(payload).collect::<Vec<_>>(), [name]);
        assert_eq!(works[0].attempts, 0);
        rig.end(vec![(works[0].task, DONE)]);
    }
}

#[test]
fn what_is_delivered_again_while_in_hand_is_not_called_twice() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b"], true));
    let first = rig.next(1);
    rig.end(vec![(first[0].task, Verdict::Done { outputs: 1 })]);
    rig.machine.reset(0);
    rig.machine.deliver(0, entry(1, &["a", "b"], true));
    let again = rig.next(10);
    assert_eq!(again.iter().map(payload).collect::<Vec<_>>(), ["1.1"]);
    rig.end(vec![(again[0].task, DONE)]);
    rig.machine.output_confirmed(first[0].owner(), rig.now);
    assert_eq!(rig.machine.take_orders().acks, [(0, whole(1))]);
}

#[test]
fn too_much_waiting_behind_a_retry_stops_the_permits() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.policy.retry.held_messages = 3;
    assert!(rig.machine.take_grant(0) > 0);
    for position in 0..4 {
        rig.machine.deliver(0, entry(position, &["a"], false));
    }
    let works = rig.next(1);
    rig.end(vec![(works[0].task, retry())]);
    assert!(rig.machine.is_over_held_budget());
    assert_eq!(rig.machine.take_grant(0), 0);
    rig.pass(Duration::from_secs(1));
    assert!(!rig.machine.is_over_held_budget());
}

#[test]
fn permits_follow_the_size_of_the_messages() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine = Settlement::new(
        Policy { window_bytes: 100, ..policy(SubscriptionKind::Shared, Guarantee::AtLeastOnce) },
        Attempts::default(),
    );
    rig.machine.opened(0);
    assert_eq!(rig.machine.take_grant(0), 64, "a small first grant");
    for position in 0..64 {
        rig.machine.deliver(0, entry(position, &["a"], false));
    }
    assert_eq!(rig.machine.take_grant(0), 0, "64 messages of 3 bytes are more than the window of 100 bytes");
    for work in rig.next(64) {
        rig.end(vec![(work.task, DONE)]);
    }
    let grant = rig.machine.take_grant(0);
    assert!((20..=50).contains(&grant), "{grant}");
}

#[test]
fn a_fatal_error_stops_the_replica_and_leaves_the_message_unacked() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    let works = rig.next(1);
    rig.end(vec![(works[0].task, Verdict::Failed(Failure::Fatal("no disk".to_owned())))]);
    let orders = rig.machine.take_orders();
    assert_eq!(orders.fatal.as_deref(), Some("no disk"));
    assert!(orders.acks.is_empty() && orders.nacks.is_empty() && orders.letters.is_empty());
}

#[test]
fn an_output_that_is_refused_brings_its_message_again_and_is_no_attempt() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    let owner = rig.next(1)[0].owner();
    rig.end(vec![(owner.task, Verdict::Done { outputs: 2 })]);
    rig.machine.output_refused(owner, "terminated".to_owned(), rig.now);
    rig.machine.output_confirmed(owner, rig.now);
    assert!(rig.machine.take_orders().acks.is_empty());
    rig.pass(Duration::from_millis(100));
    assert_eq!(rig.next(1)[0].attempts, 0, "the message is not to blame");
}

#[test]
fn a_confirmation_that_comes_late_does_not_count_for_another_attempt_or_another_message() {
    // Two outputs; one is refused, the message is given back and its place in memory is taken by another message.
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    let first = rig.next(1)[0].owner();
    rig.end(vec![(first.task, Verdict::Done { outputs: 2 })]);
    rig.machine.output_refused(first, "refused".to_owned(), rig.now);
    rig.pass(Duration::from_millis(100));
    let again = rig.next(1)[0].task;
    rig.end(vec![(again, retry())]);
    assert_eq!(rig.machine.take_orders().nacks.len(), 1);
    rig.machine.deliver(0, entry(2, &["b"], false));
    let second = rig.next(1)[0].owner();
    rig.end(vec![(second.task, Verdict::Done { outputs: 1 })]);
    rig.machine.output_confirmed(first, rig.now);
    assert!(rig.machine.take_orders().acks.is_empty(), "the outputs of the second message are not confirmed");
    rig.machine.output_confirmed(second, rig.now);
    assert_eq!(rig.machine.take_orders().acks, [(0, whole(2))]);
}

#[test]
fn at_most_once_what_is_acked_is_called_whatever_becomes_of_its_consumer() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtMostOnce);
    rig.machine.deliver(0, entry(1, &["a"], false));
    rig.machine.deliver(0, entry(2, &["b"], false));
    let keys: Vec<usize> = rig.machine.take_orders().acks_first.iter().map(|(.., key)| *key).collect();
    rig.machine.acked_first(keys[0], true);
    rig.machine.reset(0);
    rig.machine.forget_uncalled(0);
    rig.machine.acked_first(keys[1], true);
    assert_eq!(rig.next(10).iter().map(payload).collect::<Vec<_>>(), ["1.0", "2.0"]);
}

#[test]
fn messages_whose_outputs_are_refused_come_again_in_their_order_after_a_wait() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b", "c", "d"], true));
    let works = rig.next(3);
    rig.end(works.iter().map(|w| (w.task, Verdict::Done { outputs: 1 })).collect());
    for work in &works {
        rig.machine.output_refused(work.owner(), "away".to_owned(), rig.now);
    }
    assert!(!rig.machine.has_work() && rig.next(1).is_empty(), "the lane waits");
    rig.pass(Duration::from_millis(100));
    assert_eq!(rig.next(10).iter().map(payload).collect::<Vec<_>>(), ["1.0", "1.1", "1.2", "1.3"]);
}

#[test]
fn what_a_batch_call_did_after_a_fatal_error_does_not_count_on_an_ordered_lane() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::AtLeastOnce);
    rig.machine.deliver(0, entry(1, &["a", "b"], true));
    let works = rig.next(2);
    let fatal = Verdict::Failed(Failure::Fatal("no disk".to_owned()));
    let verdicts: Vec<_> = works.iter().map(|w| w.task).zip([fatal, DONE]).collect();
    assert_eq!(rig.machine.keeps_outputs(&verdicts), [false, false]);
    rig.end(verdicts);
    rig.machine.ack_members();
    assert!(rig.machine.take_orders().acks.is_empty());
}

#[test]
fn what_waits_long_does_not_count_for_what_has_gone_on() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    rig.machine.policy.retry = RetryPolicy { max_retries: None, held_messages: 3, ..rig.machine.policy.retry.clone() };
    rig.machine.deliver(0, entry(1, &["slow", "fast"], true));
    let works = rig.next(2);
    let slow = Failure::Retry { reason: "later".to_owned(), delay: Some(Duration::from_secs(3600)) };
    rig.end(vec![(works[0].task, Verdict::Failed(slow)), (works[1].task, retry())]);
    for _ in 0..5 {
        rig.pass(Duration::from_secs(20));
        let works = rig.next(1);
        rig.end(vec![(works[0].task, retry())]);
    }
    assert!(!rig.machine.is_over_held_budget(), "two messages wait");
}

#[test]
fn a_message_larger_than_the_whole_window_still_comes() {
    let mut rig = Rig::new(SubscriptionKind::Shared, Guarantee::AtLeastOnce);
    let policy = Policy { window_bytes: 2, ..policy(SubscriptionKind::Shared, Guarantee::AtLeastOnce) };
    rig.machine = Settlement::new(policy, Attempts::default());
    rig.machine.opened(0);
    let first = rig.machine.take_grant(0);
    for position in 0..u64::from(first) {
        rig.machine.deliver(0, entry(position, &["a"], false));
    }
    for work in rig.next(first as usize) {
        rig.end(vec![(work.task, DONE)]);
    }
    assert_eq!(rig.machine.take_grant(0), 1);
}

#[test]
fn by_hand_a_handle_used_for_a_message_that_comes_again_is_good_again() {
    let mut rig = Rig::new(SubscriptionKind::Failover, Guarantee::Manual);
    rig.machine.deliver(0, entry(1, &["a"], false));
    let task = rig.next(1)[0].task;
    let handles = rig.machine.handles();
    let handle = handles.of(task);
    handles.take(handle).unwrap();
    rig.machine.call_ended(vec![(task, retry())], vec![Settle::Ack(task)], rig.now);
    assert!(rig.machine.take_orders().acks.is_empty());
    assert_eq!(handles.take(handle), Some(task));
}
