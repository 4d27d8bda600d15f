//! Events of `tracing` as lines: the spans around them, the message, the fields.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, subscriber};

use crate::host;

pub(super) fn start() {
    // An error means that the function has set a subscriber of its own.
    let _ = subscriber::set_global_default(HostEvents { next_id: AtomicU64::new(1) });
}

struct HostEvents {
    next_id: AtomicU64,
}

thread_local! {
    static SPANS: RefCell<Spans> = RefCell::default();
}

/// Spans of one thread; they do not cross to another, since a function runs on one.
#[derive(Default)]
struct Spans {
    alive: HashMap<u64, Span>,
    entered: Vec<u64>,
}

struct Span {
    /// As it stands in front of a line: `name{field=value}`.
    text: String,
    handles: usize,
}

impl Subscriber for HostEvents {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = Span { text: fields.of_span(attributes.metadata().name()), handles: 1 };
        SPANS.with_borrow_mut(|spans| spans.alive.insert(id, span));
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        SPANS.with_borrow_mut(|spans| {
            if let Some(span) = spans.alive.get_mut(&id.into_u64()) {
                span.text.push_str(&fields.of_span(""));
            }
        });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = SPANS.with_borrow(Spans::prefix);
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.push_str(&fields.of_event());
        let metadata = event.metadata();
        host::log(level(*metadata.level()), metadata.target(), &line);
    }

    fn enter(&self, id: &Id) {
        SPANS.with_borrow_mut(|spans| spans.entered.push(id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        SPANS.with_borrow_mut(|spans| {
            if let Some(place) = spans.entered.iter().rposition(|entered| *entered == id.into_u64()) {
                spans.entered.remove(place);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        SPANS.with_borrow_mut(|spans| {
            if let Some(span) = spans.alive.get_mut(&id.into_u64()) {
                span.handles += 1;
            }
        });
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        SPANS.with_borrow_mut(|spans| {
            let Some(span) = spans.alive.get_mut(&id.into_u64()) else { return false };
            span.handles -= 1;
            span.handles == 0 && spans.alive.remove(&id.into_u64()).is_some()
        })
    }
}

impl Spans {
    fn prefix(&self) -> String {
        let spans = self.entered.iter().filter_map(|id| self.alive.get(id));
        spans.fold(String::new(), |line, span| line + &span.text + ": ")
    }
}

/// The message, and the other fields as `name=value`.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Fields {
    fn of_span(self, name: &str) -> String {
        if self.others.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", self.others) }
    }

    fn of_event(self) -> String {
        let space = if self.message.is_empty() || self.others.is_empty() { "" } else { " " };
        self.message + space + &self.others
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            let space = if self.others.is_empty() { "" } else { " " };
            write!(self.others, "{space}{}={value:?}", field.name())
        };
    }
}

fn level(level: Level) -> log::Level {
    match level {
        Level::ERROR => log::Level::Error,
        Level::WARN => log::Level::Warn,
        Level::INFO => log::Level::Info,
        Level::DEBUG => log::Level::Debug,
        Level::TRACE => log::Level::Trace,
    }
}
