use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use proptest::prelude::*;

use super::shares::Shares;
use super::*;

const MICRO: Duration = Duration::from_micros(1);
const MILLI: Duration = Duration::from_millis(1);

/// A thread without a clock: replicas that are always busy, each with turns of lengths of its own.
struct Thread {
    shares: Shares,
    replicas: Vec<Replica>,
    now: Duration,
}

struct Replica {
    id: usize,
    workers: Vec<usize>,
    /// Lengths of its turns, one after the other, from the start again.
    turns: Vec<u64>,
    turns_taken: usize,
    used: Duration,
    /// The longest time that one of its workers waited for its turn since the replica had none.
    longest_wait: Duration,
    waits_since: Duration,
}

impl Thread {
    fn new(turns: &[(usize, Vec<u64>)]) -> Self {
        let mut thread = Self { shares: Shares::default(), replicas: Vec::new(), now: Duration::ZERO };
        turns.iter().for_each(|(workers, turns)| thread.add(*workers, turns.clone()));
        thread
    }

    fn add(&mut self, workers: usize, turns: Vec<u64>) {
        let id = self.shares.join();
        let first: usize = self.replicas.iter().map(|replica| replica.workers.len()).sum();
        let workers: Vec<_> = (first..first + workers).collect();
        workers.iter().for_each(|worker| self.shares.woke(id, *worker));
        let (used, waits_since) = (Duration::ZERO, self.now);
        let longest_wait = Duration::ZERO;
        self.replicas.push(Replica { id, workers, turns, turns_taken: 0, used, longest_wait, waits_since });
    }

    /// One turn; the replica goes on after it, or waits. Returns which one it was.
    fn turn(&mut self, goes_on: bool) -> usize {
        let worker = self.shares.next().expect("somebody could run");
        let index = self.replicas.iter().position(|replica| replica.workers.contains(&worker)).unwrap();
        let replica = &mut self.replicas[index];
        let time = MICRO * u32::try_from(replica.turns[replica.turns_taken % replica.turns.len()]).unwrap();
        replica.longest_wait = replica.longest_wait.max(self.now - replica.waits_since);
        self.now += time;
        (replica.turns_taken, replica.used, replica.waits_since) =
            (replica.turns_taken + 1, replica.used + time, self.now);
        self.shares.used(replica.id, time);
        self.shares.ran(replica.id, worker, goes_on);
        index
    }

    fn longest_turn(&self) -> Duration {
        MICRO * u32::try_from(self.replicas.iter().flat_map(|replica| &replica.turns).max().copied().unwrap()).unwrap()
    }
}

/// Short calls in bundles, calls of about a tick, what is left of a tick.
fn turns() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        prop::collection::vec(0..100u64, 1..5),
        prop::collection::vec(900..2_000u64, 1..5),
        prop::collection::vec(prop_oneof![0..3u64, Just(2_000u64)], 2..5).prop_map(|mut turns| {
            turns.push(2_000);
            turns
        }),
    ]
}

fn busy() -> impl Strategy<Value = Vec<(usize, Vec<u64>)>> {
    prop::collection::vec((1..4usize, turns()), 2..12)
}

proptest! {
    #[test]
    fn replicas_that_stay_busy_are_never_further_apart_than_the_longest_turn(busy in busy(), turns in 1..2_000usize) {
        let mut thread = Thread::new(&busy);
        let rounding = MICRO * u32::try_from(turns).unwrap() / 1_000;
        for _ in 0..turns {
            thread.turn(true);
            let used = thread.replicas.iter().map(|replica| replica.used);
            let apart = used.clone().max().unwrap() - used.min().unwrap();
            prop_assert!(apart <= thread.longest_turn() + rounding, "{apart:?}");
        }
    }

    #[test]
    fn nobody_waits_for_more_than_two_of_the_longest_turns_of_each_other(busy in busy(), waits in prop::collection::vec(any::<bool>(), 500)) {
        let mut thread = Thread::new(&busy);
        let bound = 2 * thread.longest_turn() * u32::try_from(busy.len()).unwrap();
        let mut asleep: Vec<(usize, usize)> = Vec::new();
        for rests in waits {
            let Some(worker) = thread.shares.next() else { break };
            let index = thread.turn(!rests);
            asleep.extend(rests.then_some((index, worker)));
            // About half of those that wait come back after each turn.
            let woken: Vec<_> = asleep.extract_if(.., |(index, _)| (*index + usize::from(rests)) % 2 == 0).collect();
            for (index, worker) in woken {
                thread.shares.woke(thread.replicas[index].id, worker);
                if thread.replicas[index].workers.len() == 1 {
                    thread.replicas[index].waits_since = thread.now;
                }
            }
        }
        for replica in thread.replicas.iter().filter(|replica| replica.workers.len() == 1) {
            prop_assert!(replica.longest_wait <= bound, "{:?} of {bound:?}", replica.longest_wait);
        }
    }

    #[test]
    fn who_has_waited_is_next_but_has_saved_up_nothing(busy in busy(), before in 1..1_000usize) {
        let mut thread = Thread::new(&busy);
        let (waiting, worker) = (thread.shares.join(), 1_000);
        let mut turns = 0;
        while turns < before || thread.replicas.iter().any(|replica| replica.turns_taken == 0) {
            thread.turn(true);
            turns += 1;
        }
        thread.shares.woke(waiting, worker);
        prop_assert_eq!(thread.shares.next(), Some(worker), "a tie is won by who has waited");
        // From here on it has no more than any of those that were busy all the time, but for one turn.
        let start: Vec<_> = thread.replicas.iter().map(|replica| replica.used).collect();
        let (mut used, longest) = (Duration::ZERO, thread.longest_turn());
        for _ in 0..500 {
            if thread.shares.next() == Some(worker) {
                used += longest;
                thread.shares.used(waiting, longest);
                thread.shares.ran(waiting, worker, true);
            } else {
                thread.turn(true);
            }
            for (replica, start) in thread.replicas.iter().zip(&start) {
                prop_assert!(used <= replica.used - *start + 2 * longest + MICRO);
            }
        }
    }

    #[test]
    fn who_comes_and_goes_at_will_leaves_the_others_their_turns(busy in busy(), leaves in prop::collection::vec(0..12usize, 1..12)) {
        let mut thread = Thread::new(&busy);
        for leaving in leaves {
            thread.turn(true);
            if thread.replicas.len() > 1 {
                let replica = thread.replicas.remove(leaving % thread.replicas.len());
                thread.shares.leave(replica.id);
            }
        }
        let left = thread.replicas.len();
        for _ in 0..4_000 {
            thread.turn(true);
        }
        prop_assert!(thread.replicas.iter().filter(|replica| replica.turns_taken > 0).count() == left);
    }
}

