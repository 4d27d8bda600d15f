use std::time::Duration;

use bytes::Bytes;
use pulselet_engine::{Fault, GuestError};

use crate::host::Recorder;
use crate::setup::{limits, probe, probe_batch, probe_with, say};

fn batch(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

#[tokio::test]
async fn a_payload_comes_back_as_it_went_in() {
    let mut instance = probe().await;
    let long = vec![0xff; 100_000];
    for payload in [&b""[..], b"hello", &[0, 159, 255], &long] {
        assert_eq!(instance.process(payload).await.unwrap().as_deref(), Some(payload));
    }
    assert_eq!(say(&mut instance, "none").await.unwrap(), "(nothing)");
}

#[tokio::test]
async fn an_instance_keeps_what_it_has_in_memory_between_calls_and_another_has_its_own() {
    let (mut first, mut second) = (probe().await, probe().await);
    assert_eq!(say(&mut first, "count").await.unwrap(), "1");
    assert_eq!(say(&mut first, "count").await.unwrap(), "2");
    assert_eq!(say(&mut second, "count").await.unwrap(), "1");
}

#[tokio::test]
async fn a_new_instance_sees_nothing_of_one_that_used_its_memory_before() {
    let loaded = probe_with(&limits());
    for _ in 0..50 {
        let mut instance = loaded.instantiate(Recorder::new()).await.unwrap();
        assert_eq!(say(&mut instance, "count").await.unwrap(), "1");
        assert_eq!(say(&mut instance, "alloc 1000000").await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn errors_of_the_guest_come_as_they_are_and_leave_the_instance_in_use() {
    let mut instance = probe().await;
    let retry = GuestError::Retry { reason: "busy".into(), delay: Some(Duration::from_millis(50)) };
    assert_eq!(say(&mut instance, "retry busy 50").await, Err(Fault::Guest(retry)));
    let reject = Fault::Guest(GuestError::Reject("not json".into()));
    assert_eq!(say(&mut instance, "reject not json").await, Err(reject));
    let fatal = Fault::Guest(GuestError::Fatal("no key".into()));
    assert_eq!(say(&mut instance, "fatal no key").await, Err(fatal));
    assert!(!instance.is_poisoned());
    assert_eq!(say(&mut instance, "count").await.unwrap(), "4");
}

#[tokio::test]
async fn a_batch_is_answered_one_by_one_in_order() {
    let mut instance = probe_batch().await;
    let answers = instance.process_batch(&batch(&["a", "none", "reject bad", "b"])).await.unwrap();
    let rejected = Err(GuestError::Reject("bad".into()));
    assert_eq!(answers, [Ok(Some(b"a".to_vec())), Ok(None), rejected, Ok(Some(b"b".to_vec()))]);
    assert!(instance.process_batch(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn outputs_of_a_batch_belong_to_the_message_that_was_selected() {
    let mut instance = probe_batch().await;
    instance.host_mut().keys = vec![None, Some(b"x".to_vec()), None];
    let answers = instance.process_batch(&batch(&["a", "key", "publish t hello"])).await.unwrap();
    assert_eq!(answers[1], Ok(Some(b"x".to_vec())));
    assert_eq!(instance.into_host().published, [("t".into(), "hello".into(), Some(2))]);
}

#[tokio::test]
async fn a_batch_function_takes_a_single_message_as_a_batch_of_one() {
    let mut instance = probe_batch().await;
    assert_eq!(say(&mut instance, "alone").await.unwrap(), "alone");
    let rejected = Fault::Guest(GuestError::Reject("bad".into()));
    assert_eq!(say(&mut instance, "reject bad").await, Err(rejected));
    assert!(!instance.is_poisoned());
}

#[tokio::test]
async fn an_answer_list_of_another_length_is_a_trap_and_poisons_the_instance() {
    let mut instance = probe_batch().await;
    let fault = instance.process_batch(&batch(&["a", "short", "b"])).await.unwrap_err();
    assert_eq!(fault, Fault::Trap("process-batch answered 2 messages of 3; it must answer each of them".into()));
    assert!(instance.is_poisoned());
    assert_eq!(say(&mut probe_batch().await, "short").await.unwrap_err().kind(), "trap");
}

#[tokio::test]
async fn a_function_of_single_messages_refuses_a_batch_and_stays_in_use() {
    let mut instance = probe().await;
    assert_eq!(instance.process_batch(&batch(&["a"])).await.unwrap_err().kind(), "host_error");
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_may_be_called_from_any_thread() {
    let mut instance = probe().await;
    for call in 1..=8 {
        let task = tokio::spawn(async move {
            let answer = say(&mut instance, "count").await;
            (instance, answer)
        });
        let answer;
        (instance, answer) = task.await.unwrap();
        assert_eq!(answer.unwrap(), call.to_string());
    }
}
