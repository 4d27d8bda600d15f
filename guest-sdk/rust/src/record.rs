use crate::{Context, Error, FromPayload};

/// One message with its context: what a batch function takes when it wants more than the payloads.
///
/// ```
/// use pulselet::Record;
///
/// #[pulselet::batch_function]
/// fn tagged(records: Vec<Record<String>>) -> Vec<String> {
///     records.iter().map(|record| format!("{} from {}", record.value, record.context.topic())).collect()
/// }
/// ```
#[derive(Debug)]
pub struct Record<T> {
    /// The decoded payload.
    pub value: T,
    /// Where it came from, and what can be done for it.
    pub context: Context,
}

/// What a function can take: a payload, or a [`Record`] of one.
#[diagnostic::on_unimplemented(
    message = "a function cannot take `{Self}`",
    label = "not a payload",
    note = "take `&[u8]`, `Vec<u8>`, `&str`, `String` or `Json<T>` with `T: serde::Deserialize`; or a `Record` of one of these",
    note = "for an encoding of your own, implement `pulselet::FromPayload` for the type"
)]
pub trait FromMessage<'a>: Sized {
    /// Reads the payload; the bytes may be taken or borrowed.
    ///
    /// # Errors
    /// Says what is wrong with the payload.
    fn from_message(payload: &'a mut Vec<u8>, context: Context) -> Result<Self, Error>;
}

impl<'a, T: FromPayload<'a>> FromMessage<'a> for T {
    fn from_message(payload: &'a mut Vec<u8>, _: Context) -> Result<Self, Error> {
        T::from_payload(payload)
    }
}

impl<'a, T: FromPayload<'a>> FromMessage<'a> for Record<T> {
    fn from_message(payload: &'a mut Vec<u8>, context: Context) -> Result<Self, Error> {
        Ok(Self { value: T::from_payload(payload)?, context })
    }
}
