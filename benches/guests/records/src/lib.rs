//! Hides mail addresses in JSON records. Large, since it takes in a JSON parser and regular expressions with the tables
//! of Unicode. What is not JSON is answered as it is, at once: benches send that, to measure the start and not the work.

#[allow(warnings, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "function", generate_all });
    use super::Records;
    export!(Records);
}

use std::sync::LazyLock;

use bindings::exports::pulselet::function::handler::{Error, Guest};
use regex::Regex;
use serde_json::Value;

static ADDRESS: LazyLock<Result<Regex, regex::Error>> = LazyLock::new(|| Regex::new(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"));

struct Records;

impl Guest for Records {
    fn process(payload: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let Ok(mut record) = serde_json::from_slice(&payload) else { return Ok(Some(payload)) };
        let address = ADDRESS.as_ref().map_err(|error| Error::Fatal(error.to_string()))?;
        hide(address, &mut record);
        Ok(Some(record.to_string().into_bytes()))
    }
}

fn hide(address: &Regex, value: &mut Value) {
    match value {
        Value::String(text) => *text = address.replace_all(text, "…").into_owned(),
        Value::Array(values) => values.iter_mut().for_each(|value| hide(address, value)),
        Value::Object(fields) => fields.values_mut().for_each(|value| hide(address, value)),
        _ => {}
    }
}
