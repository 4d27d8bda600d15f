use std::time::Duration;

use pulselet::testing::{Cause, harness};
use pulselet::{Context, Error};

#[pulselet::function]
fn fails(how: &str, ctx: &Context) -> Result<String, Error> {
    ctx.publish("held", "lost")?;
    ctx.publish_now("now", "kept")?;
    ctx.metrics().count("calls", 1);
    log::warn!("about to fail");
    match how {
        "retry" => Err(Error::retry("busy").after(Duration::from_secs(5))),
        "reject" => Err(Error::reject("never")),
        "fatal" => Err(Error::fatal("off")),
        "question mark" => Ok("x".parse::<u8>()?.to_string()),
        _ => panic!("cannot {how}"),
    }
}

#[test]
fn each_kind_of_failure_is_told_from_the_others() {
    let mut f = harness!(fails);
    let retry = |reason: &str, delay| Cause::Retry { reason: reason.into(), delay };
    for (how, cause) in [
        ("retry", retry("busy", Some(Duration::from_secs(5)))),
        ("reject", Cause::Reject("never".into())),
        ("fatal", Cause::Fatal("off".into())),
        ("question mark", retry("invalid digit found in string", None)),
        ("sing", Cause::Trap("cannot sing".into())),
    ] {
        assert_eq!(f.message(how).call().unwrap_err().cause(), &cause);
    }
}

#[test]
fn a_failed_call_sends_only_what_was_sent_at_once() {
    for how in ["retry", "sing"] {
        let failure = harness!(fails).message(how).call().unwrap_err();
        let topics: Vec<_> = failure.published().iter().map(|it| it.topic.as_str()).collect();
        assert_eq!(topics, ["now"]);
        assert_eq!(failure.counted("calls"), 1.0);
        assert_eq!(failure.logs()[0].text, "about to fail");
    }
}

#[test]
fn many_messages_to_a_plain_function_are_many_calls() {
    let out = harness!(fails).batch(["sing", "reject", "retry"]).unwrap();
    assert_eq!(out.cause(0), Some(&Cause::Trap("cannot sing".into())));
    assert_eq!(out.cause(1), Some(&Cause::Reject("never".into())));
    let places: Vec<_> = out.published().iter().map(|it| it.index).collect();
    assert_eq!(places, [0, 1, 2]);
}
