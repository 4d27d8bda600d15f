/// What was promised about the messages of one topic. They are numbered, which is their sequence id too.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) topic: &'static str,
    messages: Vec<Message>,
}

#[derive(Debug, Default)]
struct Message {
    receipt: bool,
    /// Somebody was sent it, so it was durable.
    delivered: bool,
    ack: Ack,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ack {
    #[default]
    No,
    Asked,
    Confirmed,
}

impl Model {
    pub(super) fn new(topic: &'static str) -> Self {
        Self { topic, messages: Vec::new() }
    }

    /// The number of a new message.
    pub(super) fn send(&mut self) -> u64 {
        self.messages.push(Message::default());
        self.messages.len() as u64 - 1
    }

    pub(super) fn receipted(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.messages[*number as usize].receipt = true);
    }

    pub(super) fn delivered(&mut self, number: u64) {
        self.messages[number as usize].delivered = true;
    }

    pub(super) fn asked_to_ack(&mut self, numbers: &[u64]) {
        for number in numbers {
            let ack = &mut self.messages[*number as usize].ack;
            if *ack == Ack::No {
                *ack = Ack::Asked;
            }
        }
    }

    pub(super) fn confirmed(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.messages[*number as usize].ack = Ack::Confirmed);
    }

    /// The order of promises: a batch is not confirmed while one before it is not.
    pub(super) fn check_promises(&self) -> Result<(), String> {
        let first_without = self.messages.iter().position(|message| !message.receipt).unwrap_or(self.messages.len());
        match self.messages.iter().rposition(|message| message.receipt) {
            Some(last) if last > first_without => {
                Err(format!("{}: message {last} has a receipt, and {first_without} before it has none", self.topic))
            }
            _ => Ok(()),
        }
    }

    /// The broker says that it has everything up to `last`. What it does not have is not there any more.
    pub(super) fn stored_up_to(&mut self, last: Option<u64>) -> Result<(), String> {
        let stored = last.map_or(0, |last| last as usize + 1);
        let promised = |message: &Message| message.receipt || message.delivered || message.ack == Ack::Confirmed;
        if let Some(lost) = self.messages.iter().enumerate().skip(stored).find(|(_, message)| promised(message)) {
            return Err(format!("{}: stored up to {last:?}, but there was {lost:?}", self.topic));
        }
        if stored > self.messages.len() {
            return Err(format!("{}: stored up to {last:?}, but {} were sent", self.topic, self.messages.len()));
        }
        self.messages.truncate(stored);
        // What has come through once is safe from now on.
        self.messages.iter_mut().for_each(|message| message.receipt = true);
        Ok(())
    }

    /// What a subscription finds that never acknowledged anything.
    pub(super) fn check_all(&self, found: &[u64]) -> Result<(), String> {
        let expected: Vec<_> = (0..self.messages.len() as u64).collect();
        (found == expected).then_some(()).ok_or_else(|| format!("{}: found {found:?} of {expected:?}", self.topic))
    }

    /// What a subscription finds that acknowledged some; what it asked to acknowledge may be there or not.
    pub(super) fn check_unacked(&mut self, found: &[u64]) -> Result<(), String> {
        if !found.is_sorted_by(|a, b| a < b) {
            return Err(format!("{}: out of order: {found:?}", self.topic));
        }
        for (number, message) in self.messages.iter_mut().enumerate() {
            let is_there = found.binary_search(&(number as u64)).is_ok();
            match (message.ack, is_there) {
                (Ack::No, false) => return Err(format!("{}: message {number} is lost", self.topic)),
                (Ack::Confirmed, true) => return Err(format!("{}: the ack of message {number} is undone", self.topic)),
                (_, true) => message.ack = Ack::No,
                (_, false) => message.ack = Ack::Confirmed,
            }
        }
        Ok(())
    }
}
