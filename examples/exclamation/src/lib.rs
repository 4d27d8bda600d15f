//! Adds an exclamation mark to every message.

/// One message in, one message out.
#[pulselet::function]
fn exclamation(input: String) -> String {
    input + "!"
}
