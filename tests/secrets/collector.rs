//! Writes down everything that is said.

use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::{Mutex, OnceLock, PoisonError};

use log::{LevelFilter, Log, Metadata as LogMetadata, Record as LogRecord};
use ticket_reservation::adapters::tracing::tracing::field::{Field, Visit};
use ticket_reservation::adapters::tracing::tracing::span::{Attributes, Id, Record};
use ticket_reservation::adapters::tracing::tracing::subscriber::set_global_default;
use ticket_reservation::adapters::tracing::tracing::{Event, Metadata, Subscriber};

/// Where a text comes from. Of the last two, with the beginning of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Debug,
    Error,
    Tracing(&'static str),
    Log(&'static str),
}

/// What was said so far, in this program.
#[derive(Default)]
pub(crate) struct Collector {
    texts: Mutex<Vec<String>>,
}

/// Listens for it.
struct Listener(&'static Collector);

impl Collector {
    /// The one of this program, which hears everything from the first call on.
    pub(crate) fn installed() -> &'static Self {
        static COLLECTOR: OnceLock<&'static Collector> = OnceLock::new();
        COLLECTOR.get_or_init(|| {
            let collector: &'static Self = Box::leak(Box::default());
            set_global_default(Listener(collector)).expect("nobody else listens");
            log::set_logger(Box::leak(Box::new(Listener(collector)))).expect("nobody else listens");
            log::set_max_level(LevelFilter::Trace);
            collector
        })
    }

    fn add(&self, origin: &str, text: &str) {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{origin} {text}"));
    }

    /// What something looks like.
    pub(crate) fn debug(&self, what: &str, value: &(impl Debug + ?Sized)) {
        self.add("debug", &format!("{what}: {value:?}"));
        self.add("debug", &format!("{what}: {value:#?}"));
    }

    /// An error and all that caused it.
    pub(crate) fn error(&self, what: &str, error: &dyn Error) {
        let mut next = Some(error);
        while let Some(cause) = next {
            self.add("error", &format!("{what}: {cause}"));
            self.add("error", &format!("{what}: {cause:?}"));
            self.add("error", &format!("{what}: {cause:#?}"));
            next = cause.source();
        }
    }

    /// An answer, whichever it is, and whether it is a good one.
    pub(crate) fn answer<T: Debug, E: Error + 'static>(&self, what: &str, answer: &Result<T, E>) -> bool {
        match answer {
            Ok(value) => self.debug(what, value),
            Err(error) => self.error(what, error),
        }
        answer.is_ok()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self, origin: Origin) -> usize {
        let begins = match origin {
            Origin::Debug => "debug ".to_owned(),
            Origin::Error => "error ".to_owned(),
            Origin::Tracing(target) => format!("tracing {target}"),
            Origin::Log(target) => format!("log {target}"),
        };
        self.texts().iter().filter(|text| text.starts_with(&begins)).count()
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?} {value:#?}", field.name()));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push_str(&format!(" {}={value}", field.name()));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut next: Option<&dyn Error> = Some(value);
        while let Some(cause) = next {
            self.0.push_str(&format!(" {}={cause} {cause:?}", field.name()));
            next = cause.source();
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(format!("{} {}", span.metadata().target(), span.metadata().name()));
        span.record(&mut fields);
        self.0.add("tracing", &fields.0);
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields("a span".to_owned());
        values.record(&mut fields);
        self.0.add("tracing", &fields.0);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(format!("{} {}", event.metadata().target(), event.metadata().level()));
        event.record(&mut fields);
        self.0.add("tracing", &fields.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Log for Listener {
    fn enabled(&self, _: &LogMetadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &LogRecord<'_>) {
        self.0.add("log", &format!("{} {} {}", record.target(), record.level(), record.args()));
    }
    fn flush(&self) {}
}

/// What it has heard would be heard again.
impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}
