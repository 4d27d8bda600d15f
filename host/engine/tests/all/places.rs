use std::time::Duration;

use futures::FutureExt;
use pulselet_engine::Fault;
use pulselet_test_support::guest;

use crate::host::Recorder;
use crate::setup::{Setup, say};

#[tokio::test]
async fn an_instance_over_the_limit_waits_until_another_is_gone() {
    let setup = Setup::with(|options| options.max_instances = 1);
    let loaded = setup.assign(guest("probe")).unwrap().load().unwrap();
    let first = loaded.instantiate(Recorder::new()).await.unwrap();
    let mut waiting = Box::pin(loaded.instantiate(Recorder::new()));
    assert!((&mut waiting).now_or_never().is_none());
    drop(first);
    assert_eq!(say(&mut waiting.await.unwrap(), "a").await.unwrap(), "a");
}

#[tokio::test]
async fn an_instance_that_finds_no_place_in_time_is_a_host_error() {
    let setup = Setup::with(|options| {
        options.max_instances = 1;
        options.admission_timeout = Duration::from_millis(5);
    });
    let loaded = setup.assign(guest("probe")).unwrap().load().unwrap();
    let _first = loaded.instantiate(Recorder::new()).await.unwrap();
    let Err(Fault::Host(text)) = loaded.instantiate(Recorder::new()).await else { panic!("no host error") };
    assert!(text.contains("raise max instances"), "{text}");
}

/// The pool would refuse what our own count admits if either were wrong.
#[tokio::test]
async fn as_many_instances_live_as_were_asked_for() {
    let setup = Setup::with(|options| options.max_instances = 25);
    let probe = setup.assign(guest("probe")).unwrap().load().unwrap();
    let batch = setup.assign(guest("probe-batch")).unwrap().load().unwrap();
    for _ in 0..3 {
        let mut instances = Vec::new();
        for number in 0..25 {
            let loaded = if number % 2 == 0 { &probe } else { &batch };
            instances.push(loaded.instantiate(Recorder::new()).await.unwrap());
        }
        for instance in &mut instances {
            assert_eq!(say(instance, "a").await.unwrap(), "a");
        }
    }
}
