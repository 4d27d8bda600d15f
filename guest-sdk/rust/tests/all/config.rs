use std::collections::BTreeMap;

use proptest::prelude::*;
use pulselet::testing::{Cause, Failure, Harness, harness};
use pulselet::{Context, Error, Json};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    name: String,
    times: u32,
    ratio: Option<f64>,
    mode: Mode,
    tags: Vec<String>,
    limits: BTreeMap<String, i64>,
    on: bool,
    wrapped: Wrapped,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Fast,
    Slow { millis: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(String);

#[pulselet::function]
fn whole(_: &[u8], ctx: &Context) -> Result<Json<Settings>, Error> {
    ctx.config().map(Json)
}

#[pulselet::function]
fn one(name: &str, ctx: &Context) -> Result<Option<String>, Error> {
    let number: Option<u8> = ctx.config_value(name)?;
    Ok(number.map(|number| number.to_string()))
}

fn settings() -> impl Strategy<Value = Settings> {
    let mode = prop_oneof![Just(Mode::Fast), any::<u64>().prop_map(|millis| Mode::Slow { millis })];
    let text = || prop_oneof![".*", "-?[0-9]{1,3}", Just("true".to_owned()), Just("[1]".to_owned())];
    let parts =
        (text(), any::<u32>(), proptest::option::of(any::<i32>().prop_map(|eighths| f64::from(eighths) / 8.0)), mode);
    let more = (
        proptest::collection::vec(text(), 0..3),
        proptest::collection::btree_map(".*", any::<i64>(), 0..3),
        any::<bool>(),
        text(),
    );
    (parts, more).prop_map(|((name, times, ratio, mode), (tags, limits, on, wrapped))| Settings {
        name,
        times,
        ratio,
        mode,
        tags,
        limits,
        on,
        wrapped: Wrapped(wrapped),
    })
}

fn with(settings: &Settings) -> Harness {
    let mut f = harness!(whole);
    let serde_json::Value::Object(entries) = serde_json::to_value(settings).unwrap() else { unreachable!() };
    for (name, value) in entries {
        f.config(name, value);
    }
    f
}

proptest! {
    #[test]
    fn settings_read_back_as_they_were_declared(settings in settings()) {
        prop_assert_eq!(with(&settings).message("").call().unwrap().json(), Some(settings));
    }
}

#[test]
fn a_missing_entry_is_fatal_and_named() {
    let failure = harness!(whole).config("times", 3).message("").call().unwrap_err();
    assert_eq!(failure.cause(), &Cause::Fatal("funcConfig: missing field `name`".into()));
}

#[test]
fn an_entry_of_another_type_is_fatal_and_named_with_its_value() {
    let mut f = harness!(one);
    f.config("times", "three").config("ratio", 1.5);
    for (name, text) in [("times", "\"three\""), ("ratio", "\"1.5\"")] {
        let failure = f.message(name).call().unwrap_err();
        assert!(
            matches!(failure.cause(), Cause::Fatal(reason) if reason.starts_with(&format!("funcConfig: {name}: ")) && reason.ends_with(text)),
            "{failure}"
        );
    }
}

#[test]
fn one_entry_is_read_alone_or_found_missing() -> Result<(), Failure> {
    let mut f = harness!(one);
    f.config("times", 3);
    assert_eq!(f.message("times").call()?.text(), Some("3"));
    assert_eq!(f.message("other").call()?.answer(), None);
    Ok(())
}
