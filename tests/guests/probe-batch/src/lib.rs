//! A component that does what each payload of a batch says: `trap` and `loop` break the whole call off, `short` leaves
//! the last answer out, `reject TEXT`, `none` and `publish TOPIC TEXT` concern their message, `key` answers the message's
//! key, and anything else is answered as it is.

#[allow(warnings, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "batch-function", generate_all });
    use super::Probe;
    export!(Probe);
}

use bindings::exports::pulselet::function::batch_handler::{Error, Guest};
use bindings::pulselet::function::types::Message;
use bindings::pulselet::function::{context, publish};

struct Probe;

type Answer = Result<Option<Vec<u8>>, Error>;

impl Guest for Probe {
    fn process_batch(payloads: Vec<Vec<u8>>) -> Vec<Answer> {
        let short = payloads.iter().any(|payload| payload == b"short");
        let mut answers: Vec<Answer> =
            payloads.into_iter().enumerate().map(|(index, payload)| answer(index as u32, payload)).collect();
        if short {
            answers.pop();
        }
        answers
    }
}

fn answer(index: u32, payload: Vec<u8>) -> Answer {
    let words: Vec<&[u8]> = payload.splitn(3, |byte| *byte == b' ').collect();
    match words[..] {
        [b"trap"] => core::arch::wasm32::unreachable(),
        [b"loop"] => loop {
            std::hint::black_box(());
        },
        [b"none"] => Ok(None),
        [b"key"] => Ok(context::key(index)),
        [b"reject", reason] => Err(Error::Reject(String::from_utf8_lossy(reason).into_owned())),
        [b"publish", topic, text] => {
            context::select(index);
            let message =
                Message { payload: text.to_vec(), key: None, properties: vec![], event_time: None, delay: None };
            publish::publish(&String::from_utf8_lossy(topic), &message).expect("published");
            Ok(None)
        }
        _ => Ok(Some(payload)),
    }
}
