//! The smallest function: one message in, one message out.

#[pulselet::function]
fn exclamation(input: String) -> String {
    input + "!"
}

#[cfg(test)]
mod tests {
    use pulselet::testing::{Cause, Failure, harness};

    use super::*;

    #[test]
    fn every_message_gets_an_exclamation_mark() -> Result<(), Failure> {
        let mut f = harness!(exclamation);
        assert_eq!(f.message("hello").call()?.text(), Some("hello!"));
        assert_eq!(f.message("").call()?.text(), Some("!"));
        Ok(())
    }

    #[test]
    fn what_is_not_text_is_rejected() {
        let failure = harness!(exclamation).message([0xff]).call().unwrap_err();
        assert!(matches!(failure.cause(), Cause::Reject(reason) if reason.contains("UTF-8")), "{failure}");
    }
}
