//! Carries out what the state machine asks for.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use pulselet_broker::{Error, MessageId, Stored};

use super::Replica;
use crate::outputs::Sent;
use crate::settlement::{Orders, Owner, Source};

impl Replica {
    /// Everything that is to be done now, until nothing is.
    pub(super) fn carry_out(self: &Rc<Self>) {
        self.outputs.flush_old(Instant::now());
        self.await_receipts();
        let orders = self.machine.borrow_mut().take_orders();
        self.carry_out_orders(orders);
        self.grant();
        if self.machine.borrow().has_work() {
            self.work.notify_waiters();
        }
        self.report();
    }

    /// Watches over the batches that were sent since the last time.
    pub(super) fn await_receipts(self: &Rc<Self>) {
        for sent in self.outputs.take_sent() {
            let replica = Rc::clone(self);
            self.await_aside(async move {
                let Sent { receipt, owners, bytes } = sent;
                let result = receipt.await;
                replica.outputs.answered(bytes);
                replica.outputs_answered(&owners, result);
            });
        }
    }

    fn outputs_answered(&self, owners: &[Owner], result: Result<Stored, Error>) {
        let now = Instant::now();
        let mut machine = self.machine.borrow_mut();
        match result {
            Ok(_) => owners.iter().for_each(|owner| machine.output_confirmed(*owner, now)),
            Err(error) => {
                tracing::warn!(function = %self.shared.facts.function.name, %error, "outputs were refused");
                let reason = format!("output: {error}");
                owners.iter().for_each(|owner| machine.output_refused(*owner, reason.clone(), now));
            }
        }
    }

    pub(super) fn carry_out_orders(self: &Rc<Self>, orders: Orders) {
        let Orders { acks, acks_first, nacks, letters, dropped, fatal } = orders;
        self.ack(acks);
        for (source, id, key) in acks_first {
            self.ack_first(source, id, key);
        }
        for (source, id, delay) in nacks {
            if let Some(consumer) = self.consumers.borrow().get(&source) {
                consumer.nack(&[id], delay);
            }
        }
        for letter in letters {
            let replica = Rc::clone(self);
            self.await_aside(async move { replica.post(letter).await });
        }
        for dropped in dropped {
            self.metrics.dropped.inc();
            self.status.change(|status| status.dropped += 1);
            self.tell_dropped(&dropped, Instant::now());
        }
        if let Some(reason) = fatal {
            tracing::error!(function = %self.shared.facts.function.name, %reason, "the function stopped itself");
            self.status.change(|status| status.note(format!("stopped by the function: {reason}")));
            self.stopping.set(true);
        }
    }

    fn ack(self: &Rc<Self>, acks: Vec<(Source, MessageId)>) {
        let mut by_source: HashMap<Source, Vec<MessageId>> = HashMap::new();
        for (source, id) in acks {
            by_source.entry(source).or_default().push(id);
        }
        for (source, ids) in by_source {
            // A consumer that is gone gave its messages back; they will be recognised by whoever gets them, or come
            // again here.
            let Some(consumer) = self.consumers.borrow().get(&source).cloned() else { continue };
            let confirmation = consumer.ack(&ids);
            let function = self.shared.facts.function.name.clone();
            self.await_aside(async move {
                if let Err(error) = confirmation.await {
                    tracing::debug!(%function, %error, "an ack was not confirmed; the messages may come again");
                }
            });
        }
    }

    /// At most once: the messages are called when the broker has confirmed that they will not come again.
    fn ack_first(self: &Rc<Self>, source: Source, id: MessageId, key: usize) {
        let consumer = self.consumers.borrow().get(&source).cloned();
        let replica = Rc::clone(self);
        self.await_aside(async move {
            let is_acked = match consumer {
                Some(consumer) => consumer.ack(&[id]).await.is_ok(),
                None => false,
            };
            replica.machine.borrow_mut().acked_first(key, is_acked);
        });
    }

    fn grant(&self) {
        let consumers = self.consumers.borrow();
        let mut machine = self.machine.borrow_mut();
        for (source, consumer) in consumers.iter() {
            let permits = machine.take_grant(*source);
            if permits > 0 {
                consumer.grant(permits);
            }
        }
    }

    fn report(&self) {
        let machine = self.machine.borrow();
        let (unsettled, is_held) = (machine.unsettled(), machine.is_over_held_budget());
        self.metrics.unsettled.set(unsettled as f64);
        self.metrics.log_lines_dropped.inc_by(self.shared.log.take_dropped());
        let is_idle = self.is_idle() && !machine.has_work();
        self.status.change_if(|status| {
            let changed = (status.unsettled, status.is_held, status.is_idle) != (unsettled, is_held, is_idle);
            (status.unsettled, status.is_held, status.is_idle) = (unsettled, is_held, is_idle);
            changed
        });
    }
}
