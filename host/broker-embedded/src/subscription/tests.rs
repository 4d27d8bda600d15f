//! Subscriptions under any sequence of events, against a model that knows who holds what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use pulselet_broker::{MessageId, Position, SubscriptionType};

use super::connected::Connected;
use super::dispatch::Moment;
use super::queue::Wanted;
use super::settle::{Acked, Extent};
use super::slots::ConsumerId;
use super::{Subscription, queue};
use crate::inbox::Inbox;
use crate::store::tables::Place;
use crate::topic::entry::StoredEntry;
use crate::topic::log::{CacheBudget, Log};

#[derive(Clone, Debug)]
enum Step {
    Publish { slot: u16, count: u32 },
    Join,
    Leave(usize),
    Grant(usize, u32),
    Ack { consumer: usize, which: usize, member: Option<u32> },
    Nack { consumer: usize, which: usize, delayed: bool },
    Wait,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0usize..6;
    prop_oneof![
        8 => (1u16..6, 1u32..4).prop_map(|(slot, count)| Step::Publish { slot: slot * 13_000, count }),
        2 => Just(Step::Join),
        1 => which().prop_map(Step::Leave),
        6 => (which(), 1u32..6).prop_map(|(consumer, messages)| Step::Grant(consumer, messages)),
        6 => (which(), which(), proptest::option::of(0u32..3))
            .prop_map(|(consumer, which, member)| Step::Ack { consumer, which, member }),
        3 => (which(), which(), any::<bool>())
            .prop_map(|(consumer, which, delayed)| Step::Nack { consumer, which, delayed }),
        1 => Just(Step::Wait),
        2 => Just(Step::Forget),
    ]
}

/// A subscription, and what its consumers have in their hands.
struct Lab {
    subscription: Subscription,
    subscription_type: SubscriptionType,
    log: Log,
    stored: BTreeMap<u64, Arc<StoredEntry>>,
    acked: BTreeSet<(u64, u32)>,
    hands: Vec<Hands>,
    next_id: ConsumerId,
    moment: Moment,
}

struct Hands {
    id: ConsumerId,
    inbox: Arc<Inbox>,
    /// In the order they came.
    held: Vec<u64>,
    granted: i64,
}

impl Lab {
    fn new(subscription_type: SubscriptionType) -> Self {
        let start = Place::default();
        let moment = Moment {
            now: Instant::now(),
            wall_ms: 1_000,
            max_unacked_per_consumer: 20,
            max_unacked_per_subscription: 50,
        };
        Self {
            subscription: Subscription::new(1, Arc::from("s"), 0, start),
            subscription_type,
            log: Log::new(start, start, Arc::new(CacheBudget::new(usize::MAX))),
            stored: BTreeMap::new(),
            acked: BTreeSet::new(),
            hands: Vec::new(),
            next_id: 1,
            moment,
        }
    }

    fn publish(&mut self, slot: u16, count: u32) {
        let end = self.log.end();
        let entry = StoredEntry {
            number: end.entry,
            count,
            is_batch: true,
            publish_time: 0,
            deliver_at: None,
            messages_before: end.message,
            bytes_before: end.byte,
            slot,
            producer: Arc::from("p"),
            payload: Bytes::from_static(b"not looked at"),
        };
        self.stored.insert(entry.number, Arc::new(entry.clone()));
        self.log.push(entry.clone());
        self.log.take_unwritten();
        self.log.written(&entry);
    }

    fn join(&mut self) {
        let (id, inbox) = (self.next_id, Arc::<Inbox>::default());
        self.next_id += 1;
        let consumer = Connected::new(id, format!("c{id}"), (id % 3) as i32, true, Arc::clone(&inbox));
        if self.subscription.join(consumer, &self.subscription_type).is_ok() {
            self.hands.push(Hands { id, inbox, held: Vec::new(), granted: 0 });
        }
    }

    /// Lets the subscription send, and checks what it sends.
    fn dispatch(&mut self) -> Result<(), TestCaseError> {
        while let Some(wanted) = self.subscription.dispatch(&self.log, &self.moment) {
            let numbers: Vec<u64> = match &wanted {
                Wanted::From(number) => (*number..self.log.end().entry).take(3).collect(),
                Wanted::Each(numbers) => numbers.clone(),
            };
            let read = numbers.iter().map(|number| Arc::clone(&self.stored[number])).collect();
            prop_assert_eq!(self.subscription.finish_read(&wanted, read), None);
        }
        for at in 0..self.hands.len() {
            for number in self.hands[at].inbox.take_back() {
                self.delivered(at, number)?;
            }
        }
        Ok(())
    }

    fn delivered(&mut self, at: usize, number: u64) -> Result<(), TestCaseError> {
        let left = self.left(number);
        prop_assert!(left > 0, "entry {} is acknowledged", number);
        prop_assert!(self.hands[at].granted > 0, "nothing was granted for entry {}", number);
        self.hands[at].granted -= i64::from(left);
        if !self.subscription_type.is_single_active() {
            prop_assert!(self.hands.iter().all(|hands| !hands.held.contains(&number)), "entry {} is held", number);
        }
        if let SubscriptionType::KeyShared { .. } = self.subscription_type {
            let slot = self.stored[&number].slot;
            for (earlier, entry) in self.stored.range(..number).filter(|(_, entry)| entry.slot == slot) {
                let settled = self.left(*earlier) == 0 || self.hands[at].held.contains(earlier);
                prop_assert!(settled, "entry {} came before entry {} of its key ({:?})", number, earlier, entry.slot);
            }
            let elsewhere = self.hands.iter().enumerate().filter(|(other, _)| *other != at);
            for (_, hands) in elsewhere {
                let same = hands.held.iter().any(|held| self.stored[held].slot == slot && self.left(*held) > 0);
                prop_assert!(!same, "two consumers hold slot {}", slot);
            }
        } else if self.subscription_type.is_single_active() {
            let open: Vec<_> = (0..number).filter(|earlier| self.left(*earlier) > 0).collect();
            let hands = &self.hands[at];
            prop_assert!(open.iter().all(|earlier| hands.held.contains(earlier)), "entry {} is out of order", number);
        }
        let hands = &mut self.hands[at];
        hands.held.retain(|held| *held != number);
        hands.held.push(number);
        Ok(())
    }

