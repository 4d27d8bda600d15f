use pulselet::testing::{Failure, harness};
use pulselet::{Context, Error, FromPayload, IntoPayload, Json, Record};

#[pulselet::function]
fn bytes(input: &[u8]) -> Vec<u8> {
    input.iter().rev().copied().collect()
}

#[pulselet::function]
fn owned_bytes(input: Vec<u8>) -> Option<Vec<u8>> {
    (!input.is_empty()).then_some(input)
}

#[pulselet::function]
fn text(input: &str) -> String {
    input.to_uppercase()
}

#[pulselet::function]
fn borrowed_json(Json(words): Json<Vec<&str>>) -> Json<usize> {
    Json(words.len())
}

#[pulselet::function]
fn context_first(ctx: &Context, input: String) -> Result<Option<String>, Error> {
    Ok(ctx.property("greeting").map(|greeting| format!("{greeting} {input}")))
}

#[pulselet::function]
fn nothing(_: &[u8], _ctx: &pulselet::Context) {}

#[pulselet::function]
fn record(record: Record<String>) -> String {
    format!("{}@{}", record.value, record.context.topic())
}

struct Hex(u8);

impl FromPayload<'_> for Hex {
    fn from_payload(payload: &mut Vec<u8>) -> Result<Self, Error> {
        let text = <&str>::from_payload(payload)?;
        u8::from_str_radix(text, 16).map(Self).map_err(|error| Error::reject(error.to_string()))
    }
}

impl IntoPayload for Hex {
    fn into_payload(self) -> Result<Vec<u8>, Error> {
        Ok(format!("{:02x}", self.0).into_bytes())
    }
}

#[pulselet::function]
fn own_encoding(Hex(number): Hex) -> Result<Hex, anyhow::Error> {
    Ok(Hex(number.checked_add(1).ok_or_else(|| anyhow::anyhow!("too large"))?))
}

#[test]
fn every_form_of_input_and_output_is_called() -> Result<(), Failure> {
    assert_eq!(harness!(bytes).message("abc").call()?.answer(), Some(b"cba".as_slice()));
    assert_eq!(harness!(owned_bytes).message("").call()?.answer(), None);
    assert_eq!(harness!(text).message("abc").call()?.text(), Some("ABC"));
    assert_eq!(harness!(borrowed_json).message(r#"["a", "b"]"#).call()?.json(), Some(2));
    assert_eq!(harness!(context_first).message("you").property("greeting", "hi").call()?.text(), Some("hi you"));
    assert_eq!(harness!(context_first).message("you").call()?.answer(), None);
    assert_eq!(harness!(nothing).message("abc").call()?.answer(), None);
    assert_eq!(harness!(record).message("a").topic("t").call()?.text(), Some("a@t"));
    assert_eq!(harness!(own_encoding).message("0f").call()?.text(), Some("10"));
    Ok(())
}

#[test]
fn a_function_can_still_be_called_as_it_was_written() {
    assert_eq!(text("abc"), "ABC");
}

mod elsewhere {
    #[pulselet::function]
    pub(crate) fn far(input: String) -> String {
        input
    }
}

#[test]
fn a_function_of_another_module_is_called_by_its_path() -> Result<(), Failure> {
    assert_eq!(harness!(elsewhere::far).message("a").call()?.text(), Some("a"));
    Ok(())
}
