use pulselet::testing::{Cause, Failure, harness, message};
use pulselet::{Error, FunctionContext, Json, Record};

#[pulselet::function(batch)]
fn odd_only(numbers: &[Json<u32>]) -> Vec<Result<Option<String>, Error>> {
    numbers
        .iter()
        .map(|Json(number)| match number {
            0 => Err(Error::reject("zero")),
            number => Ok((number % 2 == 1).then(|| number.to_string())),
        })
        .collect()
}

#[pulselet::batch_function]
fn spread(records: Vec<Record<&str>>, ctx: &FunctionContext) -> Result<Vec<()>, Error> {
    let prefix: String = ctx.config_value("prefix")?.ok_or_else(|| Error::fatal("no prefix"))?;
    let producer = ctx.topic_producer("often")?;
    // From the last to the first, so that nothing here rests on the order of calls.
    for record in records.iter().rev() {
        record.context.publish("topic", format!("{prefix}{}", record.value))?;
        producer.send(&record.context, record.context.key_text().unwrap_or_default())?;
    }
    Ok(records.iter().map(|_| ()).collect())
}

#[pulselet::batch_function]
fn forgetful(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().skip(1).collect()
}

#[test]
fn each_message_has_its_own_answer() -> Result<(), Failure> {
    let out = harness!(odd_only).batch(["1", "x", "2", "0"])?;
    assert_eq!((out.text(0), out.text(2)), (Some("1"), None));
    assert!(matches!(out.cause(1), Some(Cause::Reject(reason)) if reason.contains("JSON")));
    assert_eq!(out.cause(3), Some(&Cause::Reject("zero".into())));
    Ok(())
}

#[test]
fn outputs_belong_to_the_message_they_were_made_for() -> Result<(), Failure> {
    let mut f = harness!(spread);
    let bad = message([0xff]);
    let out = f.config("prefix", ">").batch([message("a").key("k"), bad, message("b").key("l")])?;

    let sent: Vec<_> = out.published().iter().map(|it| (it.index, it.topic.as_str(), it.text().unwrap())).collect();
    assert_eq!(sent, [(2, "topic", ">b"), (2, "often", "l"), (0, "topic", ">a"), (0, "often", "k")]);
    Ok(())
}

#[test]
fn an_error_of_the_batch_fails_every_message_and_sends_nothing() -> Result<(), Failure> {
    let out = harness!(spread).batch(["a", "b"])?;
    let fatal = Err(Cause::Fatal("no prefix".into()));
    assert_eq!(out.answers(), [fatal.clone(), fatal]);
    assert!(out.published().is_empty());
    Ok(())
}

#[test]
fn a_list_of_another_length_is_a_trap_that_names_both_lengths() -> Result<(), Failure> {
    let out = harness!(forgetful).batch(["a", "b"])?;
    assert!(matches!(out.cause(0), Some(Cause::Trap(text)) if text.contains("1 answers for 2 messages")));
    assert_eq!(out.cause(0), out.cause(1));
    Ok(())
}

#[test]
fn a_batch_in_which_nothing_decodes_never_reaches_the_function() -> Result<(), Failure> {
    let out = harness!(forgetful).batch([[0xff], [0xfe]])?;
    assert!(out.answers().iter().all(|answer| matches!(answer, Err(Cause::Reject(_)))));
    Ok(())
}

#[test]
fn one_message_is_a_batch_of_one() -> Result<(), Failure> {
    assert_eq!(harness!(odd_only).message("3").call()?.text(), Some("3"));
    Ok(())
}
