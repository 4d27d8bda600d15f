//! What the attribute macros expand to; not for use by hand.

use crate::{Answer, Context, Error, FromMessage, FunctionContext};

/// A function that takes one message.
pub trait Function {
    /// Handles it.
    fn process(payload: Vec<u8>) -> Answer;
}

/// A function that takes many messages.
pub trait BatchFunction {
    /// Handles them.
    fn process_batch(payloads: Vec<Vec<u8>>) -> Vec<Answer>;
}

/// The context of the one message of a call.
pub fn context() -> Context {
    Context::of_message()
}

/// The context of a call with many messages.
pub fn function_context() -> &'static FunctionContext {
    FunctionContext::OF_CALL
}

/// Decodes the one message of a call.
///
/// # Errors
/// It does not decode.
pub fn input<'a, T: FromMessage<'a>>(payload: &'a mut Vec<u8>) -> Result<T, Error> {
    T::from_message(payload, Context::of_message())
}

/// Decodes a batch, calls the function with what decoded, and answers for the rest.
pub fn batch<'a, T: FromMessage<'a>>(
    payloads: &'a mut [Vec<u8>],
    function: impl FnOnce(Vec<T>) -> Vec<Answer>,
) -> Vec<Answer> {
    let mut inputs = Vec::with_capacity(payloads.len());
    let mut undecoded = Vec::new();
    for (index, payload) in (0..).zip(payloads) {
        match T::from_message(payload, Context::in_batch(index)) {
            Ok(input) => inputs.push(input),
            Err(error) => undecoded.push((index as usize, error)),
        }
    }
    let count = inputs.len();
    let mut answers = if inputs.is_empty() { Vec::new() } else { function(inputs) };
    assert!(
        answers.len() == count,
        "the batch function returned {} answers for {count} messages: return one for each, in their order",
        answers.len()
    );
    // In rising order, so that each lands where its message was.
    for (index, error) in undecoded {
        answers.insert(index, Err(error));
    }
    answers
}

#[cfg(target_arch = "wasm32")]
pub use crate::bindings::{batch_function, function};

#[cfg(target_arch = "wasm32")]
mod component {
    use super::{BatchFunction, Function};
    use crate::bindings::{batch_function, function};
    use crate::error::Verdict;
    use crate::message::millis;
    use crate::{Answer, Error};
    use function::pulselet::function::outcome;

    type WitAnswer = Result<Option<Vec<u8>>, outcome::Error>;

    impl<F: Function> function::exports::pulselet::function::handler::Guest for F {
        fn process(payload: Vec<u8>) -> WitAnswer {
            start();
            wit(F::process(payload))
        }
    }

    impl<F: BatchFunction> batch_function::exports::pulselet::function::batch_handler::Guest for F {
        fn process_batch(payloads: Vec<Vec<u8>>) -> Vec<WitAnswer> {
            start();
            F::process_batch(payloads).into_iter().map(wit).collect()
        }
    }

    fn start() {
        #[cfg(feature = "log")]
        crate::logging::start();
    }

    fn wit(answer: Answer) -> WitAnswer {
        answer.map_err(|Error { verdict, reason }| match verdict {
            Verdict::Retry { delay } => outcome::Error::Retry(outcome::Retry { reason, delay: delay.map(millis) }),
            Verdict::Reject => outcome::Error::Reject(reason),
            Verdict::Fatal => outcome::Error::Fatal(reason),
        })
    }
}

/// Makes a type the function of this component. What it does depends on features and target of this crate, not of the
/// one it is used in, hence a macro that is defined here.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    (function $function:ident) => {
        #[doc(hidden)]
        const A_COMPONENT_HAS_ONE_PULSELET_FUNCTION: () = ();
        $crate::__rt::function::export_function!($function with_types_in $crate::__rt::function);
    };
    (batch_function $function:ident) => {
        #[doc(hidden)]
        const A_COMPONENT_HAS_ONE_PULSELET_FUNCTION: () = ();
        $crate::__rt::batch_function::export_batch_function!($function with_types_in $crate::__rt::batch_function);
    };
}

/// In a test, gives the type to the test kit.
#[cfg(all(not(target_arch = "wasm32"), feature = "testing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    (function $function:ident) => {
        impl $crate::testing::Entry for $function {
            const POINT: $crate::testing::EntryPoint =
                $crate::testing::EntryPoint::Function(<Self as $crate::__rt::Function>::process);
        }
        // Without it a function that only the component exports would count as unused.
        const _: $crate::testing::EntryPoint = <$function as $crate::testing::Entry>::POINT;
    };
    (batch_function $function:ident) => {
        impl $crate::testing::Entry for $function {
            const POINT: $crate::testing::EntryPoint =
                $crate::testing::EntryPoint::BatchFunction(<Self as $crate::__rt::BatchFunction>::process_batch);
        }
        const _: $crate::testing::EntryPoint = <$function as $crate::testing::Entry>::POINT;
    };
}

/// Elsewhere nothing calls the function; it is only kept from counting as unused.
#[cfg(all(not(target_arch = "wasm32"), not(feature = "testing")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __entry {
    (function $function:ident) => {
        const _: fn(::std::vec::Vec<u8>) -> $crate::Answer = <$function as $crate::__rt::Function>::process;
    };
    (batch_function $function:ident) => {
        const _: fn(::std::vec::Vec<::std::vec::Vec<u8>>) -> ::std::vec::Vec<$crate::Answer> =
            <$function as $crate::__rt::BatchFunction>::process_batch;
    };
}
