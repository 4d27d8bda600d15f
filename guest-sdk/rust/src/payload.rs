use std::mem::take;

use serde::Serialize;
use serde::de::Deserialize;

use crate::Error;

/// A value that is JSON in the payload.
///
/// As an input it is decoded by serde, and may borrow from the payload; what does not decode is rejected with serde's
/// reason. As an output it is encoded.
///
/// ```
/// use pulselet::Json;
///
/// #[derive(serde::Deserialize, serde::Serialize)]
/// struct Reading { celsius: f64 }
///
/// #[pulselet::function]
/// fn warmer(Json(reading): Json<Reading>) -> Json<Reading> {
///     Json(Reading { celsius: reading.celsius + 1.0 })
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Json<T>(pub T);

/// What a function can take: `Vec<u8>`, `&[u8]`, `String`, `&str`, [`Json<T>`](Json), and types of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a payload",
    label = "not a payload",
    note = "`&[u8]`, `Vec<u8>`, `&str`, `String` and `Json<T>` with `T: serde::Deserialize` can",
    note = "for an encoding of your own, implement `pulselet::FromPayload` for the type"
)]
pub trait FromPayload<'a>: Sized {
    /// Reads the payload; the bytes may be taken or borrowed.
    ///
    /// # Errors
    /// Says what is wrong with the payload; [`Error::reject`] fits, since the next attempt would meet the same bytes.
    fn from_payload(payload: &'a mut Vec<u8>) -> Result<Self, Error>;
}

impl FromPayload<'_> for Vec<u8> {
    fn from_payload(payload: &mut Vec<u8>) -> Result<Self, Error> {
        Ok(take(payload))
    }
}

impl<'a> FromPayload<'a> for &'a [u8] {
    fn from_payload(payload: &'a mut Vec<u8>) -> Result<Self, Error> {
        Ok(payload)
    }
}

impl FromPayload<'_> for String {
    fn from_payload(payload: &mut Vec<u8>) -> Result<Self, Error> {
        Self::from_utf8(take(payload)).map_err(|error| not_utf8(error.utf8_error()))
    }
}

impl<'a> FromPayload<'a> for &'a str {
    fn from_payload(payload: &'a mut Vec<u8>) -> Result<Self, Error> {
        std::str::from_utf8(payload).map_err(not_utf8)
    }
}

impl<'a, T: Deserialize<'a>> FromPayload<'a> for Json<T> {
    fn from_payload(payload: &'a mut Vec<u8>) -> Result<Self, Error> {
        serde_json::from_slice(payload)
            .map(Self)
            .map_err(|error| Error::reject(format!("payload is not the JSON this function takes: {error}")))
    }
}

fn not_utf8(error: std::str::Utf8Error) -> Error {
    Error::reject(format!("payload is not UTF-8 text: bad byte at offset {}", error.valid_up_to()))
}

/// What a function can answer with: `Vec<u8>`, `&[u8]`, `String`, `&str`, [`Json<T>`](Json), and types of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written as a payload",
    label = "not a payload",
    note = "`Vec<u8>`, `String` and `Json<T>` with `T: serde::Serialize` can",
    note = "for an encoding of your own, implement `pulselet::IntoPayload` for the type"
)]
pub trait IntoPayload {
    /// Writes the payload.
    ///
    /// # Errors
    /// Says why the value cannot be written; the message is then handled as that error says.
    fn into_payload(self) -> Result<Vec<u8>, Error>;
}

impl IntoPayload for Vec<u8> {
    fn into_payload(self) -> Result<Vec<u8>, Error> {
        Ok(self)
    }
}

impl IntoPayload for &[u8] {
    fn into_payload(self) -> Result<Vec<u8>, Error> {
        Ok(self.to_vec())
    }
}

impl IntoPayload for String {
    fn into_payload(self) -> Result<Vec<u8>, Error> {
        Ok(self.into_bytes())
    }
}

impl IntoPayload for &str {
    fn into_payload(self) -> Result<Vec<u8>, Error> {
        Ok(self.as_bytes().to_vec())
    }
}

impl<T: Serialize> IntoPayload for Json<T> {
    fn into_payload(self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(&self.0).map_err(|error| Error::reject(format!("answer cannot be written as JSON: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'a> FromPayload<'a>>(payload: &[u8]) -> Result<T, Error> {
        T::from_payload(&mut payload.to_vec())
    }

    #[test]
    fn text_that_is_not_utf8_is_rejected_with_the_place() {
        let bad = [b"caf".as_slice(), b"\xe9"].concat();
        assert_eq!(read::<String>(&bad), Err(Error::reject("payload is not UTF-8 text: bad byte at offset 3")));
        assert!(<&str>::from_payload(&mut bad.clone()).is_err());
    }

    #[test]
    fn json_that_does_not_fit_is_rejected_with_serdes_reason() {
        let error = read::<Json<Vec<u8>>>(b"[1, 2").unwrap_err();
        assert!(error.to_string().starts_with("rejected: payload is not the JSON this function takes: EOF"), "{error}");
    }

    #[test]
    fn json_may_borrow_from_the_payload() {
        let mut payload = br#""hello""#.to_vec();
        assert_eq!(Json::<&str>::from_payload(&mut payload), Ok(Json("hello")));
    }

    #[test]
    fn every_answer_reads_back() {
        assert_eq!(read(&vec![0, 255].into_payload().unwrap()), Ok(vec![0, 255]));
        assert_eq!(read(&"é".into_payload().unwrap()), Ok("é".to_owned()));
        assert_eq!(read(&Json(7).into_payload().unwrap()), Ok(Json(7)));
    }
}
