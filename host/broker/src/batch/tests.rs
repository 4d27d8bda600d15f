use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{Batch, BatchBuilder, Key, Messages, Outgoing, Pairs};
use crate::Message;

fn decode(batch: &Batch) -> Vec<Message> {
    batch.messages().collect::<Result<_, _>>().unwrap()
}

#[test]
fn the_bytes_are_those_of_pulsars_java_client() {
    let pairs = [("a", "b")];
    let batch = Batch::single(
        &Outgoing {
            payload: b"hi",
            key: Some(Key::Binary(&[1, 2])),
            ordering_key: Some(b"o"),
            properties: Pairs::Borrowed(&pairs),
            event_time: Some(300),
            sequence_id: Some(7),
            ..Outgoing::default()
        },
        None,
    );
    // Written down from the protobuf rules: fields 1, 2, 3, 5, 6, 7, 8 of SingleMessageMetadata.
    let metadata = b"\x0a\x06\x0a\x01a\x12\x01b\x12\x04AQI=\x18\x02\x28\xac\x02\x30\x01\x3a\x01o\x40\x07";
    let mut expected = vec![0, 0, 0, metadata.len() as u8];
    expected.extend_from_slice(metadata);
    expected.extend_from_slice(b"hi");
    assert_eq!(batch.encoded().as_ref(), expected);
}

#[test]
fn a_binary_key_comes_back_as_bytes_and_can_be_handed_on_as_it_is() {
    let sent = Outgoing { payload: b"x", key: Some(Key::Binary(&[0, 255, 7])), ..Outgoing::default() };
    let first = decode(&Batch::single(&sent, None)).remove(0);
    assert_eq!(first.metadata.key(), Some(b"AP8H".as_ref()));
    assert_eq!(first.metadata.key_bytes().unwrap().as_ref(), [0, 255, 7]);
    let again = Outgoing { key: first.metadata.raw_key(), ..Outgoing::default() };
    let second = decode(&Batch::single(&again, None)).remove(0);
    assert_eq!(second.metadata.key_bytes(), first.metadata.key_bytes());
}

#[test]
fn a_key_that_only_claims_to_be_base64_comes_as_it_is() {
    let sent = Outgoing { key: Some(Key::Raw { text: b"not base64!", base64: true }), ..Outgoing::default() };
    let message = decode(&Batch::single(&sent, None)).remove(0);
    assert_eq!(message.metadata.key_bytes().unwrap().as_ref(), b"not base64!");
}

#[test]
fn no_value_is_not_an_empty_value() {
    let mut builder = BatchBuilder::new();
    builder.push(&Outgoing { null_value: true, ..Outgoing::default() });
    builder.push(&Outgoing::default());
    let messages = decode(&builder.finish().unwrap());
    assert!(messages[0].metadata.is_null() && !messages[1].metadata.is_null());
}

#[test]
fn properties_with_other_fields_between_them_are_handed_on_alone() {
    // property a=1, payload_size 0, property b=2: an order that no known client writes, but protobuf allows.
    let metadata = b"\x0a\x06\x0a\x01a\x12\x011\x18\x00\x0a\x06\x0a\x01b\x12\x012";
    let mut bytes = vec![0, 0, 0, metadata.len() as u8];
    bytes.extend_from_slice(metadata);
    let message = Messages::new(bytes.into(), 1).next().unwrap().unwrap();
    assert_eq!(message.metadata.properties().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    let on = Outgoing { payload: b"p", forwarded: message.metadata.raw_properties(), ..Outgoing::default() };
    let batch = Batch::single(&on, None);
    assert_eq!(batch.bytes(), on.encoded_len());
    let message = decode(&batch).remove(0);
    assert_eq!(message.metadata.properties().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    assert_eq!(message.metadata.property("b"), Some("2"));
    assert_eq!(message.metadata.property("c"), None);
}

#[test]
fn a_builder_makes_one_batch_after_the_other_and_none_of_nothing() {
    let mut builder = BatchBuilder::new();
    assert!(builder.finish().is_none());
    builder.push(&Outgoing { sequence_id: Some(4), ..Outgoing::default() });
    builder.push(&Outgoing { sequence_id: Some(9), ..Outgoing::default() });
    let batch = builder.finish().unwrap();
    assert_eq!((batch.lowest_sequence_id(), batch.highest_sequence_id(), batch.count()), (Some(4), Some(9), 2));
    builder.push(&Outgoing::default());
    let batch = builder.finish().unwrap();
    assert_eq!((batch.lowest_sequence_id(), batch.count(), batch.is_batch()), (None, 1, true));
    assert!(builder.is_empty());
}

#[test]
fn damage_ends_the_messages_with_one_error_that_says_where() {
    let mut builder = BatchBuilder::new();
    builder.push(&Outgoing { payload: b"first", ..Outgoing::default() });
    builder.push(&Outgoing { payload: b"second", ..Outgoing::default() });
    let batch = builder.finish().unwrap();
    let cut = batch.encoded().slice(..batch.bytes() - 1);
    let results: Vec<_> = Messages::new(cut, 2).collect();
    assert_eq!(results.len(), 2);
    assert!(results[0].is_ok());
    let error = results[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("message 1 of a batch of 2"), "{error}");
    let long = Bytes::from([batch.encoded().as_ref(), b"x"].concat());
    assert!(Messages::new(long, 2).last().unwrap().unwrap_err().to_string().contains("bytes are left"));
}

type Properties = Vec<(String, String)>;

#[derive(Clone, Debug)]
struct Model {
    payload: Vec<u8>,
    key: Option<(bool, String)>,
    ordering_key: Option<Vec<u8>>,
    properties: Properties,
    event_time: Option<u64>,
    sequence_id: Option<u64>,
    null: bool,
}

fn model() -> impl Strategy<Value = Model> {
    (
        vec(any::<u8>(), 0..200),
        option::of((any::<bool>(), ".{0,20}")),
        option::of(vec(any::<u8>(), 0..20)),
        vec((".{0,10}", ".{0,200}"), 0..4),
        option::of(1..u64::MAX),
        option::of(any::<u64>()),
        any::<bool>(),
    )
        .prop_map(|(payload, key, ordering_key, properties, event_time, sequence_id, null)| Model {
            payload,
            key,
            ordering_key,
            properties,
            event_time,
            sequence_id,
            null,
        })
}

impl Model {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            payload: &self.payload,
            key: self.key.as_ref().map(|(binary, key)| match binary {
                true => Key::Binary(key.as_bytes()),
                false => Key::Text(key),
            }),
            ordering_key: self.ordering_key.as_deref(),
            properties: Pairs::Owned(&self.properties),
            event_time: self.event_time,
            sequence_id: self.sequence_id,
            null_value: self.null,
            ..Outgoing::default()
        }
    }

    fn check(&self, message: &Message) {
        let metadata = &message.metadata;
        assert_eq!(message.payload, self.payload);
        let key = self.key.as_ref().map(|(_, key)| key.as_bytes());
        assert_eq!(metadata.key_bytes().as_deref(), key);
        assert_eq!(metadata.ordering_key(), self.ordering_key.as_deref());
        let properties: Properties = metadata.properties().map(|(k, v)| (k.into(), v.into())).collect();
        assert_eq!(properties, self.properties);
        assert_eq!(metadata.event_time(), self.event_time);
        assert_eq!(metadata.sequence_id(), self.sequence_id);
        assert_eq!(metadata.is_null(), self.null);
    }
}

