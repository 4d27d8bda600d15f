use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::*;

fn job(number: u8) -> Job {
    Job { digest: Digest([number; 32]), tier: Tier::Cranelift }
}

/// A queue whose work ends when it is told to, with what it is told.
fn stepwise() -> (Queue, Receiver<(u8, Priority)>, SyncSender<Built>) {
    let (started_in, started) = sync_channel(16);
    let (end, ends) = sync_channel::<Built>(16);
    let ends = Mutex::new(ends);
    let work = move |job: Job, priority| {
        started_in.send((job.digest.0[0], priority)).unwrap();
        ends.lock().unwrap().recv().unwrap()
    };
    (Queue::start(Duration::from_secs(600), work).unwrap(), started, end)
}

#[test]
fn the_most_urgent_comes_first_and_the_first_of_equals() {
    use Priority::{Deploy, Message, TierUp};
    let (queue, started, end) = stepwise();
    // Both threads are busy before anything has to wait.
    let mut answers = vec![queue.ask(job(0), TierUp)];
    assert_eq!(started.recv().unwrap(), (0, TierUp));
    answers.push(queue.ask(job(1), Deploy));
    assert_eq!(started.recv().unwrap(), (1, Deploy));
    for (number, priority) in [(2, TierUp), (3, Deploy), (4, Deploy), (5, Message), (2, Message)] {
        answers.push(queue.ask(job(number), priority));
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        end.send(Ok(())).unwrap();
        order.push(started.recv().unwrap());
    }
    assert_eq!(order, [(2, Message), (5, Message), (3, Deploy), (4, Deploy)]);
    (0..2).for_each(|_| end.send(Ok(())).unwrap());
    assert!(answers.into_iter().all(|answer| answer.blocking_recv().unwrap().is_ok()));
}

#[test]
fn better_code_for_one_does_not_keep_messages_for_another_waiting() {
    let (queue, started, end) = stepwise();
    let _better = queue.ask(job(0), Priority::TierUp);
    assert_eq!(started.recv().unwrap().0, 0);
    let _more = queue.ask(job(1), Priority::TierUp);
    let waits = queue.ask(job(2), Priority::Message);
    assert_eq!(started.recv().unwrap().0, 2, "beside the one that runs, and before the one that waits");
    (0..3).for_each(|_| end.send(Ok(())).unwrap());
    waits.blocking_recv().unwrap().unwrap();
}

#[test]
fn all_who_ask_hear_of_one_compilation() {
    let (queue, started, end) = stepwise();
    let before = queue.ask(job(0), Priority::Deploy);
    started.recv().unwrap();
    let meanwhile = queue.ask(job(0), Priority::Message);
    end.send(Ok(())).unwrap();
    assert!(before.blocking_recv().unwrap().is_ok() && meanwhile.blocking_recv().unwrap().is_ok());
    assert!(started.try_recv().is_err());
}

#[test]
fn what_failed_is_not_tried_again_at_once() {
    let (queue, started, end) = stepwise();
    end.send(Err(CompileError::Died("signal 9".into()))).unwrap();
    for _ in 0..3 {
        let built = queue.ask(job(0), Priority::Message).blocking_recv().unwrap();
        assert_eq!(built.unwrap_err().code(), "E2032");
    }
    assert_eq!(started.try_iter().count(), 1);
    assert_eq!(queue.failure(job(0)).unwrap().error.code(), "E2032");
}

#[test]
fn better_code_is_tried_for_again_until_it_is_there() {
    let (started_in, started) = sync_channel(16);
    let work = move |_, _| {
        started_in.send(()).unwrap();
        Err(CompileError::Died("signal 9".into()))
    };
    let queue = Queue::start(Duration::from_millis(1), work).unwrap();
    let _first = queue.ask(job(0), Priority::TierUp);
    (0..4).for_each(|_| started.recv().unwrap());
}
