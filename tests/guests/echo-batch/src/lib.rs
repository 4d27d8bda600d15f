//! Answers each message of a batch with its payload and does nothing else, so that what is measured is the call.

#[allow(warnings, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "batch-function", generate_all });
    use super::Echo;
    export!(Echo);
}

use bindings::exports::pulselet::function::batch_handler::{Error, Guest};

struct Echo;

impl Guest for Echo {
    fn process_batch(payloads: Vec<Vec<u8>>) -> Vec<Result<Option<Vec<u8>>, Error>> {
        payloads.into_iter().map(|payload| Ok(Some(payload))).collect()
    }
}
