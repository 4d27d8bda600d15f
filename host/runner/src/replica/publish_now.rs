//! Messages that a guest wants on the broker before its call ends.

use std::rc::Rc;

use pulselet_broker::batch::{Key, Outgoing};
use pulselet_broker::{Error, Stored};
use pulselet_engine::contract::{MessageId, PublishError};

use super::Replica;
use super::worker::deliver_at;
use crate::host::PublishNow;

pub(super) async fn serve(replica: Rc<Replica>, request: PublishNow) {
    let PublishNow { topic, message, reply } = request;
    let outgoing = Outgoing {
        payload: &message.payload,
        key: message.key.as_deref().map(Key::Text),
        properties: message.properties.as_slice().into(),
        event_time: message.event_time,
        ..Outgoing::default()
    };
    let result = async {
        replica.open(topic).await?;
        let limit = replica.outputs.max_message_bytes(topic);
        if outgoing.encoded_len() > limit {
            return Ok(Err(too_large(outgoing.encoded_len(), limit)));
        }
        let (receipt, partition) = replica.outputs.send(topic, &outgoing, deliver_at(message.delay))?;
        Ok(Ok((receipt.await?, partition)))
    };
    let answer = match result.await {
        Ok(Ok((Stored::At(position), partition))) => {
            Ok(MessageId { ledger: position.ledger, entry: position.entry, partition, batch_index: -1 })
        }
        Ok(Ok((Stored::Duplicate, _))) => Err(PublishError::Broker("the broker took it for a duplicate".to_owned())),
        Ok(Err(refusal)) => Err(refusal),
        Err::<_, Error>(error) => Err(PublishError::Broker(error.to_string())),
    };
    // The call may have timed out meanwhile; then nobody waits for the answer.
    reply.send(answer).ok();
}

fn too_large(bytes: usize, limit: usize) -> PublishError {
    PublishError::TooLarge(format!("{bytes} bytes are more than the {limit} that the topic takes"))
}