/// Runs workers on a thread of their own, as guest threads do.
fn on_a_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// Computes for about this long without a pause.
fn compute(time: Duration) {
    let start = std::time::Instant::now();
    while start.elapsed() < time {
        std::hint::black_box(0);
    }
}

#[test]
fn workers_that_compute_take_turns_by_time_and_those_of_one_replica_share_theirs() {
    let used: Rc<[Cell<Duration>; 3]> = Rc::default();
    on_a_thread(async {
        let mut workers = tokio::task::JoinSet::new();
        for (index, (count, micros)) in [(1, 30), (4, 500), (1, 2_000)].into_iter().enumerate() {
            let counted = Rc::clone(&used);
            let share = Share::new(move |time| counted[index].set(counted[index].get() + time));
            for _ in 0..count {
                let used = Rc::clone(&used);
                workers.spawn_local(share.run(async move {
                    while used.iter().map(Cell::get).sum::<Duration>() < Duration::from_millis(300) {
                        compute(Duration::from_micros(micros));
                        end_turn().await;
                    }
                }));
            }
        }
        workers.join_all().await;
    });
    let used = used.each_ref().map(Cell::get);
    let (most, least) = (used.iter().max().unwrap(), used.iter().min().unwrap());
    assert!(most.as_secs_f64() <= 1.3 * least.as_secs_f64(), "{used:?}");
}

#[test]
fn timers_and_other_threads_get_through_between_any_two_turns() {
    on_a_thread(async {
        let turns = Arc::new(AtomicU32::new(0));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let turns = Arc::clone(&turns);
            workers.spawn_local(Share::new(|_| {}).run(async move {
                loop {
                    compute(2 * MILLI);
                    turns.fetch_add(1, SeqCst);
                    end_turn().await;
                }
            }));
        }
        for _ in 0..10 {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let counted = Arc::clone(&turns);
            let other = std::thread::spawn(move || sender.send(counted.load(SeqCst)).unwrap());
            let sent_at = receiver.await.unwrap();
            let waited = turns.load(SeqCst) - sent_at;
            assert!(waited <= 2, "a wake-up from another thread waited for {waited} turns");
            other.join().unwrap();
            let before = turns.load(SeqCst);
            tokio::time::sleep(MILLI).await;
            let waited = turns.load(SeqCst) - before;
            assert!(waited <= 3, "a timer of half a turn waited for {waited} turns");
        }
    });
}

#[test]
fn a_worker_that_is_dropped_when_it_is_called_passes_its_turn_on() {
    on_a_thread(async {
        let order: Rc<RefCell<Vec<usize>>> = Rc::default();
        let spawn = |index: usize| {
            let order = Rc::clone(&order);
            tokio::task::spawn_local(Share::new(|_| {}).run(async move {
                loop {
                    order.borrow_mut().push(index);
                    compute(Duration::from_micros(100));
                    end_turn().await;
                }
            }))
        };
        let workers: Vec<_> = (0..3).map(spawn).collect();
        for worker in &workers[..2] {
            tokio::task::yield_now().await;
            worker.abort();
        }
        let alive = order.borrow().len();
        while order.borrow().len() < alive + 50 {
            tokio::task::yield_now().await;
        }
        assert!(order.borrow().iter().rev().take(20).all(|index| *index == 2));
        workers[2].abort();
    });
}

#[test]
fn a_worker_that_waits_is_not_polled_until_it_is_woken_and_misses_no_wake_up() {
    on_a_thread(async {
        let (notify, polls) = (Rc::new(tokio::sync::Notify::new()), Rc::new(Cell::new(0u32)));
        let waits = {
            let (notify, polls) = (Rc::clone(&notify), Rc::clone(&polls));
            async move {
                for _ in 0..1_000 {
                    notify.notified().await;
                    polls.set(polls.get() + 1);
                }
            }
        };
        let busy = tokio::task::spawn_local(Share::new(|_| {}).run(async {
            loop {
                compute(Duration::from_micros(10));
                end_turn().await;
            }
        }));
        let waiting = tokio::task::spawn_local(Share::new(|_| {}).run(waits));
        while !waiting.is_finished() {
            let before = polls.get();
            notify.notify_one();
            while polls.get() == before && !waiting.is_finished() {
                tokio::task::yield_now().await;
            }
        }
        busy.abort();
    });
}
