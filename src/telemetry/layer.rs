//! From an event to one line.

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::{Format, Screen, ecs, human};
use crate::clock::{Clock, Timestamp};

/// Writes every event as one line.
pub(super) struct Lines {
    screen: Screen,
    clock: Clock,
}

/// An event, taken apart.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) level: tracing::Level,
    pub(super) target: String,
    pub(super) message: String,
    pub(super) fields: Map<String, Value>,
}

impl Lines {
    pub(super) fn new(screen: Screen, clock: Clock) -> Self {
        Self { screen, clock }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let told = Told::of(event, self.clock.now());
        self.screen.line(&match self.screen.format {
            Format::Json => ecs::line(told),
            Format::Human | Format::Auto => human::line(&told),
        });
    }
}

impl Told {
    fn of(event: &Event<'_>, at: Timestamp) -> Self {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { message, fields } = fields;
        Self {
            at,
            level: *event.metadata().level(),
            target: event.metadata().target().to_owned(),
            message,
            fields,
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    fields: Map<String, Value>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.set(field, text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field, value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.set(field, crate::report::chain(error).join(": ").into());
    }
}
