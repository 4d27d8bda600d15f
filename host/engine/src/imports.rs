//! The host's side of the imports: every function hands on to [`HostCalls`], and what the guest asked wrongly traps.

use std::time::Duration;

use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource};

use crate::bindings::pulselet::function::{context, metrics, outcome, publish, publish_now, secrets, settle, types};
use crate::bindings::wasi::{config::store as config, logging::logging};
use crate::contract::{Identity, LogLevel, Message, MessageId, PublishError};
use crate::state::State;
use crate::{HostCalls, TopicNumber};

/// Everything a component may import. Which of it a function is granted was decided before: a component that imports
/// more than that is never loaded.
pub(crate) fn linker<H: HostCalls>(engine: &wasmtime::Engine) -> Result<Linker<State<H>>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    context::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    publish::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    publish_now::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    settle::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    metrics::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    secrets::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    types::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    outcome::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    logging::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    config::add_to_linker::<_, HasSelf<State<H>>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl<H: HostCalls> types::Host for State<H> {}
impl<H: HostCalls> outcome::Host for State<H> {}

impl<H: HostCalls> context::Host for State<H> {
    fn identity(&mut self) -> Result<Identity> {
        Ok(self.host.identity())
    }

    fn inputs(&mut self) -> Result<Vec<String>> {
        Ok(self.host.inputs())
    }

    fn output(&mut self) -> Result<Option<String>> {
        Ok(self.host.output())
    }

    fn count(&mut self) -> Result<u32> {
        Ok(self.host.count())
    }

    fn select(&mut self, index: u32) -> Result<()> {
        Ok(self.host.select(index)?)
    }

    fn topic(&mut self, index: u32) -> Result<String> {
        Ok(self.host.topic(index)?)
    }

    fn id(&mut self, index: u32) -> Result<MessageId> {
        Ok(self.host.message_id(index)?)
    }

    fn key(&mut self, index: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.host.key(index)?)
    }

    fn ordering_key(&mut self, index: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.host.ordering_key(index)?)
    }

    fn property(&mut self, index: u32, name: String) -> Result<Option<String>> {
        Ok(self.host.property(index, &name)?)
    }

    fn properties(&mut self, index: u32) -> Result<Vec<(String, String)>> {
        Ok(self.host.properties(index)?)
    }

    fn event_time(&mut self, index: u32) -> Result<Option<u64>> {
        Ok(self.host.event_time(index)?)
    }

    fn publish_time(&mut self, index: u32) -> Result<u64> {
        Ok(self.host.publish_time(index)?)
    }

    fn producer_name(&mut self, index: u32) -> Result<String> {
        Ok(self.host.producer_name(index)?)
    }

    fn sequence_id(&mut self, index: u32) -> Result<u64> {
        Ok(self.host.sequence_id(index)?)
    }

    fn redelivery_count(&mut self, index: u32) -> Result<u32> {
        Ok(self.host.redelivery_count(index)?)
    }

    fn schema_version(&mut self, index: u32) -> Result<Option<Vec<u8>>> {
        Ok(self.host.schema_version(index)?)
    }

    fn is_null(&mut self, index: u32) -> Result<bool> {
        Ok(self.host.is_null(index)?)
    }
}

type Published = std::result::Result<(), PublishError>;

impl<H: HostCalls> publish::Host for State<H> {
    fn publish(&mut self, topic: String, message: Message) -> Result<Published> {
        Ok(self.host.open_topic(&topic).and_then(|number| self.host.publish(number, message)))
    }
}

impl<H: HostCalls> publish::HostTopicProducer for State<H> {
    fn open(&mut self, topic: String) -> Result<std::result::Result<Resource<TopicNumber>, PublishError>> {
        match self.host.open_topic(&topic) {
            Ok(number) => Ok(Ok(self.table.push(number)?)),
            Err(error) => Ok(Err(error)),
        }
    }

    fn send(&mut self, producer: Resource<TopicNumber>, payload: Vec<u8>) -> Result<Published> {
        let message = Message { payload, key: None, properties: Vec::new(), event_time: None, delay: None };
        self.send_message(producer, message)
    }

    fn send_message(&mut self, producer: Resource<TopicNumber>, message: Message) -> Result<Published> {
        let number = *self.table.get(&producer)?;
        Ok(self.host.publish(number, message))
    }

    fn drop(&mut self, producer: Resource<TopicNumber>) -> Result<()> {
        self.table.delete(producer)?;
        Ok(())
    }
}

impl<H: HostCalls> publish_now::Host for State<H> {
    async fn publish(&mut self, topic: String, message: Message) -> std::result::Result<MessageId, PublishError> {
        self.host.publish_now(&topic, message).await
    }
}

impl<H: HostCalls> settle::Host for State<H> {
    fn handle(&mut self, index: u32) -> Result<u64> {
        Ok(self.host.settle_handle(index)?)
    }

    fn ack(&mut self, message: u64) -> std::result::Result<(), settle::SettleError> {
        if self.host.ack(message) { Ok(()) } else { Err(settle::SettleError::Unknown(message)) }
    }

    fn nack(&mut self, message: u64, delay: Option<u64>) -> std::result::Result<(), settle::SettleError> {
        let known = self.host.nack(message, delay.map(Duration::from_millis));
        if known { Ok(()) } else { Err(settle::SettleError::Unknown(message)) }
    }
}

impl<H: HostCalls> metrics::Host for State<H> {
    fn count(&mut self, name: String, amount: f64) {
        self.host.metric_count(&name, amount);
    }

    fn gauge(&mut self, name: String, value: f64) {
        self.host.metric_gauge(&name, value);
    }

    fn observe(&mut self, name: String, value: f64) {
        self.host.metric_observe(&name, value);
    }
}

impl<H: HostCalls> secrets::Host for State<H> {
    fn get(&mut self, name: String) -> Option<Vec<u8>> {
        self.host.secret(&name)
    }
}

impl<H: HostCalls> config::Host for State<H> {
    fn get(&mut self, key: String) -> std::result::Result<Option<String>, config::Error> {
        Ok(self.host.config(&key))
    }

    fn get_all(&mut self) -> std::result::Result<Vec<(String, String)>, config::Error> {
        Ok(self.host.config_all())
    }
}

impl<H: HostCalls> logging::Host for State<H> {
    /// What was printed before is logged before.
    fn log(&mut self, level: LogLevel, context: String, message: String) {
        self.pass_on_stdio();
        self.host.log(level, &context, &message);
    }
}
