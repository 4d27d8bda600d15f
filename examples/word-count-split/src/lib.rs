//! One line in, one message a word out, each with the word as its key: whoever counts them can be many, and still every
//! word is counted in one place.

use pulselet::{Context, Message, PublishError};

#[pulselet::function]
fn split(line: &str, ctx: &Context) -> Result<(), PublishError> {
    for word in line.split_whitespace() {
        ctx.publish("words", Message::new(word).key(word))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pulselet::testing::{Failure, harness};

    use super::*;

    #[test]
    fn every_word_goes_out_under_its_own_key() -> Result<(), Failure> {
        let out = harness!(split).message("to be or  not\tto be").call()?;

        let words: Vec<_> = out.published().iter().filter_map(|word| word.text()).collect();
        assert_eq!(words, ["to", "be", "or", "not", "to", "be"]);
        assert!(out.published().iter().all(|word| word.topic == "words" && word.key.as_deref() == word.text()));
        assert_eq!(out.answer(), None);
        Ok(())
    }

    #[test]
    fn an_empty_line_has_no_words() -> Result<(), Failure> {
        assert!(harness!(split).message("  ").call()?.published().is_empty());
        Ok(())
    }
}
