//! Every call of a repository.

use std::time::Duration;

use ticket_reservation::domain::{EventId, EventState, Pool, PoolId, Record, RecordKey, Timestamp};
use ticket_reservation::ports::{Group, LoadRequest, PoolQuery, Repository, ReservationQuery, TicketQuery, Write};

use super::collector::Collector;
use super::soon;

fn event() -> EventId {
    EventId::new("gala").unwrap()
}

fn group(key: RecordKey, record: Record) -> Group {
    Group {
        reads: Vec::new(),
        writes: vec![Write { key, version: 0, decided_at: Timestamp::from_micros(1), record }],
        ..Group::default()
    }
}

/// An event as it is made, a pool, and one that no table takes.
fn groups() -> [Group; 3] {
    let on_sale = ticket_reservation::domain::Event {
        state: EventState::OnSale,
        window: Default::default(),
        limit_per_customer: None,
    };
    let pool = |name: &str| RecordKey::Pool(PoolId::new(name).unwrap());
    [
        group(RecordKey::Event, Record::Event(on_sale)),
        group(pool("floor"), Record::Pool(Pool::with_capacity(9))),
        group(pool("oversold"), Record::Pool(Pool { capacity: 1, held: 1, booked: 1 })),
    ]
}

/// Makes each, writes down what it answers, and says how many failed.
pub(crate) async fn call_all(said: &Collector, what: &str, repository: &dyn Repository) -> usize {
    let event = event();
    let records = vec![RecordKey::Event, RecordKey::Pool(PoolId::new("floor").unwrap())];
    let request = LoadRequest { event: event.clone(), records, free_in: Vec::new() };
    let tickets = TicketQuery { event: event.clone(), area: None, only_available: false, after: None, limit: 10 };
    let pools = PoolQuery { event: event.clone(), after: None, limit: 10 };
    let reservations =
        ReservationQuery { event: Some(event.clone()), customer: None, state: None, after: None, limit: 10 };
    let mut good = Vec::new();
    macro_rules! call {
        ($answer:expr) => {
            good.push(said.answer(what, &soon($answer).await))
        };
    }
    for group in groups() {
        call!(repository.commit(&event, std::slice::from_ref(&group)));
    }
    call!(repository.load(&request));
    call!(repository.tickets(&tickets));
    call!(repository.pools(&pools));
    call!(repository.availability(&event));
    call!(repository.reservations(&reservations));
    call!(repository.changes(&event, 0, 10));
    call!(repository.lapsed(10));
    call!(repository.purge(Duration::from_secs(60), 10));
    said.debug(what, repository);
    good.iter().filter(|good| !**good).count()
}
