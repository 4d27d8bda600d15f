//! Sends every message on to a topic that its content names. The key goes with it.

use pulselet::{Context, Message, PublishError};

#[pulselet::function]
fn route(text: &str, ctx: &Context) -> Result<(), PublishError> {
    let topic = topic_of(text);
    log::debug!("{text:?} to {topic}");
    ctx.metrics().count(topic, 1);

    let message = Message::new(text);
    ctx.publish(
        topic,
        match ctx.key_text() {
            Some(key) => message.key(key),
            None => message,
        },
    )
}

fn topic_of(text: &str) -> &'static str {
    match text.chars().next() {
        Some(first) if first.is_uppercase() => "words_upper",
        Some(first) if first.is_numeric() => "words_number",
        _ => "words_other",
    }
}

#[cfg(test)]
mod tests {
    use pulselet::testing::{Failure, harness};

    use super::*;

    #[test]
    fn the_first_character_decides() -> Result<(), Failure> {
        let mut f = harness!(route);
        for (word, topic) in [("Pulsar", "words_upper"), ("42", "words_number"), ("(c)", "words_other")] {
            let out = f.message(word).key(word).call()?;
            let [sent] = out.published() else { panic!("one message for {word}") };
            assert_eq!((sent.topic.as_str(), sent.text(), sent.key.as_deref()), (topic, Some(word), Some(word)));
            assert_eq!(out.counted(topic), 1.0);
        }
        Ok(())
    }

    #[test]
    fn each_decision_is_logged() -> Result<(), Failure> {
        let out = harness!(route).message("Pulsar").call()?;
        assert_eq!(out.logs()[0].text, r#""Pulsar" to words_upper"#);
        Ok(())
    }
}
