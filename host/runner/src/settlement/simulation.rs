//! Random schedules over the state machine, with a model of the broker beside it: whatever the order of calls,
//! failures, confirmations, resets and time, nothing is acked too early, nothing is lost and no order is broken.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use pulselet_api::{Guarantee, SubscriptionKind};
use pulselet_broker::MessageId;

use super::attempts::Attempts;
use super::tests::{entry, policy};
use super::{Failure, Owner, Policy, Settlement, Task, Verdict};

#[derive(Clone, Debug)]
enum Step {
    Deliver { keys: Vec<u8>, is_batch: bool },
    Call { max: usize },
    EndCall { which: usize, fates: Vec<Fate> },
    Confirm { which: usize },
    Refuse { which: usize },
    Pass { millis: u64 },
    DeadLetter { stored: bool },
    Reset,
    Idle,
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Done { outputs: u32 },
    Retry,
    Reject,
    Replay,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => (0u32..3).prop_map(|outputs| Fate::Done { outputs }),
        2 => Just(Fate::Retry),
        1 => Just(Fate::Reject),
        1 => Just(Fate::Replay),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (proptest::collection::vec(0u8..3, 1..5), any::<bool>())
            .prop_map(|(keys, is_batch)| Step::Deliver { keys, is_batch }),
        4 => (1usize..4).prop_map(|max| Step::Call { max }),
        4 => (any::<usize>(), proptest::collection::vec(fate(), 4)).prop_map(|(which, fates)| Step::EndCall { which, fates }),
        4 => any::<usize>().prop_map(|which| Step::Confirm { which }),
        1 => any::<usize>().prop_map(|which| Step::Refuse { which }),
        2 => (0u64..20_000).prop_map(|millis| Step::Pass { millis }),
        2 => any::<bool>().prop_map(|stored| Step::DeadLetter { stored }),
        1 => Just(Step::Reset),
        1 => Just(Step::Idle),
    ]
}

/// One message as the model sees it.
type Name = (u64, usize);

struct World {
    machine: Settlement,
    order: SubscriptionKind,
    now: Instant,
    next_position: u64,
    /// Entries the broker holds: keys of their messages, whether a batch, members it was told are acked.
    stored: BTreeMap<u64, (Vec<String>, bool, BTreeSet<usize>)>,
    calls: Vec<Vec<(Owner, Name)>>,
    /// Outputs on their way, by message.
    sending: Vec<(Owner, Name)>,
    /// Outputs of calls that are over.
    late: Vec<Owner>,
    letters: Vec<super::Letter>,
    /// Messages whose handling is complete: all outputs confirmed, or dead letter stored, or dropped.
    handled: BTreeSet<Name>,
    /// Unconfirmed outputs by message.
    unconfirmed: HashMap<Name, u32>,
    /// Done messages per lane in the order in which their outputs were handed on.
    done: HashMap<String, Vec<Name>>,
}

impl World {
    fn new(order: SubscriptionKind) -> Self {
        let policy = Policy { window_messages: 10_000, ..policy(order, Guarantee::AtLeastOnce) };
        let mut machine = Settlement::new(policy, Attempts::default());
        machine.opened(0);
        Self {
            machine,
            order,
            now: Instant::now(),
            next_position: 0,
            stored: BTreeMap::new(),
            calls: Vec::new(),
            sending: Vec::new(),
            late: Vec::new(),
            letters: Vec::new(),
            handled: BTreeSet::new(),
            unconfirmed: HashMap::new(),
            done: HashMap::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Deliver { keys, is_batch } => {
                let keys = if is_batch { keys } else { keys[..1].to_vec() };
                let keys: Vec<String> = keys.iter().map(|k| format!("k{k}")).collect();
                self.next_position += 1;
                self.stored.insert(self.next_position, (keys, is_batch, BTreeSet::new()));
                self.deliver(self.next_position);
            }
            Step::Call { max } => self.call(max),
            Step::EndCall { which, fates } if !self.calls.is_empty() => {
                let call = self.calls.swap_remove(which % self.calls.len());
                self.end(call, &fates);
            }
            Step::Confirm { which } if !self.sending.is_empty() => {
                let (owner, name) = self.sending.remove(which % self.sending.len());
                self.confirm(owner, name);
            }
            Step::Refuse { which } if !self.sending.is_empty() => {
                let (owner, name) = self.sending[which % self.sending.len()];
                // The other outputs of that call stay under way, and are confirmed late or never.
                let refused = self.sending.extract_if(.., |(sending, _)| *sending == owner);
                self.late.extend(refused.skip(1).map(|(owner, _)| owner));
                self.unconfirmed.remove(&name);
                self.machine.output_refused(owner, "refused".to_owned(), self.now);
            }
            Step::Pass { millis } => {
                self.now += Duration::from_millis(millis);
                self.machine.tick(self.now);
            }
            Step::DeadLetter { stored } if !self.letters.is_empty() => {
                let letter = self.letters.remove(0);
                if stored {
                    self.handled.insert((letter.entry.position.entry, letter.at));
                }
                self.machine.letter_answered(letter, stored, self.now);
            }
            Step::Reset => {
                self.machine.reset(0);
                let positions: Vec<u64> = self.stored.keys().copied().collect();
                positions.into_iter().for_each(|position| self.deliver(position));
            }
            Step::Idle => {
                self.machine.ack_members();
                for owner in std::mem::take(&mut self.late) {
                    self.machine.output_confirmed(owner, self.now);
                }
            }
            _ => {}
        }
        self.carry_out();
    }

