//! The observer that writes to `tracing`, beside a real sale.
#![cfg(all(feature = "tracing", feature = "tokio"))]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use ticket_reservation::adapters::memory::MemoryRepository;
use ticket_reservation::adapters::tokio::TokioRuntime;
use ticket_reservation::adapters::tracing::TracingObserver;
use ticket_reservation::adapters::tracing::tracing::field::{Field, Visit};
use ticket_reservation::adapters::tracing::tracing::span::{Attributes, Id, Record};
use ticket_reservation::adapters::tracing::tracing::{Event, Metadata, Subscriber, subscriber};
use ticket_reservation::booking::BookingService;
use ticket_reservation::domain::{CreateEvent, CustomerId, EventId, Hold, Lines, PoolId};
use ticket_reservation::ports::{LockError, LockKey, Observation, Observer, StoreError};

/// Writes every event down as a line: level, target, fields.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<String>>>);

impl Written {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Written {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0.push_str(&format!(" {}={value:?}", field.name()));
            }
        }
        let mut fields = Fields(format!("{} {}", event.metadata().level(), event.metadata().target()));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_hold_leaves_its_trace_and_names_no_customer() {
    let seen = Written::default();
    subscriber::with_default(seen.clone(), || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        tokio.block_on(async {
            let runtime = Arc::new(TokioRuntime::current().unwrap());
            let service = BookingService::builder(Arc::new(MemoryRepository::new()), runtime)
                .observer(Arc::new(TracingObserver))
                .build()
                .unwrap();
            let (event, floor) = (EventId::new("gig").unwrap(), PoolId::new("floor").unwrap());
            service.create_event(&event, service.new_operation_id(), CreateEvent::default()).await.unwrap();
            service.import(&event, vec![], vec![(floor.clone(), 2)]).await.unwrap();
            for expected in [true, false] {
                let lines = Lines::merge([], [(floor.clone(), 2)]).unwrap();
                let hold = Hold::new(service.new_reservation_id(), CustomerId::new("ann-secret").unwrap(), lines);
                assert_eq!(service.hold(&event, service.new_operation_id(), hold).await.is_ok(), expected);
            }
        });
    });
    let seen = seen.all();
    let has = |what: &str| seen.iter().any(|line| line.contains(what));
    assert!(has("TRACE ticket_reservation") && has("event=gig"), "{seen:#?}");
    for message in ["queued", "loaded", "committing", "committed", "done", "rejected"] {
        assert!(has(&format!("message={message}")), "no line says {message}: {seen:#?}");
    }
    assert!(has("insufficient"), "a refusal says why: {seen:#?}");
    assert!(!has("ann-secret"), "{seen:#?}");
}

#[test]
fn what_needs_attention_is_a_warning_with_its_cause() {
    let seen = Written::default();
    subscriber::with_default(seen.clone(), || {
        let event = EventId::new("gig").unwrap();
        TracingObserver.observe(&Observation::StoreFailed { event: &event, error: &StoreError::unknown("cable cut") });
        TracingObserver.observe(&Observation::LockFailed { error: &LockError::new("no quorum") });
        TracingObserver.observe(&Observation::LeaseLost { key: &LockKey::new("ticket:3:gig:A1").unwrap() });
    });
    let seen = seen.all();
    assert_eq!(seen.len(), 3, "{seen:#?}");
    assert!(seen.iter().all(|line| line.starts_with("WARN ticket_reservation")), "{seen:#?}");
    assert!(seen[0].contains("the outcome is unknown"), "{seen:#?}");
    assert!(seen[2].contains("ticket:3:gig:A1"), "{seen:#?}");
}
