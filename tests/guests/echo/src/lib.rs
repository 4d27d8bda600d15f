//! Answers each message with its payload and does nothing else, so that what is measured is the call.

#[allow(warnings, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "function", generate_all });
    use super::Echo;
    export!(Echo);
}

use bindings::exports::pulselet::function::handler::{Error, Guest};

struct Echo;

impl Guest for Echo {
    fn process(payload: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        Ok(Some(payload))
    }
}
