use pulselet_broker::SubscriptionType;

use super::Subscription;
use super::connected::Connected;
use super::slots::{ConsumerId, Slots};

/// How the present consumers share the subscription. The first one to connect decides.
#[derive(Debug)]
pub(crate) enum Sharing {
    /// Nobody is connected.
    None,
    Exclusive(ConsumerId),
    Failover {
        active: Option<ConsumerId>,
    },
    Shared {
        turn: usize,
    },
    KeyShared(Slots),
}

/// Why a consumer is not admitted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The rule in the way.
    Busy(String),
    /// Consumers of another type are there.
    Type { present: String, wanted: String },
}

impl Sharing {
    /// One consumer at a time is served.
    pub(crate) fn is_single_active(&self) -> bool {
        matches!(self, Self::Exclusive(_) | Self::Failover { .. })
    }

    /// The one consumer that is served.
    pub(crate) fn active(&self) -> Option<ConsumerId> {
        match self {
            Self::Exclusive(id) => Some(*id),
            Self::Failover { active } => *active,
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::None => "unused",
            Self::Exclusive(_) => "Exclusive",
            Self::Failover { .. } => "Failover",
            Self::Shared { .. } => "Shared",
            Self::KeyShared(slots) if slots.is_sticky() => "Key_Shared with sticky ranges",
            Self::KeyShared(_) => "Key_Shared",
        }
    }

    /// True if it was the active one.
    pub(crate) fn leave(&mut self, id: ConsumerId) -> bool {
        match self {
            Self::Failover { active } if *active == Some(id) => {
                *active = None;
                true
            }
            Self::KeyShared(slots) => {
                slots.leave(id);
                false
            }
            _ => false,
        }
    }
}

impl Subscription {
    /// Admits a consumer, or says why not.
    pub(crate) fn join(&mut self, consumer: Connected, wanted: &SubscriptionType) -> Result<(), Refusal> {
        let id = consumer.id;
        match (&mut self.sharing, wanted) {
            (Sharing::None, SubscriptionType::Exclusive) => self.sharing = Sharing::Exclusive(id),
            (Sharing::None, SubscriptionType::Failover { .. }) => self.sharing = Sharing::Failover { active: None },
            (Sharing::None, SubscriptionType::Shared) => self.sharing = Sharing::Shared { turn: 0 },
            (Sharing::None, SubscriptionType::KeyShared { ranges }) => {
                let mut slots = Slots::new(ranges.as_deref());
                slots.join(id, ranges.as_deref()).map_err(Refusal::Busy)?;
                self.sharing = Sharing::KeyShared(slots);
            }
            (Sharing::Exclusive(_), SubscriptionType::Exclusive) => {
                return Err(Refusal::Busy("an Exclusive consumer is connected".to_owned()));
            }
            (Sharing::Failover { .. }, SubscriptionType::Failover { .. })
            | (Sharing::Shared { .. }, SubscriptionType::Shared) => {}
            (Sharing::KeyShared(slots), SubscriptionType::KeyShared { ranges })
                if slots.is_sticky() == ranges.is_some() =>
            {
                slots.join(id, ranges.as_deref()).map_err(Refusal::Busy)?;
            }
            (present, wanted) => {
                let present = present.name().to_owned();
                return Err(Refusal::Type { present, wanted: type_name(wanted).to_owned() });
            }
        }
        // Mostly there is one only, and a vector makes room for four by itself.
        self.consumers.reserve_exact(1);
        self.consumers.push(consumer);
        match &self.sharing {
            Sharing::Exclusive(_) => {
                if let Some(consumer) = self.consumer(id) {
                    consumer.inbox.active(true);
                }
            }
            Sharing::Failover { .. } => self.choose_active(),
            _ => {}
        }
        Ok(())
    }

    /// Failover: serves the first consumer by priority, then by name. Those of equal priority share the partitions of
    /// a topic evenly: partition `n` goes to the `n`th of them, counted round.
    pub(crate) fn choose_active(&mut self) {
        let partition = self.partition as usize;
        let Sharing::Failover { active } = &mut self.sharing else { return };
        let Some(best) = self.consumers.iter().map(|consumer| consumer.priority).min() else { return };
        let mut candidates: Vec<_> = self.consumers.iter().filter(|consumer| consumer.priority == best).collect();
        candidates.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let chosen = candidates.get(partition % candidates.len().max(1)).map(|consumer| consumer.id);
        if *active == chosen {
            if let Some(newest) = self.consumers.last().filter(|newest| Some(newest.id) != chosen) {
                newest.inbox.active(false);
            }
            return;
        }
        let before = std::mem::replace(active, chosen);
        // Whoever was served keeps what it has in its hands, and may still acknowledge it; the new one gets it all.
        self.start_over();
        for consumer in &self.consumers {
            if Some(consumer.id) == chosen {
                consumer.inbox.active(true);
            } else if Some(consumer.id) == before {
                consumer.inbox.active(false);
            }
        }
    }
}

fn type_name(wanted: &SubscriptionType) -> &'static str {
    match wanted {
        SubscriptionType::Exclusive => "Exclusive",
        SubscriptionType::Failover { .. } => "Failover",
        SubscriptionType::Shared => "Shared",
        SubscriptionType::KeyShared { ranges: None } => "Key_Shared",
        SubscriptionType::KeyShared { ranges: Some(_) } => "Key_Shared with sticky ranges",
    }
}
