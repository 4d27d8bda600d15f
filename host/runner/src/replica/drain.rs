//! The end of a replica: nothing new is called, what was called is settled, then everything is closed. What was
//! delivered and not called goes back to the broker when the consumers close.

use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::StreamExt;

use super::status::Phase;
use super::workers::Workers;
use super::{Inbox, Replica, publish_now};

impl Replica {
    pub(super) async fn drain(self: &Rc<Self>, mut inbox: Inbox, mut workers: Workers, grace: Duration) {
        self.inputs.cancel();
        self.status.change(|status| status.enter(Phase::Draining));
        inbox.arrivals.close();
        let sources: Vec<_> = self.consumers.borrow().keys().copied().collect();
        for source in sources {
            self.machine.borrow_mut().forget_uncalled(source);
        }
        if tokio::time::timeout(grace, self.settle_what_is_in_hand(&mut inbox, &mut workers)).await.is_err() {
            tracing::warn!(function = %self.shared.facts.function.name, ?grace, "not finished in time; what is not settled comes again");
        }
        self.stopping.set(true);
        // Workers that rest, and calls that are broken off.
        workers.shutdown().await;
        self.idle.clear();
        let consumers: Vec<_> = self.consumers.borrow_mut().drain().map(|(_, consumer)| consumer).collect();
        for consumer in consumers {
            if let Err(error) = consumer.close().await {
                tracing::debug!(%error, "a consumer did not close cleanly; its messages come again");
            }
        }
        self.outputs.close().await;
        self.status.change(|status| {
            status.enter(Phase::Stopped);
            status.unsettled = 0;
            status.is_idle = true;
        });
    }

    async fn settle_what_is_in_hand(self: &Rc<Self>, inbox: &mut Inbox, workers: &mut Workers) {
        loop {
            if self.calls.get() == 0 {
                self.outputs.flush_all();
            }
            self.outputs.flush_old(Instant::now());
            self.await_receipts();
            self.machine.borrow_mut().ack_members();
            let orders = self.machine.borrow_mut().take_orders();
            self.carry_out_orders(orders);
            // At most once, what is acked must still be called; otherwise nothing is left to call by now.
            let has_work = self.machine.borrow().has_work();
            if self.is_idle() && !has_work {
                return;
            }
            if has_work {
                workers.start_if_needed(self);
                self.work.notify_waiters();
            }
            tokio::select! {
                () = self.todo.notified() => {}
                Some(request) = inbox.publish_now.next() => {
                    tokio::task::spawn_local(publish_now::serve(Rc::clone(self), request));
                }
            }
        }
    }
}