proptest! {
    #[test]
    fn what_was_pushed_is_read_back_and_survives_being_handed_on(models in vec(model(), 1..20)) {
        let mut builder = BatchBuilder::new();
        let mut bytes = 0;
        for model in &models {
            bytes += model.outgoing().encoded_len();
            builder.push(&model.outgoing());
            prop_assert_eq!(builder.bytes(), bytes);
        }
        let batch = builder.finish().unwrap();
        let messages = decode(&batch);
        prop_assert_eq!(messages.len(), models.len());
        for (message, model) in messages.iter().zip(&models) {
            model.check(message);
            builder.push(&Outgoing {
                key: message.metadata.raw_key(),
                forwarded: message.metadata.raw_properties(),
                properties: Pairs::default(),
                ..model.outgoing()
            });
        }
        let again = builder.finish().unwrap();
        prop_assert_eq!(again.encoded(), batch.encoded());
    }

    #[test]
    fn any_bytes_are_messages_or_an_error(bytes in vec(any::<u8>(), 0..300), count in any::<u32>()) {
        touch_everything(bytes, count)?;
    }

    #[test]
    fn a_damaged_batch_is_messages_or_an_error(
        models in vec(model(), 1..5), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(), keep_length in any::<bool>(), extra in 0u32..3,
    ) {
        let mut builder = BatchBuilder::new();
        models.iter().for_each(|model| builder.push(&model.outgoing()));
        let batch = builder.finish().unwrap();
        let mut bytes = batch.encoded().to_vec();
        for (place, value) in damage {
            *place.get_mut(&mut bytes) = value;
        }
        if !keep_length {
            bytes.truncate(cut.index(bytes.len()));
        }
        touch_everything(bytes, batch.count() + extra)?;
    }
}

/// Reads all there is to read; nothing may panic, reach outside the bytes or yield more than they can hold.
fn touch_everything(bytes: Vec<u8>, count: u32) -> Result<(), TestCaseError> {
    let length = bytes.len();
    let messages = Messages::new(bytes.into(), count);
    let (_, most) = messages.size_hint();
    let results: Vec<_> = messages.collect();
    prop_assert!(results.len() <= most.unwrap() && results.len() <= length / 6 + 1);
    for message in results.into_iter().flatten() {
        let metadata = &message.metadata;
        let read = message.payload.len()
            + metadata.key().map_or(0, <[u8]>::len)
            + metadata.ordering_key().map_or(0, <[u8]>::len)
            + metadata.properties().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        prop_assert!(read <= length);
        let on = Outgoing {
            payload: &message.payload,
            key: metadata.raw_key(),
            forwarded: metadata.raw_properties(),
            ..Outgoing::default()
        };
        prop_assert_eq!(Batch::single(&on, None).bytes(), on.encoded_len());
        let _ = (metadata.key_bytes(), metadata.event_time(), metadata.is_compacted_out(), format!("{metadata:?}"));
    }
    Ok(())
}