    fn left(&self, number: u64) -> u32 {
        let count = self.stored[&number].count;
        (0..count).filter(|member| !self.acked.contains(&(number, *member))).count() as u32
    }

    fn ack(&mut self, consumer: usize, which: usize, member: Option<u32>) {
        let Some(hands) = self.hands.get(consumer) else { return };
        let Some(number) = hands.held.get(which).copied() else { return };
        let (by, entry) = (hands.id, Arc::clone(&self.stored[&number]));
        let batch_index = member.map_or(-1, |member| member as i32);
        let id = MessageId { position: Position { ledger: 1, entry: number }, partition: -1, batch_index };
        self.subscription.ack(by, &Extent::from(entry.as_ref()), &[id], &mut Acked::default());
        let members = member.map_or(0..entry.count, |member| member..(member + 1).min(entry.count));
        let members = if entry.count == 1 { 0..1 } else { members };
        self.acked.extend(members.map(|member| (number, member)));
        if self.left(number) == 0 {
            self.hands.iter_mut().for_each(|hands| hands.held.retain(|held| *held != number));
        }
    }

    fn nack(&mut self, consumer: usize, which: usize, delayed: bool) {
        let Some(hands) = self.hands.get_mut(consumer) else { return };
        let Some(number) = hands.held.get(which).copied() else { return };
        let due = delayed.then(|| self.moment.now + Duration::from_secs(1));
        self.subscription.nack(hands.id, std::iter::once(number), due);
        if !delayed {
            hands.held.retain(|held| *held != number);
        }
    }

    /// The time of everything that was given back comes.
    fn wait(&mut self) {
        self.moment.now += Duration::from_secs(2);
        for hands in &mut self.hands {
            hands.held.retain(|number| !self.subscription.is_due(hands.id, *number, self.moment.now));
        }
    }

    fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Publish { slot, count } => self.publish(*slot, *count),
            Step::Join if self.hands.len() < 4 => self.join(),
            Step::Join => {}
            Step::Leave(at) => {
                if *at < self.hands.len() {
                    let gone = self.hands.remove(*at);
                    self.subscription.leave(gone.id);
                }
            }
            Step::Grant(at, messages) => {
                if let Some(hands) = self.hands.get_mut(*at) {
                    hands.granted += i64::from(*messages);
                    self.subscription.grant(hands.id, *messages);
                }
            }
            Step::Ack { consumer, which, member } => self.ack(*consumer, *which, *member),
            Step::Nack { consumer, which, delayed } => self.nack(*consumer, *which, *delayed),
            Step::Wait => self.wait(),
            // Everything has to be read from the store again.
            Step::Forget => self.log.evict(u64::MAX),
        }
        self.dispatch()?;
        let total: u64 = self.stored.values().map(|entry| u64::from(entry.count)).sum();
        prop_assert_eq!(self.subscription.stats(total).backlog, total - self.acked.len() as u64);
        Ok(())
    }

    /// With permits for all and everything acknowledged as it comes, everything comes.
    fn finish(&mut self) -> Result<(), TestCaseError> {
        if self.hands.is_empty() {
            self.join();
        }
        for _ in 0..self.stored.len() * 2 + 10 {
            self.wait();
            for at in 0..self.hands.len() {
                self.run(&Step::Grant(at, 100))?;
                while !self.hands[at].held.is_empty() {
                    self.run(&Step::Ack { consumer: at, which: 0, member: None })?;
                }
            }
        }
        let lost: Vec<_> = self.stored.keys().filter(|number| self.left(**number) > 0).collect();
        prop_assert!(lost.is_empty(), "never came: {:?}", lost);
        Ok(())
    }
}

fn check(subscription_type: SubscriptionType, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut lab = Lab::new(subscription_type);
    for step in steps {
        lab.run(step)?;
    }
    lab.finish()
}

proptest! {
    #[test]
    fn shared_sends_everything_to_one_at_a_time(steps in vec(step(), 1..120)) {
        check(SubscriptionType::Shared, &steps)?;
    }

    #[test]
    fn key_shared_keeps_the_order_of_each_key(steps in vec(step(), 1..120)) {
        check(SubscriptionType::KeyShared { ranges: None }, &steps)?;
    }

    #[test]
    fn failover_keeps_the_order(steps in vec(step(), 1..120)) {
        check(SubscriptionType::Failover { priority: 0 }, &steps)?;
    }

    #[test]
    fn exclusive_keeps_the_order(steps in vec(step(), 1..120)) {
        check(SubscriptionType::Exclusive, &steps)?;
    }
}

impl Subscription {
    /// Whether an entry that a consumer gave back is about to go out again.
    fn is_due(&self, id: ConsumerId, number: u64, now: Instant) -> bool {
        let consumer = self.consumers.iter().find(|consumer| consumer.id == id);
        let pending = consumer.and_then(|consumer| consumer.pending(number));
        pending.and_then(|pending| pending.due).is_some_and(|due| due <= now)
    }
}

#[test]
fn what_is_wanted_is_read_once_at_a_time() {
    let mut queue = queue::Queue::new(0);
    assert!(queue.start_read() && !queue.start_read());
    queue.finish_read(Vec::new());
    assert!(queue.start_read());
}
