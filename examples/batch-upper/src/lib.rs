//! Many messages in one call, each answered by itself: what costs once a call is shared by all of them.

#[pulselet::batch_function]
fn upper(lines: Vec<String>) -> Vec<String> {
    lines.iter().map(|line| line.to_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use pulselet::testing::{Cause, Failure, harness, message};

    use super::*;

    #[test]
    fn each_message_is_answered_in_its_place() -> Result<(), Failure> {
        let out = harness!(upper).batch(["one", "two"])?;
        assert_eq!(out.answers(), [Ok(Some(b"ONE".to_vec())), Ok(Some(b"TWO".to_vec()))]);
        Ok(())
    }

    #[test]
    fn one_bad_message_fails_alone() -> Result<(), Failure> {
        let out = harness!(upper).batch(["one".into(), message([0xff]), "three".into()])?;
        assert_eq!((out.text(0), out.text(2)), (Some("ONE"), Some("THREE")));
        assert!(matches!(out.cause(1), Some(Cause::Reject(_))));
        Ok(())
    }
}
