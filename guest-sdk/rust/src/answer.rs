use crate::{Error, IntoPayload};

/// What a call comes to: bytes for the output topic, nothing, or an error.
pub type Answer = Result<Option<Vec<u8>>, Error>;

/// What a function can return: a payload, in the sense of [`IntoPayload`], `()` or `None` for no answer, and a `Result` of any of these.
#[diagnostic::on_unimplemented(
    message = "a function cannot answer with `{Self}`",
    label = "not an answer",
    note = "return `Vec<u8>`, `String` or `Json<T>` with `T: serde::Serialize`; `()` or `Option` of those to send nothing; \
            or `Result<_, E>` of any of these, where `E` is `pulselet::Error` or any error type",
    note = "for an encoding of your own, implement `pulselet::IntoPayload` for the type"
)]
pub trait IntoAnswer {
    /// Comes to the answer.
    ///
    /// # Errors
    /// The function's own error, or why its value cannot be written as a payload.
    fn into_answer(self) -> Answer;
}

impl<P: IntoPayload> IntoAnswer for P {
    fn into_answer(self) -> Answer {
        self.into_payload().map(Some)
    }
}

impl IntoAnswer for () {
    fn into_answer(self) -> Answer {
        Ok(None)
    }
}

impl<P: IntoPayload> IntoAnswer for Option<P> {
    fn into_answer(self) -> Answer {
        self.map(P::into_payload).transpose()
    }
}

impl<A: IntoAnswer, E: Into<Error>> IntoAnswer for Result<A, E> {
    fn into_answer(self) -> Answer {
        self.map_err(E::into)?.into_answer()
    }
}

/// What a batch function can return: a `Vec` with an answer for each message, in their order, or a `Result` of it,
/// whose error then holds for every message.
#[diagnostic::on_unimplemented(
    message = "a batch function cannot return `{Self}`",
    label = "not a list of answers",
    note = "return a `Vec` with one answer for each message, in their order: `Vec<String>`, `Vec<Result<String, Error>>`",
    note = "`Result<Vec<_>, Error>` also works; its error holds for every message"
)]
pub trait IntoAnswers {
    /// Comes to the answers for `count` messages; a list of another length is passed on as it is.
    fn into_answers(self, count: usize) -> Vec<Answer>;
}

impl<A: IntoAnswer> IntoAnswers for Vec<A> {
    fn into_answers(self, _count: usize) -> Vec<Answer> {
        self.into_iter().map(A::into_answer).collect()
    }
}

impl<A: IntoAnswer, E: Into<Error>> IntoAnswers for Result<Vec<A>, E> {
    fn into_answers(self, count: usize) -> Vec<Answer> {
        match self {
            Ok(answers) => answers.into_answers(count),
            Err(error) => vec![Err(error.into()); count],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_answered_with_nothing() {
        assert_eq!(().into_answer(), Ok(None));
        assert_eq!(None::<String>.into_answer(), Ok(None));
        assert_eq!(Ok::<_, Error>(Some("a")).into_answer(), Ok(Some(b"a".to_vec())));
    }

    #[test]
    fn an_error_of_the_function_is_its_answer() {
        assert_eq!(Err::<(), _>(Error::fatal("off")).into_answer(), Err(Error::fatal("off")));
        assert_eq!(Err::<(), _>("busy").into_answer(), Err(Error::retry("busy")));
    }

    #[test]
    fn an_error_of_a_whole_batch_holds_for_every_message() {
        let answers = Err::<Vec<String>, _>(Error::reject("no")).into_answers(2);
        assert_eq!(answers, vec![Err(Error::reject("no")); 2]);
    }
}