    fn deliver(&mut self, position: u64) {
        let (keys, is_batch, acked) = &self.stored[&position];
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut entry = entry(position, &keys, *is_batch);
        entry.messages.retain(|m| !acked.contains(&(m.index as usize)));
        self.machine.deliver(0, entry);
    }

    fn call(&mut self, max: usize) {
        let mut works = Vec::new();
        self.machine.next_call(max, &mut works);
        let call: Vec<_> = works
            .iter()
            .map(|w| (w.owner(), (w.entry.position.entry, w.entry.messages[w.at].index as usize)))
            .collect();
        for (_, name) in &call {
            assert!(!self.handled.contains(name), "{name:?} is called after it was handled");
            assert!(!self.unconfirmed.contains_key(name), "{name:?} is called while its outputs are on their way");
        }
        if !call.is_empty() {
            self.calls.push(call);
        }
    }

    fn end(&mut self, call: Vec<(Owner, Name)>, fates: &[Fate]) {
        let verdict = |fate: &Fate| match fate {
            Fate::Done { outputs } => Verdict::Done { outputs: *outputs },
            Fate::Retry => Verdict::Failed(Failure::Retry { reason: "no".to_owned(), delay: None }),
            Fate::Reject => Verdict::Failed(Failure::Reject("bad".to_owned())),
            Fate::Replay => Verdict::Replay,
        };
        let verdicts: Vec<(Task, Verdict)> =
            call.iter().zip(fates.iter().cycle()).map(|((owner, _), fate)| (owner.task, verdict(fate))).collect();
        let keeps = self.machine.keeps_outputs(&verdicts);
        for (((owner, name), (_, verdict)), keeps) in call.iter().zip(&verdicts).zip(keeps) {
            let Verdict::Done { outputs } = verdict else { continue };
            if !keeps {
                continue;
            }
            self.done.entry(self.lane(*name)).or_default().push(*name);
            if *outputs == 0 {
                self.handled.insert(*name);
            } else {
                self.unconfirmed.insert(*name, *outputs);
                self.sending.extend(std::iter::repeat_n((*owner, *name), *outputs as usize));
            }
        }
        self.machine.call_ended(verdicts, Vec::new(), self.now);
    }

    fn confirm(&mut self, owner: Owner, name: Name) {
        let left = self.unconfirmed.get_mut(&name).unwrap();
        *left -= 1;
        if *left == 0 {
            self.unconfirmed.remove(&name);
            self.handled.insert(name);
        }
        self.machine.output_confirmed(owner, self.now);
    }

    fn lane(&self, name: Name) -> String {
        match self.order {
            SubscriptionKind::Failover => String::new(),
            _ => self.stored[&name.0].0[name.1].clone(),
        }
    }

    /// Carries out what the machine asks for, and checks that it may ask for it.
    fn carry_out(&mut self) {
        let orders = self.machine.take_orders();
        assert!(orders.nacks.is_empty() || self.order == SubscriptionKind::Shared);
        for (_, id) in orders.acks {
            self.ack(id);
        }
        self.letters.extend(orders.letters);
        for (_, id, _) in orders.nacks {
            self.deliver(id.position.entry);
        }
        assert!(orders.dropped.is_empty() && orders.fatal.is_none());
    }

    fn ack(&mut self, id: MessageId) {
        let position = id.position.entry;
        let Some((keys, _, acked)) = self.stored.get_mut(&position) else { panic!("{id} is acked twice") };
        let members =
            if id.batch_index < 0 { 0..keys.len() } else { id.batch_index as usize..id.batch_index as usize + 1 };
        for member in members {
            assert!(self.handled.contains(&(position, member)), "{id} is acked before it is handled");
            acked.insert(member);
        }
        if acked.len() == keys.len() {
            self.stored.remove(&position);
        }
    }

    /// From here on everything succeeds: all must be settled in the end.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            if self.stored.is_empty() {
                return;
            }
            self.step(Step::Call { max: 3 });
            self.step(Step::EndCall { which: 0, fates: vec![Fate::Done { outputs: 1 }] });
            self.step(Step::Confirm { which: 0 });
            self.step(Step::DeadLetter { stored: true });
            self.step(Step::Pass { millis: 20_000 });
        }
        panic!("never settled: {:?}", self.stored);
    }

    /// On an ordered lane, first completions are in the order of delivery.
    fn check_order(&self) {
        if self.order == SubscriptionKind::Shared {
            return;
        }
        for names in self.done.values() {
            let mut seen = BTreeSet::new();
            let firsts: Vec<&Name> = names.iter().filter(|name| seen.insert(**name)).collect();
            assert!(firsts.is_sorted(), "{firsts:?}");
        }
    }
}

fn run(order: SubscriptionKind, steps: Vec<Step>) {
    let mut world = World::new(order);
    for step in steps {
        world.step(step);
    }
    let lanes = world.done.clone();
    world.finish();
    assert_eq!(world.machine.unsettled(), 0);
    if lanes.values().map(Vec::len).sum::<usize>() > 0 {
        world.check_order();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 700, ..ProptestConfig::default() })]

    #[test]
    fn shared_settles_everything_and_nothing_too_early(steps in proptest::collection::vec(step(), 1..80)) {
        run(SubscriptionKind::Shared, steps);
    }

    #[test]
    fn failover_keeps_the_order_of_the_partition(steps in proptest::collection::vec(step(), 1..80)) {
        run(SubscriptionKind::Failover, steps);
    }

    #[test]
    fn key_shared_keeps_the_order_of_each_key(steps in proptest::collection::vec(step(), 1..80)) {
        run(SubscriptionKind::KeyShared, steps);
    }
}
